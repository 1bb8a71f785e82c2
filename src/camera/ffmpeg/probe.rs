//! What `ffprobe` says of a video before it is opened.

use std::io::Read;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::input::Input;
use super::program::Program;
use crate::camera::{CameraError, MAX_PIXELS, MAX_SIDE, Stop};
use crate::frame::Colour;

/// `ffprobe` that takes so long has failed.
const PROBE: Duration = Duration::from_secs(20);
/// More of `ffprobe`'s answer than this is not read.
const MAX_ANSWER: usize = 1 << 20;

/// What `ffprobe` says of a video.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    pub width: usize,
    pub height: usize,
    pub fps: Option<f64>,
    pub frames: Option<u64>,
    pub codec: String,
    pub colour: Colour,
}

impl Probe {
    pub fn run(input: &Input, stop: &Stop) -> Result<Self, CameraError> {
        let mut command = Command::new("ffprobe");
        command.args(["-loglevel", "error", "-select_streams", "v:0", "-of", "json", "-show_entries"]);
        command.arg("stream=codec_name,width,height,avg_frame_rate,r_frame_rate,nb_frames,duration,color_range,color_space:stream_side_data=rotation:format=duration");
        let script = input.add_to(&mut command);
        let mut program = Program::spawn(&input.address, command, script)?;
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
            CameraError::Video { name: input.address.shown().to_owned(), reason }
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

#[cfg(test)]
mod tests {
    use super::*;

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
