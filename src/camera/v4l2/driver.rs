//! What a capture device can be asked to do. The seam at which a test puts a driver of its own, with faults of its own.

use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Pieces of memory that a buffer may be made of, in the formats that are understood.
pub const MAX_PLANES: usize = 3;

/// `V4L2_BUF_FLAG_ERROR`: the data is damaged, though the stream goes on.
pub const BUF_FLAG_ERROR: u32 = 0x40;
/// `V4L2_BUF_FLAG_TIMESTAMP_MASK`
pub const BUF_FLAG_TIMESTAMP_MASK: u32 = 0xe000;
/// `V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC`
pub const BUF_FLAG_TIMESTAMP_MONOTONIC: u32 = 0x2000;
/// `V4L2_BUF_FLAG_TIMESTAMP_COPY`: whoever feeds the driver dates the frames.
pub const BUF_FLAG_TIMESTAMP_COPY: u32 = 0x4000;
/// `V4L2_BUF_FLAG_TSTAMP_SRC_SOE`: the time is that of the start of the exposure, not of the end of the frame.
pub const BUF_FLAG_TSTAMP_SRC_SOE: u32 = 0x1_0000;

/// A capture device that has been opened. Dropping it ends the stream and gives back buffers, memory and descriptor.
pub trait Driver: Send {
    fn identity(&self) -> &Identity;

    /// The formats, in the driver's order.
    fn formats(&self) -> io::Result<Vec<Description>>;

    /// The sizes of a format; none from drivers that do not say.
    fn sizes(&self, format: FourCc) -> Vec<SizeRange>;

    /// The intervals between frames of a format and size; none from drivers that do not say.
    fn intervals(&self, format: FourCc, width: u32, height: u32) -> Vec<IntervalRange>;

    fn format(&self) -> io::Result<Format>;

    /// Asks for format, width and height; returns what the driver made of it.
    fn set_format(&mut self, format: FourCc, width: u32, height: u32) -> io::Result<Format>;

    fn interval(&self) -> io::Result<Interval>;

    /// Asks for an interval between frames; returns what the driver made of it.
    fn set_interval(&mut self, interval: Interval) -> io::Result<Interval>;

    /// Whatever can be set or read; nothing from drivers without controls.
    fn controls(&self) -> Vec<Control>;

    fn control(&self, control: &Control) -> io::Result<i64>;

    fn set_control(&mut self, control: &Control, value: i64) -> io::Result<()>;

    /// Makes about `count` buffers and maps them; returns how many there are.
    fn make_buffers(&mut self, count: u32) -> io::Result<u32>;

    /// Hands a buffer to the driver, to be filled.
    fn queue(&mut self, index: u32) -> io::Result<()>;

    fn start(&mut self) -> io::Result<()>;

    /// Waits until something happens, at most for `timeout`.
    fn wait(&mut self, timeout: Duration) -> io::Result<Ready>;

    /// Takes a filled buffer, without waiting.
    fn dequeue(&mut self) -> io::Result<Filled>;

    /// What the driver filled into piece `plane` of a buffer; empty while the driver has the buffer.
    fn data(&self, filled: &Filled, plane: usize) -> &[u8];

    /// Takes all events; whether one says that the pictures have changed.
    fn changed(&mut self) -> io::Result<bool>;
}

/// What has happened to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready {
    /// A buffer is filled.
    pub frame: bool,
    pub event: bool,
    /// Something has gone wrong; trying to take a frame says what.
    pub failed: bool,
}

/// A buffer that came back from the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filled {
    pub index: u32,
    /// `V4L2_BUF_FLAG_*`
    pub flags: u32,
    pub sequence: u32,
    /// By the driver's clock; `None` if it is no time at all.
    pub timestamp: Option<Duration>,
    /// Where the data begins and ends in each piece of memory.
    pub ranges: [(u32, u32); MAX_PLANES],
}

/// Who the device is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Identity {
    pub driver: String,
    pub card: String,
    pub bus: String,
    /// Whether only the multi-planar interface is spoken.
    pub multi_planar: bool,
}

/// The kernel's four characters for a format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FourCc(pub [u8; 4]);

impl From<u32> for FourCc {
    fn from(code: u32) -> Self {
        Self(code.to_le_bytes())
    }
}

impl From<FourCc> for u32 {
    fn from(code: FourCc) -> Self {
        Self::from_le_bytes(code.0)
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The highest bit says that the bytes come in the other order.
        let [a, b, c, d] = self.0;
        let order = if d & 0x80 != 0 { "-BE" } else { "" };
        write!(f, "{}{order}", [a, b, c, d & 0x7f].trim_ascii_end().escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for FourCc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A format that a driver offers, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub format: FourCc,
    pub text: String,
}

/// Sizes in pixels. One size has equal bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeRange {
    pub width: Steps,
    pub height: Steps,
}

/// From `minimum` to `maximum` in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    pub minimum: u32,
    pub maximum: u32,
    pub step: u32,
}

impl Steps {
    pub const fn one(value: u32) -> Self {
        Self { minimum: value, maximum: value, step: 1 }
    }

    /// The nearest that there is, not above `wanted` where that is possible.
    pub fn nearest(self, wanted: u32) -> u32 {
        let within = wanted.clamp(self.minimum, self.maximum.max(self.minimum));
        within - (within - self.minimum) % self.step.max(1)
    }
}

/// Seconds between two frames, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub numerator: u32,
    pub denominator: u32,
}

impl Interval {
    /// The interval at `fps` frames a second.
    pub fn of_rate(fps: f64) -> Self {
        Self { numerator: 1000, denominator: (fps * 1000.0).round() as u32 }
    }

    /// Frames a second; `None` for an interval that is none.
    pub fn rate(self) -> Option<f64> {
        let fps = f64::from(self.denominator) / f64::from(self.numerator);
        (fps.is_finite() && fps > 0.0).then_some(fps)
    }
}

/// From the shortest to the longest interval; one interval has equal bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntervalRange {
    pub shortest: Interval,
    pub longest: Interval,
}

/// How a driver's pixels lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Format {
    pub format: FourCc,
    pub width: u32,
    pub height: u32,
    /// `enum v4l2_colorspace`
    pub colorspace: u32,
    /// `enum v4l2_ycbcr_encoding`
    pub encoding: u32,
    /// `enum v4l2_quantization`
    pub quantization: u32,
    /// Pieces of memory that a buffer is made of.
    pub planes: usize,
    /// Bytes from one row to the next in each of them; 0 where the driver does not say.
    pub strides: [u32; MAX_PLANES],
}

/// Something of a device that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    pub id: u32,
    /// In the driver's words.
    pub name: String,
    pub kind: ControlKind,
    pub minimum: i64,
    pub maximum: i64,
    pub step: u64,
    pub default: i64,
    /// It cannot be set.
    pub read_only: bool,
    /// Something else is in charge of it now, such as an automatic mode.
    pub inactive: bool,
    /// The menu's items that there are, with their values.
    pub items: Vec<(i64, String)>,
}

/// `enum v4l2_ctrl_type`, as far as a value is one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlKind {
    Integer,
    Integer64,
    Boolean,
    Menu,
    IntegerMenu,
    Bitmask,
    /// Does something when it is set, whatever to.
    Button,
}
