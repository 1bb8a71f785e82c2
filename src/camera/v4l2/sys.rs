//! A device node: ioctls, and memory shared with its driver. The one module of Watchword with `unsafe` in it.
//!
//! No crate that is kept does what is needed here, which is capturing through the multi-planar interface without
//! libclang at build time: `v4l2r` runs bindgen, and `v4l`, its fork `moq-v4l`, `linuxvideo` and `linux-video` stream
//! through the single-planar interface alone. What is needed is twenty ioctls and `mmap`, both by way of `rustix`.
//!
//! What the unsafe parts rest on: an ioctl's number contains the size of its argument, which the kernel checks; the
//! arguments are plain numbers laid out as in the kernel's header (asserted in [`abi`](super::abi)); and a buffer's
//! memory is only readable between [`Driver::dequeue`] and [`Driver::queue`], while the driver leaves it alone.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, opcode};
use rustix::mm::{MapFlags, ProtFlags};

use super::abi;
use super::driver::{
    Control, ControlKind, Description, Driver, Filled, Format, FourCc, Identity, Interval, IntervalRange,
    MAX_PLANES, Ready, SizeRange, Steps,
};

/// More than this of anything that is enumerated is a driver that does not stop.
const MOST: u32 = 1024;

/// The argument of an ioctl.
///
/// # Safety
/// The type is laid out as the kernel has it, and any pattern of bytes is a value of it.
unsafe trait Argument: Copy {
    fn zeroed() -> Self {
        // SAFETY: All zeros are a pattern of bytes.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

macro_rules! arguments {
    ($($name:ty),*) => { $(
        // SAFETY: `abi` asserts sizes and offsets; fields are numbers, arrays of them, and raw pointers.
        unsafe impl Argument for $name {}
    )* };
}

arguments!(
    abi::Capability,
    abi::FormatDescription,
    abi::FrameSize,
    abi::FrameInterval,
    abi::FormatSingle,
    abi::FormatMulti,
    abi::StreamParameters,
    abi::RequestBuffers,
    abi::Plane,
    abi::Buffer,
    abi::QueryControl,
    abi::QueryMenu,
    abi::ExtControl,
    abi::ExtControls,
    abi::Event,
    abi::EventSubscription,
    i32
);

/// Which way an ioctl's argument goes, as its number says.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
    Both,
}

struct Call<'a, T> {
    number: u8,
    way: Way,
    argument: &'a mut T,
}

// SAFETY: The opcode is made of the argument's size; the pointer is to that argument, which may be written to.
unsafe impl<T: Argument> Ioctl for Call<'_, T> {
    type Output = ();

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        match self.way {
            Way::In => opcode::write::<T>(b'V', self.number),
            Way::Out => opcode::read::<T>(b'V', self.number),
            Way::Both => opcode::read_write::<T>(b'V', self.number),
        }
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.argument).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

/// Memory of the driver's, mapped to be read.
struct Mapping {
    address: NonNull<c_void>,
    length: usize,
}

// SAFETY: It is owned, and not bound to the thread that made it.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(file: &OwnedFd, offset: u32, length: u32) -> io::Result<Self> {
        let length = length as usize;
        // SAFETY: A new mapping, wherever the kernel likes, aliases nothing. V4L2's buffers cannot be cut short.
        let address = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ,
                MapFlags::SHARED,
                file,
                u64::from(offset),
            )
        }?;
        let address = NonNull::new(address).ok_or(Errno::FAULT)?;
        Ok(Self { address, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: Mapped in `new` with this length; no slice of it outlives the `Node` that owns it.
        let _ = unsafe { rustix::mm::munmap(self.address.as_ptr(), self.length) };
    }
}

/// A buffer.
struct Slot {
    planes: Vec<Mapping>,
    /// Queued, so that the driver may write to it at any time.
    with_driver: bool,
}

/// An open device node that captures.
pub struct Node {
    file: OwnedFd,
    identity: Identity,
    /// Buffers have been asked for.
    requested: bool,
    slots: Vec<Slot>,
    streaming: bool,
}

impl Node {
    /// Opens `path`, which may be a link.
    ///
    /// # Errors
    /// The system's; `ENOTTY` if it is no V4L2 device, `ENODEV` if it is one that does not capture.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = rustix::fs::open(path, flags, Mode::empty())?;
        let mut node = Self {
            file,
            identity: Identity::default(),
            requested: false,
            slots: Vec::new(),
            streaming: false,
        };
        let mut caps = abi::Capability::zeroed();
        node.call(abi::QUERYCAP, Way::Out, &mut caps)?;
        // Of this node, not of the hardware as a whole.
        let can =
            if caps.capabilities & abi::CAP_DEVICE_CAPS != 0 { caps.device_caps } else { caps.capabilities };
        let single = can & abi::CAP_VIDEO_CAPTURE != 0;
        let multi = can & abi::CAP_VIDEO_CAPTURE_MPLANE != 0;
        if !(single || multi) || can & abi::CAP_STREAMING == 0 {
            return Err(Errno::NODEV.into());
        }
        node.identity = Identity {
            driver: text(&caps.driver),
            card: text(&caps.card),
            bus: text(&caps.bus_info),
            multi_planar: !single,
        };
        // Not every driver has it, and those without it need none.
        let mut wanted = abi::EventSubscription::zeroed();
        wanted.kind = abi::EVENT_SOURCE_CHANGE;
        let _ = node.call(abi::SUBSCRIBE_EVENT, Way::In, &mut wanted);
        Ok(node)
    }

    fn call<T: Argument>(&self, number: u8, way: Way, argument: &mut T) -> io::Result<()> {
        // SAFETY: `Argument` and the numbers in `abi` are the kernel's. Pointers in arguments are to live arrays of the
        // lengths that the arguments give.
        let call =
            || unsafe { rustix::ioctl::ioctl(&self.file, Call { number, way, argument: &mut *argument }) };
        Ok(rustix::io::retry_on_intr(call)?)
    }

    fn kind(&self) -> u32 {
        if self.identity.multi_planar {
            abi::BUF_TYPE_VIDEO_CAPTURE_MPLANE
        } else {
            abi::BUF_TYPE_VIDEO_CAPTURE
        }
    }

    /// Calls with index 0, 1, .. until the driver says that there is no more.
    fn enumerate<T: Argument>(&self, number: u8, argument: impl Fn(u32) -> T) -> io::Result<Vec<T>> {
        let mut all = Vec::new();
        for index in 0..MOST {
            let mut argument = argument(index);
            match self.call(number, Way::Both, &mut argument) {
                Ok(()) => all.push(argument),
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => break,
                Err(_) if index > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// An empty buffer's description with room for its planes, of which it says how many there are.
    fn buffer(&self, index: u32, planes: &mut [abi::Plane; abi::VIDEO_MAX_PLANES]) -> abi::Buffer {
        let mut buffer = abi::Buffer::zeroed();
        (buffer.index, buffer.kind, buffer.memory) = (index, self.kind(), abi::MEMORY_MMAP);
        if self.identity.multi_planar {
            buffer.m.planes = planes.as_mut_ptr();
            buffer.length = match self.slots.get(index as usize) {
                Some(slot) => slot.planes.len() as u32,
                None => planes.len() as u32,
            };
        }
        buffer
    }

    fn map(&self, index: u32) -> io::Result<Slot> {
        let mut planes = [abi::Plane::zeroed(); abi::VIDEO_MAX_PLANES];
        let mut buffer = self.buffer(index, &mut planes);
        self.call(abi::QUERYBUF, Way::Both, &mut buffer)?;
        let planes = if self.identity.multi_planar {
            let planes = planes.iter().take(buffer.length as usize);
            planes.map(|plane| Mapping::new(&self.file, plane.offset, plane.length)).collect()
        } else {
            // SAFETY: The kernel fills in the offset of a single-planar buffer in mapped memory.
            let offset = unsafe { buffer.m.offset };
            Mapping::new(&self.file, offset, buffer.length).map(|mapping| vec![mapping])
        };
        Ok(Slot { planes: planes?, with_driver: false })
    }

    fn request(&self, count: u32) -> io::Result<u32> {
        let mut request = abi::RequestBuffers::zeroed();
        (request.count, request.kind, request.memory) = (count, self.kind(), abi::MEMORY_MMAP);
        self.call(abi::REQBUFS, Way::Both, &mut request)?;
        Ok(request.count)
    }

    fn parameters(&self) -> abi::StreamParameters {
        let mut parameters = abi::StreamParameters::zeroed();
        parameters.kind = self.kind();
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
                let mut item = abi::QueryMenu::zeroed();
                (item.id, item.index) = (control.id, index as u32);
                self.call(abi::QUERYMENU, Way::Both, &mut item).ok()?;
                let number = || item.name.first_chunk().map(|bytes| i64::from_ne_bytes(*bytes));
                Some(match kind {
                    ControlKind::IntegerMenu => (index, number()?.to_string()),
                    _ => (index, text(&item.name)),
                })
            })
            .collect()
    }

    fn access(&self, number: u8, control: &Control, value: i64) -> io::Result<i64> {
        let wide = control.kind == ControlKind::Integer64;
        let mut one = abi::ExtControl::zeroed();
        one.id = control.id;
        if wide {
            one.value = value.to_ne_bytes();
        } else {
            // A bit mask may use the sign's bit.
            one.value[..4].copy_from_slice(&(value as u32).to_ne_bytes());
        }
        let mut all = abi::ExtControls::zeroed();
        (all.count, all.controls) = (1, &raw mut one);
        self.call(number, Way::Both, &mut all)?;
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
            let mut format = abi::FormatDescription::zeroed();
            (format.index, format.kind) = (index, self.kind());
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
            let mut size = abi::FrameSize::zeroed();
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
            let mut interval = abi::FrameInterval::zeroed();
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
            let mut format = abi::FormatMulti::zeroed();
            format.kind = self.kind();
            self.call(abi::G_FMT, Way::Both, &mut format)?;
            Ok(format.pix.into())
        } else {
            let mut format = abi::FormatSingle::zeroed();
            format.kind = self.kind();
            self.call(abi::G_FMT, Way::Both, &mut format)?;
            Ok(format.pix.into())
        }
    }

    fn set_format(&mut self, fourcc: FourCc, width: u32, height: u32) -> io::Result<Format> {
        if self.identity.multi_planar {
            let mut format = abi::FormatMulti::zeroed();
            format.kind = self.kind();
            (format.pix.width, format.pix.height, format.pix.pixelformat) = (width, height, fourcc.into());
            format.pix.field = abi::FIELD_NONE;
            self.call(abi::S_FMT, Way::Both, &mut format)?;
            Ok(format.pix.into())
        } else {
            let mut format = abi::FormatSingle::zeroed();
            format.kind = self.kind();
            (format.pix.width, format.pix.height, format.pix.pixelformat) = (width, height, fourcc.into());
            format.pix.field = abi::FIELD_NONE;
            self.call(abi::S_FMT, Way::Both, &mut format)?;
            Ok(format.pix.into())
        }
    }

    fn interval(&self) -> io::Result<Interval> {
        let mut parameters = self.parameters();
        self.call(abi::G_PARM, Way::Both, &mut parameters)?;
        Ok(parameters.interval.into())
    }

    fn set_interval(&mut self, interval: Interval) -> io::Result<Interval> {
        let mut parameters = self.parameters();
        let Interval { numerator, denominator } = interval;
        parameters.interval = abi::Fraction { numerator, denominator };
        self.call(abi::S_PARM, Way::Both, &mut parameters)?;
        Ok(parameters.interval.into())
    }

    fn controls(&self) -> Vec<Control> {
        let mut all = Vec::new();
        let mut query = abi::QueryControl::zeroed();
        for _ in 0..MOST {
            query.id |= abi::CTRL_FLAG_NEXT_CTRL;
            if self.call(abi::QUERY_EXT_CTRL, Way::Both, &mut query).is_err() {
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
        self.access(abi::G_EXT_CTRLS, control, 0)
    }

    fn set_control(&mut self, control: &Control, value: i64) -> io::Result<()> {
        self.access(abi::S_EXT_CTRLS, control, value).map(drop)
    }

    fn make_buffers(&mut self, count: u32) -> io::Result<u32> {
        let count = self.request(count)?;
        self.requested = true;
        for index in 0..count {
            let slot = self.map(index)?;
            self.slots.push(slot);
        }
        Ok(count)
    }

    fn queue(&mut self, index: u32) -> io::Result<()> {
        let mut planes = [abi::Plane::zeroed(); abi::VIDEO_MAX_PLANES];
        let mut buffer = self.buffer(index, &mut planes);
        self.call(abi::QBUF, Way::Both, &mut buffer)?;
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.with_driver = true;
        }
        Ok(())
    }

    fn start(&mut self) -> io::Result<()> {
        self.call(abi::STREAMON, Way::In, &mut self.kind().cast_signed())?;
        self.streaming = true;
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> io::Result<Ready> {
        let timeout = Timespec::try_from(timeout).map_err(|_| Errno::INVAL)?;
        let mut fds = [PollFd::from_borrowed_fd(self.file.as_fd(), PollFlags::IN | PollFlags::PRI)];
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
        let mut planes = [abi::Plane::zeroed(); abi::VIDEO_MAX_PLANES];
        let mut buffer = self.buffer(u32::MAX, &mut planes);
        self.call(abi::DQBUF, Way::Both, &mut buffer)?;
        let slot = self.slots.get_mut(buffer.index as usize).ok_or(Errno::OVERFLOW)?;
        slot.with_driver = false;
        let mut ranges = [(0, 0); MAX_PLANES];
        if self.identity.multi_planar {
            for (range, plane) in ranges.iter_mut().zip(&planes) {
                *range = (plane.data_offset, plane.bytesused);
            }
        } else {
            ranges[0] = (0, buffer.bytesused);
        }
        let [seconds, microseconds] = buffer.timestamp;
        let timestamp = u64::try_from(seconds).ok().zip(u64::try_from(microseconds).ok());
        Ok(Filled {
            index: buffer.index,
            flags: buffer.flags,
            sequence: buffer.sequence,
            timestamp: timestamp.and_then(|(seconds, microseconds)| {
                Duration::from_secs(seconds).checked_add(Duration::from_micros(microseconds))
            }),
            ranges,
        })
    }

    fn data(&self, filled: &Filled, plane: usize) -> &[u8] {
        let slot = self.slots.get(filled.index as usize).filter(|slot| !slot.with_driver);
        let Some(mapping) = slot.and_then(|slot| slot.planes.get(plane)) else { return &[] };
        // SAFETY: Mapped with this length for as long as `self` lives; the driver does not write to a buffer that is
        // not queued, and queueing one needs `&mut self`.
        let bytes =
            unsafe { std::slice::from_raw_parts(mapping.address.as_ptr().cast::<u8>(), mapping.length) };
        let (from, to) = filled.ranges.get(plane).copied().unwrap_or_default();
        // A driver that says more than there is gives all there is.
        bytes.get(from as usize..(to as usize).min(bytes.len())).unwrap_or_default()
    }

    fn changed(&mut self) -> io::Result<bool> {
        let mut changed = false;
        for _ in 0..MOST {
            let mut event = abi::Event::zeroed();
            match self.call(abi::DQEVENT, Way::Out, &mut event) {
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

impl Drop for Node {
    /// A device that is gone refuses all of this, and closing it suffices.
    fn drop(&mut self) {
        if self.streaming {
            let _ = self.call(abi::STREAMOFF, Way::In, &mut self.kind().cast_signed());
        }
        // Buffers cannot be given back while they are mapped.
        self.slots.clear();
        if self.requested {
            let _ = self.request(0);
        }
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
