//! Whatever the `ffmpeg` program can read: files of any kind, RTSP, HTTP. It decodes and scales; raw NV12 comes over a
//! pipe. `ffprobe` says the size first.
//!
//! An address with a password is handed to the program as an argument, and the programs take it in no other way: other
//! users of the box may see it in the list of processes. In logs and errors it does not appear ([`redacted`]).

use std::collections::VecDeque;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use super::recording::{Next, Recording};
use super::{CameraError, MAX_PIXELS, MAX_SIDE, SLICE, Source, SourceInfo, Stop};
use crate::clock::Clock;
use crate::config;
use crate::frame::{Colour, Frame, Picture, PixelFormat};

/// A live stream that is silent for so long has failed.
const STALLED: Duration = Duration::from_secs(10);
/// `ffprobe` that takes so long has failed.
const PROBE: Duration = Duration::from_secs(20);
/// Of what a program says on its error output, so much of the end is kept.
const KEPT: usize = 2048;
/// More of `ffprobe`'s answer than this is not read.
const MAX_ANSWER: usize = 1 << 20;

/// Whether a source's name is an address (`scheme://..`) and not a path.
pub(super) fn is_url(name: &str) -> bool {
    let scheme = name.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// The parts of an address that are nobody's business: user and password, and what follows `?`.
fn secrets(name: &str) -> impl Iterator<Item = &str> {
    let rest = if is_url(name) { name.split_once("://").map_or("", |(_, rest)| rest) } else { "" };
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password may hold a slash that should have been escaped: up to the last `@` before the query.
    let user = before.rsplit_once('@').map_or("", |(user, _)| user);
    let password = user.split_once(':').map_or("", |(_, password)| password);
    [query, user, password].into_iter().filter(|secret| !secret.is_empty())
}

/// A source's name without passwords.
pub(super) fn redacted(name: &str) -> String {
    without_secrets(name, name)
}

/// `text` without the secrets of the address `name`.
fn without_secrets(name: &str, text: &str) -> String {
    secrets(name).fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

/// What `ffprobe` says of a video.
#[derive(Debug, Clone, PartialEq)]
struct Probe {
    width: usize,
    height: usize,
    fps: Option<f64>,
    frames: Option<u64>,
    codec: String,
    colour: Colour,
}

impl Probe {
    fn run(name: &str, stop: &Stop) -> Result<Self, CameraError> {
        let mut command = Command::new("ffprobe");
        command.args(["-loglevel", "error", "-select_streams", "v:0", "-of", "json", "-show_entries"]);
        command.arg("stream=codec_name,width,height,avg_frame_rate,r_frame_rate,nb_frames,duration,color_range,color_space:stream_side_data=rotation:format=duration");
        input(&mut command, name);
        let mut program = Program::spawn(name, command)?;
        let mut answer = Vec::new();
        let mut some = [0; 4096];
        let deadline = Instant::now() + PROBE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let read = program.read(stop, left, |pipe| pipe.read(&mut some))?;
            answer.extend_from_slice(&some[..read]);
            if read == 0 || answer.len() > MAX_ANSWER {
                break;
            }
        }
        let failure = program.last_words();
        Self::parse(&answer).map_err(|reason| {
            let reason = if failure.is_empty() { reason } else { failure };
            CameraError::Video { name: redacted(name), reason }
        })
    }

    fn parse(answer: &[u8]) -> Result<Self, String> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            streams: Vec<Stream>,
            format: Format,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Stream {
            codec_name: String,
            width: usize,
            height: usize,
            avg_frame_rate: String,
            r_frame_rate: String,
            nb_frames: String,
            duration: String,
            color_range: String,
            color_space: String,
            side_data_list: Vec<SideData>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct SideData {
            rotation: Option<f64>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Format {
            duration: String,
        }
        let answer: Answer =
            serde_json::from_slice(answer).map_err(|_| "ffprobe does not know what it is")?;
        let stream = answer.streams.into_iter().next().ok_or("there is no video in it")?;
        let (mut width, mut height) = (stream.width, stream.height);
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&width) || !sides.contains(&height) || width * height > MAX_PIXELS {
            return Err(format!("its size of {width}x{height} pixels is out of bounds"));
        }
        // ffmpeg turns pictures the right way up.
        if stream.side_data_list.iter().any(|data| data.rotation.is_some_and(|r| r.rem_euclid(180.0) == 90.0))
        {
            (width, height) = (height, width);
        }
        let fps = rate(&stream.avg_frame_rate).or_else(|| rate(&stream.r_frame_rate));
        let seconds = || stream.duration.parse::<f64>().or(answer.format.duration.parse()).ok();
        let frames = stream.nb_frames.parse().ok();
        let frames = frames.or_else(|| Some((seconds()? * fps?).round() as u64)).filter(|frames| *frames > 0);
        let colour = Colour { bt709: stream.color_space == "bt709", full_range: stream.color_range == "pc" };
        Ok(Self { width, height, fps, frames, codec: stream.codec_name, colour })
    }
}

/// Frames a second from `30000/1001`; `0/0` is unknown.
fn rate(text: &str) -> Option<f64> {
    let (numerator, denominator) = text.split_once('/')?;
    let rate = numerator.parse::<f64>().ok()? / denominator.parse::<f64>().ok()?;
    (0.01..=1000.0).contains(&rate).then_some(rate)
}

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

/// A child process whose output is read and whose last words are kept. It is killed and reaped when dropped.
struct Program {
    source: String,
    child: Child,
    output: ChildStdout,
    /// `None` when it has ended.
    errors: Option<ChildStderr>,
    words: VecDeque<u8>,
}

impl Program {
    fn spawn(source: &str, mut command: Command) -> Result<Self, CameraError> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A Ctrl-C at the terminal is the daemon's to answer.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => CameraError::Program {
                name: redacted(source),
                program: command.get_program().to_string_lossy().into_owned(),
            },
            _ => CameraError::Io { name: redacted(source), error },
        })?;
        let (Some(output), errors) = (child.stdout.take(), child.stderr.take()) else {
            return Err(CameraError::Video {
                name: redacted(source),
                reason: "no pipe to the program".into(),
            });
        };
        // A larger pipe means fewer turns between the processes; the kernel may refuse.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&output, 1 << 20);
        Ok(Self { source: source.into(), child, output, errors, words: VecDeque::new() })
    }

    /// Waits until there is output, and reads once; 0 is its end. Takes up error output on the way.
    fn read(
        &mut self,
        stop: &Stop,
        timeout: Duration,
        mut once: impl FnMut(&mut ChildStdout) -> std::io::Result<usize>,
    ) -> Result<usize, CameraError> {
        let start = Instant::now();
        loop {
            stop.check()?;
            let [output, errors] = self.wait(true)?;
            if errors {
                self.listen()?;
            }
            if output {
                match once(&mut self.output) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    result => return result.map_err(|error| self.io(error)),
                }
            }
            if start.elapsed() > timeout {
                return Err(CameraError::Stalled { name: redacted(&self.source), after: timeout });
            }
        }
    }

    /// What the program said last, once it has ended or a second has passed. Without passwords.
    fn last_words(&mut self) -> String {
        let start = Instant::now();
        while self.errors.is_some() && start.elapsed() < Duration::from_secs(1) {
            if !matches!(self.wait(false), Ok([_, errors]) if !errors || self.listen().is_ok()) {
                break;
            }
        }
        let words = String::from_utf8_lossy(self.words.make_contiguous()).into_owned();
        let words = without_secrets(&self.source, &words);
        let lines: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }

    /// Waits a [`SLICE`] at most for output, if that is wanted, and error output: which of them can be read.
    fn wait(&self, output: bool) -> Result<[bool; 2], CameraError> {
        // One that is not to be waited for is replaced by the other: polling a pipe twice does no harm.
        let errors = self.errors.as_ref().map_or(self.output.as_fd(), AsFd::as_fd);
        let first = if output { self.output.as_fd() } else { errors };
        let mut fds = [first, errors].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let timeout = Timespec { tv_sec: 0, tv_nsec: SLICE.subsec_nanos().into() };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(self.io(error.into())),
        }
        let [first, second] = fds.map(|fd| !fd.revents().is_empty());
        Ok([first && output, second && self.errors.is_some()])
    }

    /// Takes up error output that is there.
    fn listen(&mut self) -> Result<(), CameraError> {
        let mut bytes = [0; 1024];
        let Some(errors) = &mut self.errors else { return Ok(()) };
        match errors.read(&mut bytes) {
            Ok(0) => self.errors = None,
            Ok(read) => {
                self.words.extend(&bytes[..read]);
                self.words.drain(..self.words.len().saturating_sub(KEPT));
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(self.io(error)),
        }
        Ok(())
    }

    fn io(&self, error: std::io::Error) -> CameraError {
        CameraError::Io { name: redacted(&self.source), error }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::spawn("rtsp://me:secret@host/", command).unwrap()
    }

    #[test]
    fn a_missing_program_is_named_with_the_remedy() {
        let error = Program::spawn("a.mp4", Command::new("no-such-ffmpeg")).err().unwrap().to_string();
        assert!(
            error.contains("a.mp4") && error.contains("no-such-ffmpeg") && error.contains("install"),
            "{error}"
        );
    }

    #[test]
    fn silence_is_an_error_after_a_while() {
        let mut program = shell("echo -n abc; exec sleep 60");
        let mut bytes = [0; 8];
        let mut read =
            || program.read(&Stop::new(), Duration::from_millis(150), |pipe| pipe.read(&mut bytes));
        assert_eq!(read().unwrap(), 3);
        let error = read().unwrap_err();
        assert!(matches!(error, CameraError::Stalled { .. }), "{error:?}");
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn the_last_words_are_kept_without_the_password() {
        // More than a pipe holds: the program must not hang on it.
        let mut program =
            shell("yes warning | head -c 300000 >&2; echo 'rtsp://me:secret@host/: refused' >&2");
        let mut bytes = [0; 8];
        assert_eq!(
            program.read(&Stop::new(), Duration::from_secs(60), |pipe| pipe.read(&mut bytes)).unwrap(),
            0
        );
        let words = program.last_words();
        assert!(words.ends_with("rtsp://***@host/: refused"), "{words}");
        assert!(words.len() < KEPT);
    }

    #[test]
    fn a_dropped_program_is_killed_and_reaped() {
        let program = shell("exec sleep 60");
        let process = format!("/proc/{}", program.child.id());
        assert!(std::path::Path::new(&process).exists());
        drop(program);
        assert!(!std::path::Path::new(&process).exists());
    }

    #[test]
    fn a_probe_is_understood() {
        let answer = br#"{"programs": [], "streams": [{"codec_name": "h264", "width": 1920, "height": 1080,
            "color_range": "pc", "color_space": "bt709", "r_frame_rate": "30/1", "avg_frame_rate": "30000/1001",
            "side_data_list": [{"rotation": -90}]}], "format": {"duration": "10.010000"}}"#;
        let probe = Probe::parse(answer).unwrap();
        assert_eq!((probe.width, probe.height, probe.frames), (1080, 1920, Some(300)));
        assert_eq!(probe.colour, Colour { bt709: true, full_range: true });
        let live =
            br#"{"streams": [{"width": 64, "height": 48, "avg_frame_rate": "0/0", "r_frame_rate": "25/1"}]}"#;
        let probe = Probe::parse(live).unwrap();
        assert_eq!((probe.fps, probe.frames), (Some(25.0), None));
        assert!(Probe::parse(br#"{"streams": [], "format": {}}"#).unwrap_err().contains("no video"));
        let huge = br#"{"streams": [{"width": 99999, "height": 99999}]}"#;
        assert!(Probe::parse(huge).unwrap_err().contains("out of bounds"));
        assert!(Probe::parse(b"").is_err());
    }
}
