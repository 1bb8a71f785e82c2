//! A device node as a [`Driver`]: what the kernel's structures say, in our own terms.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::abi;
use super::driver::{
    Control, ControlKind, Description, Driver, Filled, Format, FourCc, Identity, Interval, IntervalRange,
    MAX_PLANES, Ready, SizeRange, Steps,
};
use super::sys::{Argument, Handle, Way, zeroed};

/// More than this of anything that is enumerated is a driver that does not stop.
const MOST: u32 = 1024;

/// An open device node that captures.
pub struct Node {
    handle: Handle,
    identity: Identity,
}

impl Node {
    /// Opens `path`, which may be a link.
    ///
    /// # Errors
    /// The system's; `ENOTTY` if it is no V4L2 device, `ENODEV` if it is one that does not capture.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut handle = Handle::open(path)?;
        let mut caps: abi::Capability = zeroed();
        handle.call(abi::QUERYCAP, Way::Out, &mut caps)?;
        // Of this node, not of the hardware as a whole.
        let can =
            if caps.capabilities & abi::CAP_DEVICE_CAPS != 0 { caps.device_caps } else { caps.capabilities };
        let single = can & abi::CAP_VIDEO_CAPTURE != 0;
        let multi = can & abi::CAP_VIDEO_CAPTURE_MPLANE != 0;
        if !(single || multi) || can & abi::CAP_STREAMING == 0 {
            return Err(Errno::NODEV.into());
        }
        handle.multi_planar = !single;
        // Not every driver has it, and those without it need none.
        let mut wanted: abi::EventSubscription = zeroed();
        wanted.kind = abi::EVENT_SOURCE_CHANGE;
        let _ = handle.call(abi::SUBSCRIBE_EVENT, Way::In, &mut wanted);
        let identity = Identity {
            driver: text(&caps.driver),
            card: text(&caps.card),
            bus: text(&caps.bus_info),
            multi_planar: !single,
        };
        Ok(Self { handle, identity })
    }

    /// Calls with index 0, 1, .. until the driver says that there is no more.
    fn enumerate<T: Argument>(&self, number: u8, argument: impl Fn(u32) -> T) -> io::Result<Vec<T>> {
        let mut all = Vec::new();
        for index in 0..MOST {
            let mut argument = argument(index);
            match self.handle.call(number, Way::Both, &mut argument) {
                Ok(()) => all.push(argument),
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => break,
                Err(_) if index > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    fn parameters(&self) -> abi::StreamParameters {
        let mut parameters: abi::StreamParameters = zeroed();
        parameters.kind = self.handle.kind();
        parameters
    }

    fn items(&self, control: &abi::QueryControl, kind: ControlKind) -> Vec<(i64, String)> {
        if !matches!(kind, ControlKind::Menu | ControlKind::IntegerMenu) {
            return Vec::new();
        }
        let indices = control.minimum.max(0)..=control.maximum.min(i64::from(MOST));
        // A menu may have holes.
        indices
            .filter_map(|index| {
                let mut item: abi::QueryMenu = zeroed();
                (item.id, item.index) = (control.id, index as u32);
                self.handle.call(abi::QUERYMENU, Way::Both, &mut item).ok()?;
                let number = || item.name.first_chunk().map(|bytes| i64::from_ne_bytes(*bytes));
                Some(match kind {
                    ControlKind::IntegerMenu => (index, number()?.to_string()),
                    _ => (index, text(&item.name)),
                })
            })
            .collect()
    }

    fn access(&self, set: bool, control: &Control, value: i64) -> io::Result<i64> {
        let wide = control.kind == ControlKind::Integer64;
        let mut one: abi::ExtControl = zeroed();
        one.id = control.id;
        if wide {
            one.value = value.to_ne_bytes();
        } else {
            // A bit mask may use the sign's bit.
            one.value[..4].copy_from_slice(&(value as u32).to_ne_bytes());
        }
        self.handle.control(set, &mut one)?;
        let [a, b, c, d, ..] = one.value;
        Ok(if wide { i64::from_ne_bytes(one.value) } else { i32::from_ne_bytes([a, b, c, d]).into() })
    }
}

impl Driver for Node {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn formats(&self) -> io::Result<Vec<Description>> {
        let formats = self.enumerate(abi::ENUM_FMT, |index| {
            let mut format: abi::FormatDescription = zeroed();
            (format.index, format.kind) = (index, self.handle.kind());
            format
        })?;
        let described = |f: abi::FormatDescription| Description {
            format: f.pixelformat.into(),
            text: text(&f.description),
        };
        Ok(formats.into_iter().map(described).collect())
    }

    fn sizes(&self, format: FourCc) -> Vec<SizeRange> {
        let sizes = self.enumerate(abi::ENUM_FRAMESIZES, |index| {
            let mut size: abi::FrameSize = zeroed();
            (size.index, size.pixelformat) = (index, format.into());
            size
        });
        let mut ranges = Vec::new();
        for size in sizes.unwrap_or_default() {
            let [a, b, c, d, e, f] = size.bounds;
            if size.kind == abi::DISCRETE {
                ranges.push(SizeRange { width: Steps::one(a), height: Steps::one(b) });
            } else {
                let steps = |minimum, maximum, step| Steps { minimum, maximum, step };
                ranges.push(SizeRange { width: steps(a, b, c), height: steps(d, e, f) });
                break; // the one range there is, whatever the index
            }
        }
        ranges
    }

    fn intervals(&self, format: FourCc, width: u32, height: u32) -> Vec<IntervalRange> {
        let intervals = self.enumerate(abi::ENUM_FRAMEINTERVALS, |index| {
            let mut interval: abi::FrameInterval = zeroed();
            (interval.index, interval.pixelformat) = (index, format.into());
            (interval.width, interval.height) = (width, height);
            interval
        });
        let mut ranges = Vec::new();
        for interval in intervals.unwrap_or_default() {
            let [shortest, longest, _] = interval.bounds.map(Interval::from);
            if interval.kind == abi::DISCRETE {
                ranges.push(IntervalRange { shortest, longest: shortest });
            } else {
                ranges.push(IntervalRange { shortest, longest });
                break;
            }
        }
        ranges
    }

    fn format(&self) -> io::Result<Format> {
        if self.identity.multi_planar {
            let mut format: abi::FormatMulti = zeroed();
            format.kind = self.handle.kind();
            self.handle.call(abi::G_FMT, Way::Both, &mut format)?;
            Ok(format.pix.into())
        } else {
            let mut format: abi::FormatSingle = zeroed();
            format.kind = self.handle.kind();
            self.handle.call(abi::G_FMT, Way::Both, &mut format)?;
            Ok(format.pix.into())
        }
    }

    fn set_format(&mut self, fourcc: FourCc, width: u32, height: u32) -> io::Result<Format> {
        if self.identity.multi_planar {
            let mut format: abi::FormatMulti = zeroed();
            format.kind = self.handle.kind();
            (format.pix.width, format.pix.height, format.pix.pixelformat) = (width, height, fourcc.into());
            format.pix.field = abi::FIELD_NONE;
            self.handle.call(abi::S_FMT, Way::Both, &mut format)?;
            Ok(format.pix.into())
        } else {
            let mut format: abi::FormatSingle = zeroed();
            format.kind = self.handle.kind();
            (format.pix.width, format.pix.height, format.pix.pixelformat) = (width, height, fourcc.into());
            format.pix.field = abi::FIELD_NONE;
            self.handle.call(abi::S_FMT, Way::Both, &mut format)?;
            Ok(format.pix.into())
        }
    }

    fn interval(&self) -> io::Result<Interval> {
        let mut parameters = self.parameters();
        self.handle.call(abi::G_PARM, Way::Both, &mut parameters)?;
        Ok(parameters.interval.into())
    }

    fn set_interval(&mut self, interval: Interval) -> io::Result<Interval> {
        let mut parameters = self.parameters();
        let Interval { numerator, denominator } = interval;
        parameters.interval = abi::Fraction { numerator, denominator };
        self.handle.call(abi::S_PARM, Way::Both, &mut parameters)?;
        Ok(parameters.interval.into())
    }

    fn controls(&self) -> Vec<Control> {
        let mut all = Vec::new();
        let mut query: abi::QueryControl = zeroed();
        for _ in 0..MOST {
            query.id |= abi::CTRL_FLAG_NEXT_CTRL;
            if self.handle.call(abi::QUERY_EXT_CTRL, Way::Both, &mut query).is_err() {
                break;
            }
            const DISABLED: u32 = 1;
            const READ_ONLY: u32 = 4;
            const INACTIVE: u32 = 0x10;
            let kind = match query.kind {
                1 => ControlKind::Integer,
                2 => ControlKind::Boolean,
                3 => ControlKind::Menu,
                4 => ControlKind::Button,
                5 => ControlKind::Integer64,
                8 => ControlKind::Bitmask,
                9 => ControlKind::IntegerMenu,
                _ => continue, // titles of classes, texts, arrays
            };
            if query.flags & DISABLED != 0 || query.dimensions > 0 {
                continue;
            }
            all.push(Control {
                id: query.id,
                name: text(&query.name),
                kind,
                minimum: query.minimum,
                maximum: query.maximum,
                step: query.step,
                default: query.default,
                read_only: query.flags & READ_ONLY != 0,
                inactive: query.flags & INACTIVE != 0,
                items: self.items(&query, kind),
            });
        }
        all
    }

    fn control(&self, control: &Control) -> io::Result<i64> {
        self.access(false, control, 0)
    }

    fn set_control(&mut self, control: &Control, value: i64) -> io::Result<()> {
        self.access(true, control, value).map(drop)
    }

    fn make_buffers(&mut self, count: u32) -> io::Result<u32> {
        self.handle.make_buffers(count)
    }

    fn queue(&mut self, index: u32) -> io::Result<()> {
        self.handle.queue(index)
    }

    fn start(&mut self) -> io::Result<()> {
        self.handle.start()
    }

    fn wait(&mut self, timeout: Duration) -> io::Result<Ready> {
        let timeout = Timespec::try_from(timeout).map_err(|_| Errno::INVAL)?;
        let mut fds = [PollFd::from_borrowed_fd(self.handle.as_fd(), PollFlags::IN | PollFlags::PRI)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [fd] = &fds;
        let seen = fd.revents();
        Ok(Ready {
            frame: seen.contains(PollFlags::IN),
            event: seen.contains(PollFlags::PRI),
            failed: seen.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL),
        })
    }

    fn dequeue(&mut self) -> io::Result<Filled> {
        self.handle.dequeue()
    }

    fn data(&self, filled: &Filled, plane: usize) -> &[u8] {
        self.handle.data(filled, plane)
    }

    fn changed(&mut self) -> io::Result<bool> {
        let mut changed = false;
        for _ in 0..MOST {
            let mut event: abi::Event = zeroed();
            match self.handle.call(abi::DQEVENT, Way::Out, &mut event) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            let [a, b, c, d, ..] = event.detail;
            let what = u32::from_ne_bytes([a, b, c, d]);
            changed |= event.kind == abi::EVENT_SOURCE_CHANGE && what & abi::EVENT_SRC_CH_RESOLUTION != 0;
        }
        Ok(changed)
    }
}

impl From<abi::Fraction> for Interval {
    fn from(abi::Fraction { numerator, denominator }: abi::Fraction) -> Self {
        Self { numerator, denominator }
    }
}

impl From<abi::PixFormat> for Format {
    fn from(pix: abi::PixFormat) -> Self {
        let mut strides = [0; MAX_PLANES];
        strides[0] = pix.bytesperline;
        // Encoding and quantization are there only with this word in `private`: V4L2_PIX_FMT_PRIV_MAGIC.
        let extended = pix.private == 0xfeed_cafe;
        Self {
            format: pix.pixelformat.into(),
            width: pix.width,
            height: pix.height,
            colorspace: pix.colorspace,
            encoding: if extended { pix.ycbcr_enc } else { 0 },
            quantization: if extended { pix.quantization } else { 0 },
            planes: 1,
            strides,
        }
    }
}

impl From<abi::PixFormatMplane> for Format {
    fn from(pix: abi::PixFormatMplane) -> Self {
        let mut strides = [0; MAX_PLANES];
        for (stride, plane) in strides.iter_mut().zip(&pix.planes).take(pix.num_planes.into()) {
            *stride = plane.bytesperline;
        }
        Self {
            format: pix.pixelformat.into(),
            width: pix.width,
            height: pix.height,
            colorspace: pix.colorspace,
            encoding: pix.ycbcr_enc.into(),
            quantization: pix.quantization.into(),
            planes: pix.num_planes.into(),
            strides,
        }
    }
}

/// A text that ends at the first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}
