//! Annotated pictures: boxes, names and scores drawn into a frame, and frames written as JPEG or as a video.
//!
//! Knows pictures and plain values to draw; has never heard of networks, vocabularies or brokers.

mod annotate;
mod avi;
mod canvas;
mod plate;
#[cfg(test)]
mod tests;
mod text;

pub use annotate::Annotation;
pub use avi::{AviError, AviWriter};
pub use canvas::Canvas;
