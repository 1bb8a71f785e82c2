//! `ffmpeg` as it decodes: in hardware if that is wanted and works, into NV12 of a known size and colour.

use std::io::Read;
use std::process::Command;
use std::time::Duration;

use super::OPENING;
use super::input::Input;
use super::probe::Probe;
use super::program::Program;
use crate::camera::{CameraError, MAX_PIXELS, MAX_SIDE, Stop};
use crate::config::{self, Hwaccel};
use crate::frame::{Colour, Picture, PixelFormat};

/// A running `ffmpeg`.
pub struct Decoder {
    input: Input,
    live: bool,
    /// Pixels.
    pub size: [usize; 2],
    colour: Colour,
    codec: String,
    hwaccel: Hwaccel,
    /// How long a live input may be silent.
    stall_timeout: Duration,
    stop: Stop,
    program: Program,
    /// Frames since the program started.
    frames: u64,
}

impl Decoder {
    /// Starts it on what `probe` found in `input`.
    pub fn start(
        camera: &config::Camera,
        input: Input,
        probe: &Probe,
        live: bool,
        stop: Stop,
    ) -> Result<Self, CameraError> {
        let size = size(camera, &input, probe)?;
        let (colour, hwaccel) = (probe.colour, camera.hwaccel);
        let program = spawn(&input, live, size, colour, arguments(hwaccel, &probe.codec))?;
        let (codec, stall_timeout) = (probe.codec.clone(), camera.stall_timeout.into());
        Ok(Self { input, live, size, colour, codec, hwaccel, stall_timeout, stop, program, frames: 0 })
    }

    /// Begins again.
    pub fn restart(&mut self) -> Result<(), CameraError> {
        let hardware = arguments(self.hwaccel, &self.codec);
        self.program = spawn(&self.input, self.live, self.size, self.colour, hardware)?;
        self.frames = 0;
        Ok(())
    }

    /// Fills `picture` with the next frame; false at the end of the stream, whole frames only.
    pub fn read(&mut self, picture: &mut Picture) -> Result<bool, CameraError> {
        let mut result = self.fill(picture);
        if self.frames == 0 && self.hwaccel != Hwaccel::None && is_failure(&result) {
            let reason = match (&result, self.last_words()) {
                (Err(error), words) if words.is_empty() => error.to_string(),
                (_, words) => words,
            };
            let (source, hwaccel) = (self.input.address.shown(), self.hwaccel);
            tracing::warn!(
                source,
                ?hwaccel,
                reason,
                "no picture from hardware decoding; the processor does it"
            );
            self.hwaccel = Hwaccel::None;
            self.restart()?;
            result = self.fill(picture);
        }
        self.frames += u64::from(matches!(result, Ok(true)));
        result
    }

    /// Frames since it was started or restarted.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// What the program said last. Without passwords.
    pub fn last_words(&mut self) -> String {
        self.program.last_words()
    }

    fn fill(&mut self, picture: &mut Picture) -> Result<bool, CameraError> {
        picture.reset(PixelFormat::Nv12, self.size[0], self.size[1]);
        picture.colour = self.colour;
        // The first frame comes after the connection, the stream's description and its next key frame.
        let timeout = match (self.live, self.frames) {
            // A device that hangs must not keep the processor from doing it.
            (false, 0) if self.hwaccel != Hwaccel::None => OPENING,
            (false, _) => Duration::MAX,
            (true, 0) => self.stall_timeout.max(OPENING),
            (true, _) => self.stall_timeout,
        };
        let mut filled = 0;
        while filled < picture.data.len() {
            let rest = &mut picture.data[filled..];
            let read = self.program.read(&self.stop, timeout, |pipe| pipe.read(rest))?;
            if read == 0 {
                return Ok(false);
            }
            filled += read;
        }
        Ok(true)
    }
}

/// Whether no frame came, and not because none was wanted.
fn is_failure(result: &Result<bool, CameraError>) -> bool {
    matches!(result, Ok(false)) || matches!(result, Err(error) if !matches!(error, CameraError::Stopped))
}

/// The size to deliver: the configured one, else the video's.
fn size(camera: &config::Camera, input: &Input, probe: &Probe) -> Result<[usize; 2], CameraError> {
    let [width, height] =
        camera.size.map_or([probe.width, probe.height], |size| size.map(|side| side as usize));
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS {
        let reason = format!("size {width}x{height} is out of bounds");
        return Err(CameraError::Video { name: input.address.shown().to_owned(), reason });
    }
    Ok([width, height])
}

/// The arguments that make `ffmpeg` decode `codec` so. Frames that come out in a device's memory are fetched from there
/// by itself, since nothing is asked of their format.
fn arguments(hwaccel: Hwaccel, codec: &str) -> Vec<String> {
    let method = |name: &str| vec!["-hwaccel".to_owned(), name.to_owned()];
    match hwaccel {
        Hwaccel::None => Vec::new(),
        Hwaccel::Auto => method("auto"),
        Hwaccel::Vaapi => method("vaapi"),
        Hwaccel::Qsv => method("qsv"),
        Hwaccel::Nvdec => method("cuda"),
        Hwaccel::Drm => method("drm"),
        Hwaccel::Rkmpp => method("rkmpp"),
        // These are decoders of their own, one for each codec, named by it: mpeg2_v4l2m2m for mpeg2video.
        Hwaccel::V4l2m2m => {
            let codec = codec.strip_suffix("video").unwrap_or(codec);
            vec!["-c:v".to_owned(), format!("{codec}_v4l2m2m")]
        }
    }
}

fn spawn(
    input: &Input,
    live: bool,
    [width, height]: [usize; 2],
    colour: Colour,
    hardware: Vec<String>,
) -> Result<Program, CameraError> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-loglevel", "error"]);
    if live {
        command.args(["-flags", "low_delay"]);
    }
    command.args(hardware);
    let script = input.add_to(&mut command);
    let range = if colour.full_range { "pc" } else { "tv" };
    let matrix = if colour.bt709 { "bt709" } else { "bt601" };
    // A picture that changes its size or colours on the way is brought back to these.
    command.args(["-map", "0:v:0", "-fps_mode", "passthrough", "-vf"]);
    command.arg(format!(
        "scale={width}:{height}:flags=bilinear:out_range={range}:out_color_matrix={matrix},format=nv12"
    ));
    command.args(["-f", "rawvideo", "-pix_fmt", "nv12", "pipe:1"]);
    Program::spawn(&input.address, command, script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_decoding_has_its_arguments() {
        assert_eq!(arguments(Hwaccel::None, "h264"), Vec::<String>::new());
        assert_eq!(arguments(Hwaccel::Nvdec, "h264"), ["-hwaccel", "cuda"]);
        assert_eq!(arguments(Hwaccel::V4l2m2m, "hevc"), ["-c:v", "hevc_v4l2m2m"]);
        assert_eq!(arguments(Hwaccel::V4l2m2m, "mpeg2video"), ["-c:v", "mpeg2_v4l2m2m"]);
    }
}
