//! Cameras of the kernel: Video4Linux 2, single-planar, memory-mapped streaming.
//!
//! Which of a device's formats is taken is decided in [`offer`], apart from any device.

mod offer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use v4l::buffer::{Flags, Metadata, Type};
use v4l::format::{Colorspace, Quantization};
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Format, FourCC, Fraction};

use super::{CameraError, MAX_PIXELS, MAX_SIDE, SLICE, Source, SourceInfo, Stop, jpeg};
use crate::clock::{Clock, FrameTime};
use crate::config;
use crate::frame::{Colour, Frame, Picture, PixelFormat, Plane};
use offer::{FORMATS, Known, Pixels, choose, listed, offers, rate};

/// Buffers asked of the driver: one is being read, the others are being filled.
const BUFFERS: u32 = 4;
/// A camera that is silent for so long has failed.
const STALLED: Duration = Duration::from_secs(5);
/// The colours of YUV, from what the driver says or what the kernel's documentation makes of its silence.
fn colour(format: &Format) -> Colour {
    Colour {
        bt709: matches!(format.colorspace, Colorspace::Rec709),
        full_range: match format.quantization {
            Quantization::FullRange => true,
            Quantization::LimitedRange => false,
            Quantization::Default => matches!(format.colorspace, Colorspace::JPEG),
        },
    }
}

/// A streaming camera.
pub(super) struct Device {
    info: SourceInfo,
    name: String,
    device: v4l::Device,
    stream: Stream<'static>,
    format: Format,
    pixels: Pixels,
    clock: Arc<dyn Clock>,
    stop: Stop,
    /// The driver's 32-bit count and this source's, of the last frame.
    last: Option<(u32, u64)>,
    bad: u64,
}

impl Device {
    pub fn open(camera: &config::Camera, clock: Arc<dyn Clock>, stop: Stop) -> Result<Self, CameraError> {
        Self::open_in(&FORMATS, camera, clock, stop)
    }

    /// Opens it in the best of `formats`.
    fn open_in(
        formats: &[Known],
        camera: &config::Camera,
        clock: Arc<dyn Clock>,
        stop: Stop,
    ) -> Result<Self, CameraError> {
        let name = camera.source.clone();
        let fail = |what: &str, error: io::Error| CameraError::Device {
            name: name.clone(),
            reason: match error.raw_os_error() {
                Some(code) if code == Errno::BUSY.raw_os_error() => {
                    format!("{what}: another program is using it")
                }
                Some(code) if code == Errno::NOTTY.raw_os_error() => {
                    format!("{what}: it is no capture device with one plane")
                }
                Some(code) if code == Errno::INVAL.raw_os_error() => {
                    format!("{what}: refused; is it a capture device with one plane?")
                }
                Some(code) if code == Errno::ACCESS.raw_os_error() => {
                    format!("{what}: {error}; is the user in the group `video`?")
                }
                _ => format!("{what}: {error}"),
            },
        };
        let device = v4l::Device::with_path(&name).map_err(|error| fail("open", error))?;
        let caps = device.query_caps().map_err(|error| fail("query", error))?;
        let current = device.format().map_err(|error| fail("format", error))?;
        let size = camera.size.unwrap_or([current.width, current.height]);
        let offers = offers(&device, size).map_err(|error| fail("formats", error))?;
        let mismatch =
            |reason: String| CameraError::Format { name: name.clone(), reason, offers: listed(&offers) };
        let [width, height] = size;
        let (offer, pixels) = choose(formats, &offers, size, camera.fps).ok_or_else(|| {
            mismatch(format!("{width}x{height} in a format that is understood is not offered"))
        })?;

        let asked = Format::new(width, height, FourCC::new(&offer.format));
        let format = device.set_format(&asked).map_err(|error| fail("set format", error))?;
        if (format.width, format.height, format.fourcc) != (width, height, asked.fourcc) {
            let (w, h, fourcc) = (format.width, format.height, format.fourcc);
            return Err(mismatch(format!("asked for {offer}, the driver made it {fourcc} {w}x{h}")));
        }
        let (w, h) = (width as usize, height as usize);
        if w == 0 || h == 0 || w > MAX_SIDE || h > MAX_SIDE || w * h > MAX_PIXELS {
            return Err(mismatch(format!("{width}x{height} pixels are out of bounds")));
        }
        if let Some(fps) = camera.fps {
            let interval = Fraction::new(1000, (fps * 1000.0).round() as u32);
            // Some drivers have one rate and refuse to be told.
            if let Err(error) = device.set_params(&Parameters::new(interval)) {
                tracing::debug!(source = name, %error, "the driver does not take a frame rate");
            }
        }
        let fps = device.params().ok().and_then(|params| rate(params.interval)).or(offer.fps);

        let mut stream =
            Stream::with_buffers(&device, Type::VideoCapture, BUFFERS).map_err(|e| fail("buffers", e))?;
        // `Stream::next` queues the buffer it gave out last and waits for another. It starts with the first one
        // counted as given out, so the others are queued here; the driver may have made fewer or more than asked.
        let queued = (1..).take_while(|index| stream.queue(*index).is_ok()).count();
        if queued == 0 {
            return Err(fail("queue", io::Error::other("the driver has too few buffers")));
        }
        stream.start().map_err(|error| fail("start", error))?;

        let rate = fps.map_or(String::new(), |fps| format!(", {fps:.3} frames/s"));
        let info = SourceInfo {
            description: format!("{name}, {}, {} {width}x{height}{rate}", caps.card, format.fourcc),
            width: w,
            height: h,
            fps,
            frames: None,
            live: true,
        };
        Ok(Self { info, name, device, stream, format, pixels, clock, stop, last: None, bad: 0 })
    }

    fn fail(&self, error: &io::Error) -> CameraError {
        CameraError::Device { name: self.name.clone(), reason: error.to_string() }
    }

    /// Waits until the driver has a frame, so that taking it does not block.
    fn wait(&self) -> Result<(), CameraError> {
        let handle = self.device.handle();
        let start = self.clock.monotonic();
        loop {
            self.stop.check()?;
            // In milliseconds; POLLIN.
            match handle.poll(1, SLICE.as_millis() as i32) {
                Ok(0) => {}
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail(&error)),
            }
            if self.clock.monotonic().saturating_sub(start) > STALLED {
                return Err(CameraError::Stalled { name: self.name.clone(), after: STALLED });
            }
        }
    }
}

impl Source for Device {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        loop {
            self.wait()?;
            let (bytes, meta) = match self.stream.next() {
                Ok(next) => next,
                Err(error) => {
                    return Err(CameraError::Device { name: self.name.clone(), reason: error.to_string() });
                }
            };
            let used = bytes.get(..meta.bytesused as usize).unwrap_or(bytes);
            let result = if meta.flags.contains(Flags::ERROR) {
                Err("the driver marks it as damaged".into())
            } else {
                fill(&mut frame.picture, used, self.pixels, &self.format)
            };
            frame.sequence = match self.last {
                Some((driver, count)) => count + u64::from(meta.sequence.wrapping_sub(driver)),
                None => 0,
            };
            self.last = Some((meta.sequence, frame.sequence));
            frame.time = captured(meta, self.clock.now());
            match result {
                Ok(()) => return Ok(true),
                Err(reason) => {
                    self.bad += 1;
                    if self.bad.is_power_of_two() {
                        tracing::warn!(source = self.name, reason, bad = self.bad, "frame skipped");
                    }
                }
            }
        }
    }

    fn info(&self) -> &SourceInfo {
        &self.info
    }
}

/// When the driver says the frame was captured; now, if its clock is not the monotonic one.
fn captured(meta: &Metadata, now: FrameTime) -> FrameTime {
    let seconds = u64::try_from(meta.timestamp.sec).unwrap_or(0);
    let monotonic = Duration::from_secs(seconds) + Duration::from_micros(meta.timestamp.usec.unsigned_abs());
    let age = now.monotonic.checked_sub(monotonic);
    match age {
        Some(age) if meta.flags.contains(Flags::TIMESTAMP_MONOTONIC) && age < Duration::from_secs(60) => {
            let utc = now.utc.saturating_sub(age).unwrap_or(now.utc);
            FrameTime { monotonic, utc }
        }
        _ => now,
    }
}

/// Copies a driver's buffer into a picture, once. Says what is wrong with it.
fn fill(picture: &mut Picture, bytes: &[u8], pixels: Pixels, driver: &Format) -> Result<(), String> {
    let (width, height, stride) = (driver.width as usize, driver.height as usize, driver.stride as usize);
    match pixels {
        Pixels::Jpeg => return jpeg::decode(bytes, picture),
        Pixels::Packed(order) => {
            (picture.width, picture.height) = (width, height);
            let stride = if stride == 0 { width.div_ceil(2) * 4 } else { stride };
            picture.split_packed(order, bytes, stride).map_err(|error| error.to_string())?;
        }
        Pixels::Planes(format) => {
            picture.reset(format, width, height);
            if stride != 0 {
                picture.planes = planes(format, stride, height);
            }
            picture.data.clear();
            picture.data.extend_from_slice(bytes);
            picture.check().map_err(|error| error.to_string())?;
        }
    }
    picture.colour = colour(driver);
    Ok(())
}

/// The planes of a driver's contiguous buffer: `stride` is that of the first plane, and the others follow from it
/// (the kernel's documentation of `V4L2_PIX_FMT_NV12` and `V4L2_PIX_FMT_YUV420`).
fn planes(format: PixelFormat, stride: usize, height: usize) -> [Plane; 3] {
    let luma = Plane { offset: 0, stride };
    let second = stride * height;
    match format {
        PixelFormat::Nv12 | PixelFormat::Nv21 => [luma, Plane { offset: second, stride }, Plane::default()],
        PixelFormat::I420 => {
            let half = stride / 2;
            let third = second + half * height.div_ceil(2);
            [luma, Plane { offset: second, stride: half }, Plane { offset: third, stride: half }]
        }
        _ => [luma, Plane::default(), Plane::default()],
    }
}

#[cfg(test)]
mod tests {
    use v4l::Timestamp;

    use super::*;

    #[test]
    fn drivers_buffers_become_pictures() {
        let mut picture = Picture::new(PixelFormat::Grey, 0, 0);
        for (fourcc, pixels) in FORMATS.iter().filter(|(_, pixels)| *pixels != Pixels::Jpeg) {
            // Rows with 6 bytes to spare, and an odd height.
            let (stride, rows) = match *fourcc {
                b"NV12" | b"NV21" | b"YU12" => (8 + 8, 5 + 3),
                b"YUYV" | b"UYVY" => (16 + 6, 5),
                b"RGB3" | b"BGR3" => (24 + 6, 5),
                _ => (8 + 6, 5),
            };
            let driver = Format { stride, ..Format::new(8, 5, FourCC::new(fourcc)) };
            let bytes = vec![7; stride as usize * rows];
            fill(&mut picture, &bytes, *pixels, &driver).unwrap();
            assert_eq!((picture.width, picture.height), (8, 5));
            assert_eq!(picture.check(), Ok(()), "{fourcc:?}");
            let short = fill(&mut picture, &bytes[..40], *pixels, &driver).unwrap_err();
            assert!(short.contains("8x5"), "{short}");
        }
        let mut jpeg = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 90);
        encoder.encode(&[100; 8 * 5 * 3], 8, 5, jpeg_encoder::ColorType::Rgb).unwrap();
        // Drivers pad their buffers.
        jpeg.extend_from_slice(&[0; 100]);
        fill(&mut picture, &jpeg, Pixels::Jpeg, &Format::new(8, 5, FourCC::new(b"MJPG"))).unwrap();
        assert_eq!(picture.format, PixelFormat::Rgb24);
    }

    #[test]
    fn frames_are_dated_by_the_driver_if_its_clock_is_ours() {
        let now = FrameTime {
            monotonic: Duration::from_millis(90_500),
            utc: jiff::Timestamp::from_second(1_000).unwrap(),
        };
        let at = |flags, sec, usec| {
            let timestamp = Timestamp { sec, usec };
            captured(&Metadata { flags, timestamp, ..Default::default() }, now)
        };
        let time = at(Flags::TIMESTAMP_MONOTONIC, 90, 400_000);
        assert_eq!(time.monotonic, Duration::from_millis(90_400));
        assert_eq!(time.utc, jiff::Timestamp::from_millisecond(999_900).unwrap());
        // Another clock, a time to come, and no time at all.
        assert_eq!(at(Flags::TIMESTAMP_COPY, 90, 400_000), now);
        assert_eq!(at(Flags::TIMESTAMP_MONOTONIC, 91, 0), now);
        assert_eq!(at(Flags::TIMESTAMP_MONOTONIC, 0, 0), now);
    }

    /// Against a real driver, in every format that it has at the size it is set to. Run by hand or on a bench:
    /// `WATCHWORD_TEST_DEVICE=/dev/video0 cargo test -- --ignored --nocapture a_device`.
    #[test]
    #[ignore = "needs a camera, and WATCHWORD_TEST_DEVICE to name it"]
    fn a_device_gives_frames_in_every_format() {
        let source = std::env::var("WATCHWORD_TEST_DEVICE").expect("WATCHWORD_TEST_DEVICE");
        let camera = config::Camera { source, ..Default::default() };
        let mut first: Option<[u64; 3]> = None;
        for known in FORMATS {
            let (stop, clock) = (Stop::new(), Arc::new(crate::clock::SystemClock));
            let mut device = match Device::open_in(&[known], &camera, clock, stop.clone()) {
                Ok(device) => device,
                Err(CameraError::Format { .. }) => continue,
                Err(error) => panic!("{error}"),
            };
            println!("{:?}", device.info());
            let (mut frame, mut rgb, mut last) = (Frame::default(), Vec::new(), None);
            for _ in 0..10 {
                assert!(device.read(&mut frame).unwrap());
                assert_eq!(
                    (frame.picture.width, frame.picture.height),
                    (device.info.width, device.info.height)
                );
                let now = (frame.sequence, frame.time.monotonic);
                assert!(last.is_none_or(|last: (u64, Duration)| last.0 < now.0 && last.1 < now.1));
                last = Some(now);
            }
            frame.picture.to_rgb(&mut rgb);
            let sum = |c: usize| rgb.iter().skip(c).step_by(3).map(|v| u64::from(*v)).sum::<u64>();
            let means = [0, 1, 2].map(|c| sum(c) * 3 / rgb.len() as u64);
            println!("{} {:?} means {means:?}", frame.sequence, frame.time);
            if known.1 != Pixels::Planes(PixelFormat::Grey) {
                let first = first.get_or_insert(means);
                assert!(first.iter().zip(means).all(|(a, b)| a.abs_diff(b) <= 3), "{first:?} {means:?}");
            }
            stop.set();
            assert!(matches!(device.read(&mut frame), Err(CameraError::Stopped)));
        }
        assert!(first.is_some(), "no format that is understood");
    }
}
