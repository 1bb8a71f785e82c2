//! Whatever the `ffmpeg` program can read: files of any kind, RTSP, HTTP. It decodes and scales; raw NV12 comes over a
//! pipe. `ffprobe` says the size first.
//!
//! The programs end with us whatever ends us: dropped, they are killed; if the daemon is killed, what they write to is
//! closed, and a server that is silent makes them give up after a while.

mod address;
mod decoder;
mod input;
mod probe;
mod program;

pub(super) use address::is_url;

use std::sync::Arc;
use std::time::Duration;

use super::recording::{Next, Recording};
use super::{CameraError, Source, SourceInfo, Stop};
use crate::clock::Clock;
use crate::config;
use crate::frame::{Frame, Picture};
use decoder::Decoder;
use input::Input;
use probe::Probe;

/// A stream has at least so long until its first frame.
const OPENING: Duration = Duration::from_secs(20);

/// A recording that `ffmpeg` reads.
pub(super) struct Video {
    info: SourceInfo,
    name: String,
    decoder: Decoder,
}

impl Video {
    pub fn open(camera: &config::Camera, stop: Stop) -> Result<Self, CameraError> {
        let input = Input::new(camera)?;
        let name = input.address.shown().to_owned();
        let probe = Probe::run(&input, &stop)?;
        let decoder = Decoder::start(camera, input, &probe, false, stop)?;
        let info = SourceInfo { fps: probe.fps.or(camera.fps), ..info(&name, &probe, decoder.size, false) };
        Ok(Self { info, name, decoder })
    }
}

impl Recording for Video {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, picture: &mut Picture) -> Result<Next, CameraError> {
        if self.decoder.read(picture)? {
            return Ok(Next::Picture);
        }
        let (words, frames) = (self.decoder.last_words(), self.decoder.frames());
        if frames == 0 {
            let reason = if words.is_empty() { "ffmpeg found no frame in it".into() } else { words };
            return Err(CameraError::Video { name: self.name.clone(), reason });
        }
        if !words.is_empty() || self.info.frames.is_some_and(|expected| frames < expected) {
            let (source, expected) = (&self.name, self.info.frames);
            tracing::warn!(source, frames, expected, ffmpeg = words, "recording ended early or damaged");
        }
        Ok(Next::End)
    }

    fn rewind(&mut self) -> Result<(), CameraError> {
        self.decoder.restart()
    }
}

/// A stream that arrives when it arrives.
pub(super) struct Live {
    info: SourceInfo,
    name: String,
    decoder: Decoder,
    clock: Arc<dyn Clock>,
    count: u64,
}

impl Live {
    pub fn open(camera: &config::Camera, clock: Arc<dyn Clock>, stop: Stop) -> Result<Self, CameraError> {
        let input = Input::new(camera)?;
        let name = input.address.shown().to_owned();
        let probe = Probe::run(&input, &stop)?;
        let decoder = Decoder::start(camera, input, &probe, true, stop)?;
        Ok(Self { info: info(&name, &probe, decoder.size, true), name, decoder, clock, count: 0 })
    }
}

impl Source for Live {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        if !self.decoder.read(&mut frame.picture)? {
            let words = self.decoder.last_words();
            let reason = format!("the stream ended{}{words}", if words.is_empty() { "" } else { ": " });
            return Err(CameraError::Video { name: self.name.clone(), reason });
        }
        (frame.sequence, frame.time) = (self.count, self.clock.now());
        self.count += 1;
        Ok(true)
    }

    fn info(&self) -> &SourceInfo {
        &self.info
    }
}

fn info(name: &str, probe: &Probe, [width, height]: [usize; 2], live: bool) -> SourceInfo {
    let rate = probe.fps.map_or(String::new(), |fps| format!(", {fps:.3} frames/s"));
    SourceInfo {
        description: format!("{name}, {} through ffmpeg, {width}x{height}{rate}", probe.codec),
        width,
        height,
        fps: probe.fps,
        frames: probe.frames.filter(|_| !live),
        live,
    }
}
