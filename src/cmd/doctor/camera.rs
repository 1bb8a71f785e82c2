//! `watchword doctor camera`: which cameras there are, what one of them offers, and how steadily it delivers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::camera::v4l2::{
    ControlKind, ControlReport, Device, Found, Inspection, TimestampClock, devices, inspect,
};
use crate::camera::{CameraError, Source, Stop};
use crate::clock::SystemClock;
use crate::cmd::interrupt::stop_on_signals;
use crate::config::{self, DeviceFormat};
use crate::frame::Frame;
use crate::render::Canvas;

/// List cameras; or say what one offers, and measure it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A device: /dev/video0, or a name from /dev/v4l/by-id that stays the same. Without it: all that there are
    device: Option<PathBuf>,
    /// Frames to capture; 0 for none
    #[arg(long, default_value_t = 100, value_name = "N")]
    frames: usize,
    /// Width and height to ask for, as in 640x480; without it as the device is set
    #[arg(long, value_parser = size, value_name = "WxH")]
    size: Option<[u32; 2]>,
    /// Frames a second to ask for
    #[arg(long, value_parser = rate)]
    fps: Option<f64>,
    /// Format to ask for, such as YUYV or MJPG; without it the cheapest that will do
    #[arg(long, value_parser = format)]
    format: Option<DeviceFormat>,
    /// Save the last frame as a JPEG
    #[arg(long, value_name = "FILE.jpg")]
    save: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<[u32; 2], String> {
    let sides = text.split_once(['x', '×']).and_then(|(w, h)| Some([w.parse().ok()?, h.parse().ok()?]));
    sides.filter(|sides| !sides.contains(&0)).ok_or_else(|| "give width and height, such as 640x480".into())
}

fn rate(text: &str) -> Result<f64, String> {
    let fps = text.parse().ok().filter(|fps| *fps > 0.0 && *fps <= 1000.0);
    fps.ok_or_else(|| "give frames a second above 0 and at most 1000".into())
}

fn format(text: &str) -> Result<DeviceFormat, String> {
    serde_json::from_value(text.to_ascii_uppercase().into()).map_err(|error| error.to_string())
}

/// Lists the devices or examines one.
///
/// # Errors
/// If there is no camera, or the one asked for does not deliver.
pub fn run(args: Args) -> anyhow::Result<()> {
    match &args.device {
        None => list(&devices(), args.json),
        Some(device) => examine(device, &args),
    }
}

/// A device in the list.
#[derive(Serialize)]
struct Listed<'a> {
    device: &'a Path,
    stable: &'a [PathBuf],
    #[serde(flatten)]
    identity: Option<&'a crate::camera::v4l2::Identity>,
    error: Option<String>,
}

fn list(found: &[Found], json: bool) -> anyhow::Result<()> {
    let listed: Vec<Listed<'_>> = found
        .iter()
        .map(|found| Listed {
            device: &found.path,
            stable: &found.stable,
            identity: found.identity.as_ref().ok(),
            error: found.identity.as_ref().err().map(CameraError::to_string),
        })
        .collect();
    if json {
        println!("{}", serde_json::to_string_pretty(&listed)?);
    } else {
        for one in &listed {
            match (one.identity, &one.error) {
                (Some(identity), _) => {
                    println!(
                        "{}  {} (driver {}, {})",
                        one.device.display(),
                        identity.card,
                        identity.driver,
                        identity.bus
                    );
                }
                (None, error) => {
                    println!("{}  {}", one.device.display(), error.as_deref().unwrap_or_default())
                }
            }
            one.stable.iter().for_each(|name| println!("    {}", name.display()));
        }
    }
    if found.iter().any(|found| found.identity.is_ok()) {
        if !json {
            println!("\n`watchword doctor camera DEVICE` says what one offers and measures it.");
        }
        return Ok(());
    }
    if found.is_empty() {
        bail!(
            "there is no camera: no /dev/video* that captures; plug one in, see `dmesg` for what became of it, and load \
             its driver (USB: modprobe uvcvideo); a container must be given it (--device /dev/video0)"
        );
    }
    bail!("no camera can be opened, for the reasons above")
}

/// Everything about a device.
#[derive(Serialize)]
struct Report<'a> {
    device: &'a Path,
    #[serde(flatten)]
    inspection: &'a Inspection,
    /// None if no frames were wanted, or none came.
    capture: Option<Capture>,
    error: Option<String>,
}

fn examine(device: &Path, args: &Args) -> anyhow::Result<()> {
    if !device.exists() {
        bail!("there is no {}; `watchword doctor camera` lists the cameras there are", device.display());
    }
    let inspection = inspect(device)?;
    if !args.json {
        print_inspection(device, &inspection);
    }
    let captured = match args.frames {
        0 => None,
        _ => Some(capture(device, args, stop_on_signals()?)),
    };
    let (capture, error) = match captured {
        None => (None, None),
        Some(Ok(capture)) => (Some(capture), None),
        Some(Err(error)) => (None, Some(error)),
    };
    if args.json {
        let error = error.as_ref().map(|error| format!("{error:#}"));
        println!(
            "{}",
            serde_json::to_string_pretty(&Report { device, inspection: &inspection, capture, error })?
        );
    } else if let Some(capture) = &capture {
        print_capture(capture);
    }
    error.map_or(Ok(()), Err)
}

/// What was captured.
#[derive(Debug, Serialize)]
struct Capture {
    /// What the device was opened as.
    description: String,
    /// Pixels.
    width: usize,
    height: usize,
    /// Frames a second that the driver says it gives.
    nominal_fps: Option<f64>,
    /// From opening the device to its first frame.
    first_frame_ms: f64,
    #[serde(flatten)]
    pace: Pace,
    /// Came damaged, and were passed over.
    corrupted: u64,
    timestamps: Option<TimestampClock>,
    /// Frames whose time was impossible, so that their arrival was taken.
    misdated: u64,
    saved: Option<PathBuf>,
}

fn capture(device: &Path, args: &Args, stop: Stop) -> anyhow::Result<Capture> {
    let camera = config::Camera {
        source: device.to_str().context("the device's name is not UTF-8")?.to_owned(),
        size: args.size,
        fps: args.fps,
        format: args.format,
        ..Default::default()
    };
    let start = Instant::now();
    let mut source = Device::open(&camera, Arc::new(SystemClock), stop)?;
    let (mut frame, mut times, mut first) = (Frame::default(), Vec::new(), Duration::ZERO);
    while times.len() < args.frames && source.read(&mut frame)? {
        if times.is_empty() {
            first = start.elapsed();
        }
        times.push((frame.sequence, frame.time.monotonic));
    }
    if let Some(path) = &args.save {
        let mut canvas = Canvas::default();
        canvas.load(&frame.picture);
        canvas.save_jpeg(path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let info = source.info();
    let corrupted = source.corrupted();
    let mut pace = Pace::of(&times);
    // Damaged frames leave gaps, too.
    pace.missing = pace.missing.saturating_sub(corrupted);
    Ok(Capture {
        description: info.description.clone(),
        width: info.width,
        height: info.height,
        nominal_fps: info.fps,
        first_frame_ms: milliseconds(first),
        pace,
        corrupted,
        timestamps: source.timestamps(),
        misdated: source.misdated(),
        saved: args.save.clone(),
    })
}

/// How steadily frames came.
#[derive(Debug, PartialEq, Serialize)]
struct Pace {
    frames: usize,
    seconds: f64,
    /// Of those that came.
    fps: f64,
    /// Standard deviation of the time from one frame to the next.
    jitter_ms: f64,
    longest_interval_ms: f64,
    /// Gaps in the driver's count.
    missing: u64,
}

impl Pace {
    /// Of frames by number and time. Where some are missing, the time between two is shared among them.
    fn of(frames: &[(u64, Duration)]) -> Self {
        let steps: Vec<(f64, u64)> = frames
            .iter()
            .zip(frames.iter().skip(1))
            .map(|((number, time), (next, then))| {
                (milliseconds(then.saturating_sub(*time)), next.saturating_sub(*number))
            })
            .collect();
        let count = steps.len().max(1) as f64;
        let each = || steps.iter().map(|(time, numbers)| time / (*numbers).max(1) as f64);
        let mean = each().sum::<f64>() / count;
        let variance = each().map(|interval| (interval - mean).powi(2)).sum::<f64>() / count;
        let total = steps.iter().map(|(time, _)| time).sum::<f64>();
        Self {
            frames: frames.len(),
            seconds: total / 1e3,
            fps: if total > 0.0 { steps.len() as f64 * 1e3 / total } else { 0.0 },
            jitter_ms: variance.sqrt(),
            longest_interval_ms: steps.iter().map(|(time, _)| *time).fold(0.0, f64::max),
            missing: steps.iter().map(|(_, numbers)| numbers.saturating_sub(1)).sum(),
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn print_inspection(device: &Path, inspection: &Inspection) {
    let Inspection { identity, stable, formats, controls } = inspection;
    let multi_planar = if identity.multi_planar { ", multi-planar" } else { "" };
    println!(
        "{}  {} (driver {}, {}{multi_planar})",
        device.display(),
        identity.card,
        identity.driver,
        identity.bus
    );
    stable.iter().for_each(|name| println!("    {}", name.display()));

    println!("\nFormats");
    let understood = || formats.iter().filter(|offer| offer.understood);
    for (index, offer) in understood().enumerate() {
        // Formats that come in the same sizes stand together.
        if understood().take(index).any(|before| before.sizes == offer.sizes) {
            continue;
        }
        for same in understood().filter(|same| same.sizes == offer.sizes) {
            println!("  {}  {}", same.format, same.description);
        }
        offer.sizes.iter().for_each(|size| println!("        {size}"));
        if offer.sizes.is_empty() {
            println!("        the driver does not say which sizes");
        }
    }
    let others: Vec<String> =
        formats.iter().filter(|offer| !offer.understood).map(|offer| offer.format.to_string()).collect();
    if !others.is_empty() {
        println!("  not read by Watchword: {}", others.join(" "));
    }

    println!("\nControls, for `controls` of a [[camera]]");
    for control in controls {
        println!("  {:<32} {}", control.name, said(control));
    }
    if controls.is_empty() {
        println!("  none");
    }
}

/// A control's value, range, default, and what keeps it from being set.
fn said(control: &ControlReport) -> String {
    let shown = |value: i64| match control.kind {
        ControlKind::Boolean => (value != 0).to_string(),
        ControlKind::Menu | ControlKind::IntegerMenu => match control.items.get(&value) {
            Some(item) => format!("{item:?}"),
            None => value.to_string(),
        },
        ControlKind::Bitmask => format!("{:#x}", value as u32),
        _ => value.to_string(),
    };
    if control.kind == ControlKind::Button {
        return control.range.clone();
    }
    let value = control.value.map_or("unknown".into(), shown);
    let state = match (control.read_only, control.inactive) {
        (true, _) => "; can only be read",
        (_, true) => "; no effect now, something automatic is in charge of it",
        _ => "",
    };
    format!("{value}  [{}; default {}{state}]", control.range, shown(control.default))
}

fn print_capture(capture: &Capture) {
    let Capture { description, first_frame_ms, pace, corrupted, timestamps, misdated, saved, .. } = capture;
    let Pace { frames, seconds, fps, jitter_ms, longest_interval_ms, missing } = pace;
    println!("\nCapture");
    println!("  {description}");
    println!("  first frame after {first_frame_ms:.0} ms");
    println!(
        "  {frames} frames in {seconds:.2} s: {fps:.2}/s, jitter {jitter_ms:.2} ms, longest interval \
         {longest_interval_ms:.1} ms"
    );
    println!("  {missing} missing, {corrupted} damaged");
    let clock = match timestamps {
        Some(TimestampClock::Monotonic) => "the driver's, at the end of each frame (monotonic clock)",
        Some(TimestampClock::MonotonicStartOfExposure) => {
            "the driver's, at the start of each exposure (monotonic clock)"
        }
        Some(TimestampClock::Copied) => "copied by the driver from elsewhere; arrival is taken instead",
        Some(TimestampClock::Unknown) => "of an unknown clock; arrival is taken instead",
        None => "none",
    };
    println!("  timestamps: {clock}");
    if *misdated > 0 {
        println!("  {misdated} of them cannot be, and the frames' arrival was taken");
    }
    if let Some(path) = saved {
        println!("  last frame saved as {}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_jitter_and_gaps_are_measured() {
        let at = |number, ms: u64| (number, Duration::from_millis(ms));
        let steady: Vec<_> = (0..101).map(|n| at(n, 1000 + 40 * n)).collect();
        let pace = Pace::of(&steady);
        assert_eq!((pace.frames, pace.seconds, pace.fps, pace.missing), (101, 4.0, 25.0, 0));
        assert!(pace.jitter_ms < 1e-9 && pace.longest_interval_ms == 40.0);
        // Two of six are missing; those that are there come at their time.
        let pace = Pace::of(&[at(0, 0), at(1, 40), at(4, 160), at(5, 200)]);
        assert_eq!((pace.missing, pace.longest_interval_ms, pace.fps), (2, 120.0, 15.0));
        assert!(pace.jitter_ms < 1e-9);
        let pace = Pace::of(&[at(0, 0), at(1, 30), at(2, 80)]);
        assert!((pace.jitter_ms - 10.0).abs() < 1e-9);
        for few in [&[][..], &[at(0, 5)]] {
            let pace = Pace::of(few);
            assert_eq!((pace.fps, pace.jitter_ms, pace.missing), (0.0, 0.0, 0));
        }
    }

    #[test]
    fn what_is_asked_for_is_checked() {
        assert_eq!(size("640x480"), Ok([640, 480]));
        assert!(["640", "x", "0x3", "-1x2", "axb"].iter().all(|text| size(text).is_err()));
        assert_eq!(rate("12.5"), Ok(12.5));
        assert!(["0", "nan", "-3", "1e9", "fast"].iter().all(|text| rate(text).is_err()));
        assert_eq!(format("mjpg"), Ok(DeviceFormat::Mjpg));
        assert!(format("H264").unwrap_err().contains("expected one of `YUYV`"));
    }

    #[test]
    fn without_a_camera_the_list_says_what_to_do() {
        let error = list(&[], true).unwrap_err().to_string();
        assert!(error.contains("/dev/video*") && error.contains("uvcvideo"), "{error}");
        let denied =
            Err(CameraError::Device { name: "/dev/video0".into(), reason: "permission denied".into() });
        let found = [Found { path: "/dev/video0".into(), stable: Vec::new(), identity: denied }];
        assert!(list(&found, true).is_err());
        let found =
            [Found { path: "/dev/video0".into(), stable: Vec::new(), identity: Ok(Default::default()) }];
        assert!(list(&found, true).is_ok());
    }
}
