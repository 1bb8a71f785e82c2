//! The pack that is carried in the binary: it works at once, with no network and no files.

use super::files::EmbeddedFiles;

/// `models/nano`, if this binary carries it.
#[cfg(feature = "nano")]
pub const FILES: Option<EmbeddedFiles> = None;

#[cfg(not(feature = "nano"))]
pub const FILES: Option<EmbeddedFiles> = None;

/// CLIP's tokenizer, for packs that are made here.
pub fn clip_tokenizer() -> std::io::Result<Vec<u8>> {
    Err(std::io::Error::other("this binary carries no tokenizer"))
}
