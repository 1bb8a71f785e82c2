//! JPEG → RGB, within limits.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::{MAX_PIXELS, MAX_SIDE};
use crate::frame::{Picture, PixelFormat};

/// Bytes that a picture in a stream may have; more is taken for a damaged length.
pub(super) const MAX_BYTES: usize = 32 << 20;

fn decoder(bytes: &[u8]) -> JpegDecoder<ZCursor<&[u8]>> {
    // Strict: a picture that is cut off is to be skipped, not filled up with grey.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_max_scans(64)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

fn headers(decoder: &mut JpegDecoder<ZCursor<&[u8]>>) -> Result<(usize, usize), String> {
    decoder.decode_headers().map_err(|error| format!("not a JPEG that can be read: {error}"))?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    match width.saturating_mul(height) {
        0 => Err("it has no pixels".into()),
        pixels if pixels > MAX_PIXELS => Err(format!("{width}x{height} is more than {MAX_PIXELS} pixels")),
        _ => Ok((width, height)),
    }
}

/// Width and height, without decoding.
pub(super) fn size(bytes: &[u8]) -> Result<(usize, usize), String> {
    headers(&mut decoder(bytes))
}

/// Decodes into `picture`, in the buffer that it has. Says why it cannot.
pub(super) fn decode(bytes: &[u8], picture: &mut Picture) -> Result<(), String> {
    let mut decoder = decoder(bytes);
    let (width, height) = headers(&mut decoder)?;
    picture.reset(PixelFormat::Rgb24, width, height);
    decoder.decode_into(&mut picture.data).map_err(|error| format!("damaged JPEG: {error}"))
}
