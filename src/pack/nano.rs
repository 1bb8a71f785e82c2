//! The pack that is carried in the binary: it works at once, with no network and no files.

use super::files::EmbeddedFiles;

/// `models/nano`, if this binary carries it.
#[cfg(feature = "nano")]
pub const FILES: Option<EmbeddedFiles> = Some(&[
    ("pack.toml", include_bytes!("../../models/nano/pack.toml")),
    ("image.int8.onnx", include_bytes!("../../models/nano/image.int8.onnx")),
    ("text.int8.onnx", include_bytes!("../../models/nano/text.int8.onnx")),
    ("tokenizer.json", include_bytes!("../../models/nano/tokenizer.json")),
    ("detector.int8.onnx", include_bytes!("../../models/nano/detector.int8.onnx")),
]);

#[cfg(not(feature = "nano"))]
pub const FILES: Option<EmbeddedFiles> = None;

/// CLIP's tokenizer, for packs that are made here: `tokenizer.json`.
#[cfg(feature = "nano")]
pub fn clip_tokenizer() -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let packed: &[u8] = include_bytes!("../../models/clip/tokenizer.json.zst");
    let mut json = Vec::new();
    ruzstd::decoding::StreamingDecoder::new(packed).map_err(std::io::Error::other)?.read_to_end(&mut json)?;
    Ok(json)
}

#[cfg(not(feature = "nano"))]
pub fn clip_tokenizer() -> std::io::Result<Vec<u8>> {
    Err(std::io::Error::other("this binary was built without the feature \"nano\", and carries no tokenizer"))
}
