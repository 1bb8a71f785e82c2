//! Cameras of the kernel: Video4Linux 2, single- and multi-planar, streaming through mapped memory.
//!
//! [`Device`] is the source. What it asks of a driver is the trait [`driver::Driver`], whose one implementor that is no
//! test's is the device [`node`], over the kernel's [`abi`] and the ioctls of [`sys`]. Which of a device's formats is
//! taken is decided in [`offer`], how its pixels are read in [`format`], what its controls are set to in [`controls`];
//! none of these three knows a device.
//!
//! A driver's buffer is held only while it is copied, and queued again before the frame is handed out. Whatever breaks
//! ends the stream with an error, and the source is to be opened again; a frame that is damaged is passed over and
//! counted, until there are only such.

mod abi;
mod controls;
mod driver;
#[cfg(test)]
mod fake;
mod find;
mod format;
mod node;
mod offer;
mod sys;
#[cfg(test)]
mod tests;

pub use driver::{ControlKind, FourCc, Identity};
pub use find::{ControlReport, Found, Inspection, devices, inspect};
pub use offer::{Bounds, FormatOffer, SizeOffer};

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::{CameraError, MAX_PIXELS, MAX_SIDE, SLICE, Source, SourceInfo, Stop};
use crate::clock::{Clock, FrameTime};
use crate::config;
use crate::frame::Frame;
use driver::{
    BUF_FLAG_ERROR, BUF_FLAG_TIMESTAMP_COPY, BUF_FLAG_TIMESTAMP_MASK, BUF_FLAG_TIMESTAMP_MONOTONIC,
    BUF_FLAG_TSTAMP_SRC_SOE, Driver, Filled, Interval,
};
use format::{FORMATS, Known, Layout};
use node::Node;
use offer::{alternatives, choose, listed, offers};

/// Buffers asked of the driver: one is being read, the others are being filled.
const BUFFERS: u32 = 4;
/// A frame that is older than this when it arrives was dated by another clock.
const OLDEST: Duration = Duration::from_secs(60);
/// A frame that seems to come from so far ahead was dated by another clock; one from less far, by a driver that reckons
/// when the frame should end instead of looking at the clock.
const FURTHEST_AHEAD: Duration = Duration::from_secs(2);
/// A driver that announces a frame and then has none is asked again after this.
const RETRY: Duration = Duration::from_millis(5);

/// What dates a driver's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestampClock {
    /// The kernel's `CLOCK_MONOTONIC`, at the end of the frame.
    Monotonic,
    /// The same, at the start of the exposure.
    MonotonicStartOfExposure,
    /// Whoever feeds the driver; the frames' arrival is taken instead.
    Copied,
    /// Nobody knows; the frames' arrival is taken instead.
    Unknown,
}

/// A streaming camera.
pub struct Device<D = Node> {
    info: SourceInfo,
    name: String,
    driver: D,
    layout: Layout,
    clock: Arc<dyn Clock>,
    stop: Stop,
    stall_timeout: Duration,
    /// How many buffers there are, and which of them are to be queued.
    buffers: usize,
    home: Vec<u32>,
    /// Buffers that the driver did not take.
    refusals: u64,
    /// The driver's 32-bit count and this source's, of the last frame.
    last: Option<(u32, u64)>,
    /// When the last good frame was captured.
    dated: Option<Duration>,
    timestamps: Option<TimestampClock>,
    misdated: u64,
    corrupted: u64,
    /// When the first came of the damaged frames that have come since a good one.
    damaged_since: Option<Duration>,
}

impl Device {
    /// Opens the device that the configuration names, which may be a link, and starts it.
    pub fn open(camera: &config::Camera, clock: Arc<dyn Clock>, stop: Stop) -> Result<Self, CameraError> {
        let node =
            Node::open(Path::new(&camera.source)).map_err(|error| refused(&camera.source, "open", &error))?;
        Self::start(node, &known_as(camera.format), camera, clock, stop)
    }
}

impl<D: Driver> Device<D> {
    /// Starts it in the best of `formats`.
    fn start(
        mut driver: D,
        formats: &[Known],
        camera: &config::Camera,
        clock: Arc<dyn Clock>,
        stop: Stop,
    ) -> Result<Self, CameraError> {
        let name = camera.source.clone();
        let fail = |what: &str, error: io::Error| refused(&name, what, &error);
        let size = match camera.size {
            Some(size) => size,
            None => driver.format().map(|now| [now.width, now.height]).map_err(|e| fail("format", e))?,
        };
        let offers = offers(&driver, size).map_err(|error| fail("formats", error))?;
        let mismatch =
            |reason: String| CameraError::Format { name: name.clone(), reason, offers: listed(&offers) };
        let [width, height] = size;
        let (offer, known) = choose(formats, &offers, size, camera.fps).ok_or_else(|| {
            let wanted = camera.format.map_or("a format that is understood".into(), |f| f.to_string());
            mismatch(format!("{width}x{height} in {wanted} is not offered"))
        })?;

        let format = driver.set_format(known.code, width, height).map_err(|e| fail("set format", e))?;
        if (format.width, format.height, format.format) != (width, height, known.code) {
            let (w, h, code) = (format.width, format.height, format.format);
            return Err(mismatch(format!("asked for {offer}, the driver made it {code} {w}x{h}")));
        }
        let (w, h) = (width as usize, height as usize);
        if w == 0 || h == 0 || w > MAX_SIDE || h > MAX_SIDE || w * h > MAX_PIXELS {
            return Err(mismatch(format!("{width}x{height} pixels are out of bounds")));
        }
        let layout = Layout::new(known.pixels, &format).map_err(&mismatch)?;
        if let Some(fps) = camera.fps
            && let Err(error) = driver.set_interval(Interval::of_rate(fps))
        {
            // Some drivers have one rate and refuse to be told.
            tracing::debug!(source = name, %error, "the driver does not take a frame rate");
        }
        let fps = driver.interval().ok().and_then(Interval::rate).or(offer.fps);
        for reason in controls::apply(&mut driver, &camera.controls) {
            tracing::warn!(source = name, reason, "a control could not be set; the camera runs without it");
        }

        let buffers = driver.make_buffers(BUFFERS).map_err(|error| fail("buffers", error))?;
        let rate = fps.map_or(String::new(), |fps| format!(", {fps:.3} frames/s"));
        let identity = driver.identity();
        let description = format!("{name}, {}, {} {width}x{height}{rate}", identity.card, known.code);
        let info = SourceInfo { description, width: w, height: h, fps, frames: None, live: true };
        let mut device = Self {
            info,
            layout,
            clock,
            stop,
            stall_timeout: camera.stall_timeout.into(),
            buffers: buffers as usize,
            home: (0..buffers).rev().collect(),
            refusals: 0,
            last: None,
            dated: None,
            timestamps: None,
            misdated: 0,
            corrupted: 0,
            damaged_since: None,
            name,
            driver,
        };
        device.queue()?;
        device.driver.start().map_err(|error| device.fail("start", &error))?;
        let (source, driver) = (&device.name, &device.driver.identity().driver);
        tracing::info!(source, driver, taken = %offer, other = alternatives(&offers, &offer), "camera format");
        Ok(device)
    }

    /// What dates the frames; `None` before the first one.
    pub fn timestamps(&self) -> Option<TimestampClock> {
        self.timestamps
    }

    /// Frames whose time was not believed; their arrival was taken.
    pub fn misdated(&self) -> u64 {
        self.misdated
    }

    fn fail(&self, what: &str, error: &io::Error) -> CameraError {
        refused(&self.name, what, error)
    }

    /// Queues the buffers that are here. One that the driver refuses is tried again at the next frame.
    fn queue(&mut self) -> Result<(), CameraError> {
        while let Some(&index) = self.home.last() {
            let Err(error) = self.driver.queue(index) else {
                self.home.pop();
                continue;
            };
            if self.home.len() == self.buffers {
                return Err(self.fail("queue", &error));
            }
            self.refusals += 1;
            if self.refusals.is_power_of_two() {
                let (source, refusals) = (&self.name, self.refusals);
                tracing::warn!(source, index, %error, refusals, "the driver refuses a buffer; it is offered again");
            }
            break;
        }
        Ok(())
    }

    /// Waits for the next buffer.
    fn dequeue(&mut self) -> Result<Filled, CameraError> {
        let start = self.clock.monotonic();
        loop {
            self.stop.check()?;
            let ready = self.driver.wait(SLICE).map_err(|error| self.fail("wait", &error))?;
            if ready.event && self.driver.changed().map_err(|error| self.fail("event", &error))? {
                let reason = "the picture's size or format was changed from elsewhere".into();
                return Err(CameraError::Device { name: self.name.clone(), reason });
            }
            if ready.frame || ready.failed {
                match self.driver.dequeue() {
                    Ok(filled) => return Ok(filled),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && !ready.failed => {
                        std::thread::sleep(RETRY);
                    }
                    Err(error) => return Err(self.fail("frame", &error)),
                }
            }
            if self.clock.monotonic().saturating_sub(start) > self.stall_timeout {
                return Err(CameraError::Stalled { name: self.name.clone(), after: self.stall_timeout });
            }
        }
    }

    /// The number of a frame, damaged or not.
    fn number(&mut self, filled: &Filled) -> u64 {
        let number = self.last.map_or(0, |(driver, number)| {
            // A count that stands still or goes back is no count.
            let passed = filled.sequence.wrapping_sub(driver);
            number + if (1..=u32::MAX / 2).contains(&passed) { u64::from(passed) } else { 1 }
        });
        self.last = Some((filled.sequence, number));
        number
    }

    /// When a frame was captured, by the driver if that can be.
    fn date(&mut self, filled: &Filled) -> FrameTime {
        let now = self.clock.now();
        let clock = match filled.flags & BUF_FLAG_TIMESTAMP_MASK {
            BUF_FLAG_TIMESTAMP_MONOTONIC if filled.flags & BUF_FLAG_TSTAMP_SRC_SOE != 0 => {
                TimestampClock::MonotonicStartOfExposure
            }
            BUF_FLAG_TIMESTAMP_MONOTONIC => TimestampClock::Monotonic,
            BUF_FLAG_TIMESTAMP_COPY => TimestampClock::Copied,
            _ => TimestampClock::Unknown,
        };
        self.timestamps = Some(clock);
        let ours = matches!(clock, TimestampClock::Monotonic | TimestampClock::MonotonicStartOfExposure);
        // Times that leap or run backwards are the driver's mistake; a frame's arrival never is.
        let believed = filled.timestamp.filter(|time| {
            let near = (now.monotonic.saturating_sub(OLDEST)..=now.monotonic + FURTHEST_AHEAD).contains(time);
            ours && near && self.dated.is_none_or(|before| before < *time)
        });
        if ours && believed.is_none() {
            self.misdated += 1;
            if self.misdated.is_power_of_two() {
                let (source, said) = (&self.name, filled.timestamp);
                tracing::warn!(
                    source,
                    ?said,
                    frames = self.misdated,
                    "the driver's time cannot be; the arrival is taken"
                );
            }
        }
        // Nothing is captured after it has arrived.
        let age = believed.map_or(Duration::ZERO, |time| now.monotonic.saturating_sub(time));
        let time = FrameTime {
            monotonic: now.monotonic.saturating_sub(age),
            utc: now.utc.saturating_sub(age).unwrap_or(now.utc),
        };
        self.dated = Some(time.monotonic);
        time
    }

    /// Counts a frame that cannot be used; an error if there have been no others for too long.
    fn pass_over(&mut self, reason: String) -> Result<(), CameraError> {
        self.corrupted += 1;
        let now = self.clock.monotonic();
        if now.saturating_sub(*self.damaged_since.get_or_insert(now)) > self.stall_timeout {
            let reason = format!("nothing but damaged frames for {:?}, lately {reason}", self.stall_timeout);
            return Err(CameraError::Device { name: self.name.clone(), reason });
        }
        if self.corrupted.is_power_of_two() {
            tracing::warn!(
                source = self.name,
                reason,
                corrupted = self.corrupted,
                "damaged frame passed over"
            );
        }
        Ok(())
    }
}

impl<D: Driver> Source for Device<D> {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        loop {
            let filled = self.dequeue()?;
            let result = if filled.flags & BUF_FLAG_ERROR != 0 {
                Err("the driver marks it as damaged".into())
            } else {
                self.layout.fill(&mut frame.picture, |plane| self.driver.data(&filled, plane))
            };
            self.home.push(filled.index);
            self.queue()?;
            let number = self.number(&filled);
            match result {
                Ok(()) => {
                    (frame.sequence, frame.time) = (number, self.date(&filled));
                    self.damaged_since = None;
                    return Ok(true);
                }
                Err(reason) => self.pass_over(reason)?,
            }
        }
    }

    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn corrupted(&self) -> u64 {
        self.corrupted
    }
}

/// The formats that the configuration calls so; all that are understood if it names none.
fn known_as(name: Option<config::DeviceFormat>) -> Vec<Known> {
    FORMATS.into_iter().filter(|known| name.is_none_or(|name| known.name == name)).collect()
}

/// An error of the system's, with what it means of a camera and what helps.
fn refused(name: &str, what: &str, error: &io::Error) -> CameraError {
    let means = match Errno::from_io_error(error) {
        Some(Errno::NOENT) => return CameraError::Missing { name: name.into() },
        Some(Errno::ACCESS | Errno::PERM) => {
            "permission denied; put the user into the group `video` (usermod -aG video USER) and log in again"
                .into()
        }
        Some(Errno::BUSY) => "another program is using it; stop that, or use another camera".into(),
        Some(Errno::NOTTY) => "it is no capture device".into(),
        Some(Errno::NODEV | Errno::NXIO) if what == "open" => {
            "it is no capture device, or has been removed; `watchword doctor camera` lists those there are"
                .into()
        }
        Some(Errno::NODEV | Errno::NXIO) => "the device has been removed".into(),
        Some(Errno::IO) => "the driver reports that the device failed (EIO)".into(),
        Some(Errno::NOMEM) => "there is no memory for the driver's buffers".into(),
        Some(Errno::INVAL) => format!("the driver refuses ({error})"),
        _ => error.to_string(),
    };
    CameraError::Device { name: name.into(), reason: format!("{what}: {means}") }
}
