//! Annotated pictures: boxes, names and scores drawn into a frame, and frames written as JPEG or as a video.
//!
//! Knows pictures and plain values to draw; has never heard of networks, vocabularies or brokers.

mod avi;
mod canvas;

pub use avi::{AviError, AviWriter};
pub use canvas::{Annotation, Canvas};
