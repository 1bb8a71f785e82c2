//! A source of frames: a V4L2 device, anything the `ffmpeg` program reads, or pictures read natively.
//!
//! Knows devices, files, programs and the clock; has never heard of what is done with a frame. A source fills the
//! frame that it is handed, so a camera runs without allocating; only JPEGs cost some small ones each (the decoder's).

mod avi;
mod ffmpeg;
mod framing;
mod images;
mod jpeg;
mod paced;
mod recording;
mod stop;
#[cfg(test)]
mod tests;
#[cfg(target_os = "linux")]
pub mod v4l2;

pub use framing::Framed;
pub use images::{avi_bytes, read_picture};
pub use paced::Paced;
pub use stop::Stop;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config;
use crate::frame::Frame;

/// No picture, from a file or a device, may have more pixels than this (16 K, 1:1), nor a side longer than
/// [`MAX_SIDE`]: what a file says about itself is not to be trusted with memory.
const MAX_PIXELS: usize = 1 << 26;
/// Pixels.
const MAX_SIDE: usize = 16384;
/// Frames a second of pictures that come without times, where the configuration says nothing.
const ASSUMED_FPS: f64 = 25.0;
/// A wait is cut into pieces of this length, to see whether it is still wanted.
const SLICE: Duration = Duration::from_millis(100);

/// A source of frames.
pub trait Source: Send {
    /// Blocks for the next frame and fills `frame`, in the buffer that it has; `Ok(false)` is the end of a recording.
    /// Returns [`CameraError::Stopped`] within about 200 ms of the source's [`Stop`] being set. After an error the
    /// source is of no more use, and is to be opened again.
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError>;

    /// What it is.
    fn info(&self) -> &SourceInfo;

    /// Frames that came damaged since it was opened, and were not handed out.
    fn corrupted(&self) -> u64 {
        0
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        (**self).read(frame)
    }

    fn info(&self) -> &SourceInfo {
        (**self).info()
    }

    fn corrupted(&self) -> u64 {
        (**self).corrupted()
    }
}

/// What a source says of itself when it has been opened.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceInfo {
    /// For logs: name, kind, format. Holds no password.
    pub description: String,
    /// Pixels. Pictures in a folder may each have their own size; this is the first one's.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Frames a second, if known.
    pub fps: Option<f64>,
    /// Frames of a recording, if known, one pass of it. As the file says: it may be cut off.
    pub frames: Option<u64>,
    /// Frames come when they come, and waiting loses some.
    pub live: bool,
}

/// Why a camera gives no frames.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    #[error("camera source {name}: there is no such file, folder or device")]
    Missing { name: String },
    #[error("camera source {name}: {error}")]
    Io { name: String, error: std::io::Error },
    #[error(
        "camera source {name}: the program `{program}` is needed to read it and was not found; install ffmpeg (Debian: apt install ffmpeg)"
    )]
    Program { name: String, program: String },
    #[error("camera source {name}: password_file {file}: {reason}")]
    Password { name: String, file: String, reason: String },
    #[error("camera source {name}: {reason}")]
    Video { name: String, reason: String },
    #[error("camera source {name}: {reason}; the device offers {offers}")]
    Format { name: String, reason: String, offers: String },
    #[error("camera source {name}: {reason}")]
    Device { name: String, reason: String },
    #[error("camera source {name}: no frame for {} s", .after.as_secs())]
    Stalled { name: String, after: Duration },
    #[error("picture {name}: {reason}")]
    Picture { name: String, reason: String },
    #[error("stopped")]
    Stopped,
}

impl CameraError {
    fn io(name: &str, error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing { name: name.into() },
            _ => Self::Io { name: name.into(), error },
        }
    }
}

/// Opens the source that a camera's configuration names, framed as it says. A recording is read as fast as it is asked for; put it into
/// [`Paced`] to have it in its own time.
pub fn open(
    camera: &config::Camera,
    clock: Arc<dyn Clock>,
    stop: Stop,
) -> Result<Box<dyn Source>, CameraError> {
    let source = open_source(camera, clock, stop)?;
    Ok(if Framed::<Box<dyn Source>>::is_needless(camera) {
        source
    } else {
        Box::new(Framed::new(source, camera))
    })
}

fn open_source(
    camera: &config::Camera,
    clock: Arc<dyn Clock>,
    stop: Stop,
) -> Result<Box<dyn Source>, CameraError> {
    let name = camera.source.as_str();
    let path = Path::new(name);
    Ok(match Kind::of(name)? {
        Kind::Device => open_device(camera, clock, stop)?,
        Kind::Url => Box::new(ffmpeg::Live::open(camera, clock, stop)?),
        Kind::Folder => recording::play(images::Folder::open(path, camera.fps)?, camera.repeat, clock, stop),
        Kind::Mjpeg => recording::play(
            images::Mjpeg::open(name, images::file(path)?, camera.fps)?,
            camera.repeat,
            clock,
            stop,
        ),
        Kind::Avi => match avi::Avi::open(name, images::file(path)?)? {
            Some(avi) => recording::play(avi, camera.repeat, clock, stop),
            None => video(camera, clock, stop)?,
        },
        Kind::Video => video(camera, clock, stop)?,
    })
}

fn video(camera: &config::Camera, clock: Arc<dyn Clock>, stop: Stop) -> Result<Box<dyn Source>, CameraError> {
    Ok(recording::play(ffmpeg::Video::open(camera, stop.clone())?, camera.repeat, clock, stop))
}

#[cfg(target_os = "linux")]
fn open_device(
    camera: &config::Camera,
    clock: Arc<dyn Clock>,
    stop: Stop,
) -> Result<Box<dyn Source>, CameraError> {
    Ok(Box::new(v4l2::Device::open(camera, clock, stop)?))
}

#[cfg(not(target_os = "linux"))]
fn open_device(camera: &config::Camera, _: Arc<dyn Clock>, _: Stop) -> Result<Box<dyn Source>, CameraError> {
    let reason = "devices are read through V4L2, which only Linux has".into();
    Err(CameraError::Device { name: camera.source.clone(), reason })
}

/// What a source's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Device,
    /// A live stream.
    Url,
    Folder,
    Mjpeg,
    /// If it turns out to hold JPEGs; else a video like any other.
    Avi,
    Video,
}

impl Kind {
    fn of(name: &str) -> Result<Self, CameraError> {
        if name.starts_with("file://") {
            return Ok(Self::Video);
        }
        if ffmpeg::is_url(name) {
            return Ok(Self::Url);
        }
        let path = Path::new(name);
        let metadata = std::fs::metadata(path).map_err(|error| CameraError::io(name, error))?;
        if metadata.is_dir() {
            return Ok(Self::Folder);
        }
        if !metadata.is_file() {
            return Ok(Self::Device);
        }
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        Ok(match extension.as_str() {
            "mjpeg" | "mjpg" => Self::Mjpeg,
            "avi" => Self::Avi,
            _ => Self::Video,
        })
    }
}
