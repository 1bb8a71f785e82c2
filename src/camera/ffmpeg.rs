//! Whatever the `ffmpeg` program can read: files of any kind, RTSP, HTTP. It decodes and scales; raw NV12 comes over a
//! pipe. `ffprobe` says the size first.
//!
//! An address with a password is handed to the program as an argument, and the programs take it in no other way: other
//! users of the box may see it in the list of processes. In logs and errors it does not appear ([`redacted`]).

mod address;
mod probe;
mod program;

pub(super) use address::{is_url, redacted};

use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::recording::{Next, Recording};
use super::{CameraError, MAX_PIXELS, MAX_SIDE, Source, SourceInfo, Stop};
use crate::clock::Clock;
use crate::config;
use crate::frame::{Colour, Frame, Picture, PixelFormat};
use probe::Probe;
use program::Program;

/// A live stream that is silent for so long has failed.
const STALLED: Duration = Duration::from_secs(10);

/// The arguments that name an input. A path is marked as one, for a colon in it would make it an address.
fn input(command: &mut Command, name: &str) {
    if name.starts_with("rtsp://") || name.starts_with("rtsps://") {
        command.args(["-rtsp_transport", "tcp"]);
    }
    let name = if is_url(name) { name.to_owned() } else { format!("file:{name}") };
    command.arg("-i").arg(name);
}

/// `ffmpeg`, writing NV12 of a known size and colour.
struct Decoder {
    program: Program,
    size: [usize; 2],
    colour: Colour,
    stop: Stop,
    timeout: Duration,
}

impl Decoder {
    fn spawn(
        name: &str,
        live: bool,
        size: [usize; 2],
        colour: Colour,
        stop: Stop,
    ) -> Result<Self, CameraError> {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-loglevel", "error"]);
        if live {
            command.args(["-flags", "low_delay"]);
        }
        input(&mut command, name);
        let [width, height] = size;
        let range = if colour.full_range { "pc" } else { "tv" };
        let matrix = if colour.bt709 { "bt709" } else { "bt601" };
        // A picture that changes its size or colours on the way is brought back to these.
        command.args(["-map", "0:v:0", "-fps_mode", "passthrough", "-vf"]);
        command.arg(format!(
            "scale={width}:{height}:flags=bilinear:out_range={range}:out_color_matrix={matrix},format=nv12"
        ));
        command.args(["-f", "rawvideo", "-pix_fmt", "nv12", "pipe:1"]);
        let timeout = if live { STALLED } else { Duration::MAX };
        Ok(Self { program: Program::spawn(name, command)?, size, colour, stop, timeout })
    }

    /// Fills `picture` from the pipe; false at the end of the stream, whole frames only.
    fn read(&mut self, picture: &mut Picture) -> Result<bool, CameraError> {
        picture.reset(PixelFormat::Nv12, self.size[0], self.size[1]);
        picture.colour = self.colour;
        let mut filled = 0;
        while filled < picture.data.len() {
            let rest = &mut picture.data[filled..];
            let read = self.program.read(&self.stop, self.timeout, |pipe| pipe.read(rest))?;
            if read == 0 {
                return Ok(false);
            }
            filled += read;
        }
        Ok(true)
    }
}

/// A recording that `ffmpeg` reads.
pub(super) struct Video {
    info: SourceInfo,
    source: String,
    decoder: Decoder,
    /// Frames in this pass.
    count: u64,
}

impl Video {
    pub fn open(camera: &config::Camera, stop: Stop) -> Result<Self, CameraError> {
        let name = &camera.source;
        let probe = Probe::run(name, &stop)?;
        let [width, height] = size(camera, &probe)?;
        let info = SourceInfo { fps: probe.fps.or(camera.fps), ..info(name, &probe, [width, height], false) };
        let decoder = Decoder::spawn(name, false, [width, height], probe.colour, stop)?;
        Ok(Self { info, source: name.clone(), decoder, count: 0 })
    }
}

impl Recording for Video {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, picture: &mut Picture) -> Result<Next, CameraError> {
        if self.decoder.read(picture)? {
            self.count += 1;
            return Ok(Next::Picture);
        }
        let words = self.decoder.program.last_words();
        if self.count == 0 {
            let reason = if words.is_empty() { "ffmpeg found no frame in it".into() } else { words };
            return Err(CameraError::Video { name: redacted(&self.source), reason });
        }
        if !words.is_empty() || self.info.frames.is_some_and(|frames| self.count < frames) {
            let (source, expected) = (redacted(&self.source), self.info.frames);
            tracing::warn!(
                source,
                frames = self.count,
                expected,
                ffmpeg = words,
                "recording ended early or damaged"
            );
        }
        Ok(Next::End)
    }

    fn rewind(&mut self) -> Result<(), CameraError> {
        let Decoder { size, colour, ref stop, .. } = self.decoder;
        self.decoder = Decoder::spawn(&self.source, false, size, colour, stop.clone())?;
        self.count = 0;
        Ok(())
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
        let source = &camera.source;
        let probe = Probe::run(source, &stop)?;
        let size = size(camera, &probe)?;
        let info = info(source, &probe, size, true);
        let decoder = Decoder::spawn(source, true, size, probe.colour, stop)?;
        Ok(Self { info, name: redacted(source), decoder, clock, count: 0 })
    }
}

impl Source for Live {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        if !self.decoder.read(&mut frame.picture)? {
            let words = self.decoder.program.last_words();
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

/// The size to deliver: the configured one, else the video's.
fn size(camera: &config::Camera, probe: &Probe) -> Result<[usize; 2], CameraError> {
    let [width, height] =
        camera.size.map_or([probe.width, probe.height], |size| size.map(|side| side as usize));
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS {
        let reason = format!("size {width}x{height} is out of bounds");
        return Err(CameraError::Video { name: redacted(&camera.source), reason });
    }
    Ok([width, height])
}

fn info(name: &str, probe: &Probe, [width, height]: [usize; 2], live: bool) -> SourceInfo {
    let rate = probe.fps.map_or(String::new(), |fps| format!(", {fps:.3} frames/s"));
    SourceInfo {
        description: format!("{}, {} through ffmpeg, {width}x{height}{rate}", redacted(name), probe.codec),
        width,
        height,
        fps: probe.fps,
        frames: probe.frames.filter(|_| !live),
        live,
    }
}
