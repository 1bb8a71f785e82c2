//! A device's descriptor: ioctls, and memory shared with the driver. The one module of Watchword with `unsafe` in it.
//!
//! No crate that is kept does what is needed here, which is capturing through the multi-planar interface without
//! libclang at build time: `v4l2r` runs bindgen, and `v4l`, its fork `moq-v4l`, `linuxvideo` and `linux-video` stream
//! through the single-planar interface alone. What is needed is twenty ioctls and `mmap`, both by way of `rustix`.
//!
//! What the unsafe parts rest on: an ioctl's number contains the size of its argument, which the kernel checks; the
//! arguments are plain numbers laid out as in the kernel's header (asserted in [`abi`](super::abi)); and a buffer's
//! memory is only readable between [`Handle::dequeue`] and [`Handle::queue`], while the driver leaves it alone.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, opcode};
use rustix::mm::{MapFlags, ProtFlags};

use super::abi;
use super::driver::{Filled, MAX_PLANES};

/// The argument of ioctls.
///
/// # Safety
/// The type is laid out as the kernel has it for these ioctls, holds no pointer, and any pattern of bytes is a value.
pub unsafe trait Argument: Copy {
    /// The ioctls that take it.
    const NUMBERS: &'static [u8];
}

/// An argument of zeros.
pub fn zeroed<T: Argument>() -> T {
    // SAFETY: All zeros are a pattern of bytes.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

macro_rules! arguments {
    ($($name:ty: [$($number:ident),*];)*) => { $(
        // SAFETY: `abi` asserts sizes and offsets; fields are numbers and arrays of them.
        unsafe impl Argument for $name {
            const NUMBERS: &'static [u8] = &[$(abi::$number),*];
        }
    )* };
}

arguments! {
    abi::Capability: [QUERYCAP];
    abi::FormatDescription: [ENUM_FMT];
    abi::FrameSize: [ENUM_FRAMESIZES];
    abi::FrameInterval: [ENUM_FRAMEINTERVALS];
    abi::FormatSingle: [G_FMT, S_FMT];
    abi::FormatMulti: [G_FMT, S_FMT];
    abi::StreamParameters: [G_PARM, S_PARM];
    abi::RequestBuffers: [REQBUFS];
    abi::QueryControl: [QUERY_EXT_CTRL];
    abi::QueryMenu: [QUERYMENU];
    abi::Event: [DQEVENT];
    abi::EventSubscription: [SUBSCRIBE_EVENT];
    i32: [STREAMON, STREAMOFF];
    // Parts of other arguments.
    abi::Plane: [];
    abi::ExtControl: [];
}

/// Which way an ioctl's argument goes, as its number says.
#[derive(Clone, Copy)]
pub enum Way {
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
unsafe impl<T> Ioctl for Call<'_, T> {
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
        // SAFETY: Mapped in `new` with this length; no slice of it outlives the `Handle` that owns it.
        let _ = unsafe { rustix::mm::munmap(self.address.as_ptr(), self.length) };
    }
}

/// A buffer.
struct Slot {
    planes: Vec<Mapping>,
    /// Queued, so that the driver may write to it at any time.
    with_driver: bool,
}

/// An open device, and the buffers that it shares.
pub struct Handle {
    file: OwnedFd,
    /// Which of the two interfaces is spoken.
    pub multi_planar: bool,
    /// Buffers have been asked for.
    requested: bool,
    slots: Vec<Slot>,
    streaming: bool,
}

impl Handle {
    /// Opens `path`, which may be a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { file, multi_planar: false, requested: false, slots: Vec::new(), streaming: false })
    }

    /// Calls ioctl `number`; `EINVAL` if it takes another argument.
    pub fn call<T: Argument>(&self, number: u8, way: Way, argument: &mut T) -> io::Result<()> {
        if !T::NUMBERS.contains(&number) {
            return Err(Errno::INVAL.into());
        }
        // SAFETY: It is this ioctl's argument, and holds no pointer.
        unsafe { self.raw(number, way, argument) }
    }

    /// Gets or sets one control, whose value is in the argument itself.
    pub fn control(&self, set: bool, control: &mut abi::ExtControl) -> io::Result<()> {
        control.size = 0;
        let mut controls = abi::ExtControls {
            which: 0,
            count: 1,
            error_index: 0,
            request_fd: 0,
            reserved: 0,
            controls: control,
        };
        let number = if set { abi::S_EXT_CTRLS } else { abi::G_EXT_CTRLS };
        // SAFETY: The pointer is to the one control that is counted; the kernel refuses controls with a payload, to
        // which a control would have a pointer, when their size is 0.
        unsafe { self.raw(number, Way::Both, &mut controls) }
    }

    /// # Safety
    /// The argument is laid out as that of ioctl `number`; pointers in it are to live arrays as long as it says.
    unsafe fn raw<T>(&self, number: u8, way: Way, argument: &mut T) -> io::Result<()> {
        // SAFETY: The caller's.
        let call =
            || unsafe { rustix::ioctl::ioctl(&self.file, Call { number, way, argument: &mut *argument }) };
        Ok(rustix::io::retry_on_intr(call)?)
    }

    /// Which of the device's queues is meant: `enum v4l2_buf_type`.
    pub fn kind(&self) -> u32 {
        if self.multi_planar { abi::BUF_TYPE_VIDEO_CAPTURE_MPLANE } else { abi::BUF_TYPE_VIDEO_CAPTURE }
    }

    /// An empty buffer's description with room for its planes, of which it says how many there are.
    fn buffer(&self, index: u32, planes: &mut [abi::Plane; abi::VIDEO_MAX_PLANES]) -> abi::Buffer {
        // SAFETY: A buffer's description is numbers, and a pointer that may be null.
        let mut buffer: abi::Buffer = unsafe { MaybeUninit::zeroed().assume_init() };
        (buffer.index, buffer.kind, buffer.memory) = (index, self.kind(), abi::MEMORY_MMAP);
        if self.multi_planar {
            buffer.m.planes = planes.as_mut_ptr();
            buffer.length = match self.slots.get(index as usize) {
                Some(slot) => slot.planes.len() as u32,
                None => planes.len() as u32,
            };
        }
        buffer
    }

    fn map(&self, index: u32) -> io::Result<Slot> {
        let mut planes = [zeroed::<abi::Plane>(); abi::VIDEO_MAX_PLANES];
        let mut buffer = self.buffer(index, &mut planes);
        // SAFETY: `planes` lives, and is as long as any buffer says.
        unsafe { self.raw(abi::QUERYBUF, Way::Both, &mut buffer) }?;
        let planes = if self.multi_planar {
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
        let mut request: abi::RequestBuffers = zeroed();
        (request.count, request.kind, request.memory) = (count, self.kind(), abi::MEMORY_MMAP);
        self.call(abi::REQBUFS, Way::Both, &mut request)?;
        Ok(request.count)
    }

    /// Makes about `count` buffers and maps them; returns how many there are.
    pub fn make_buffers(&mut self, count: u32) -> io::Result<u32> {
        let count = self.request(count)?;
        self.requested = true;
        for index in 0..count {
            let slot = self.map(index)?;
            self.slots.push(slot);
        }
        Ok(count)
    }

    /// Hands a buffer to the driver, to be filled.
    pub fn queue(&mut self, index: u32) -> io::Result<()> {
        let mut planes = [zeroed::<abi::Plane>(); abi::VIDEO_MAX_PLANES];
        let mut buffer = self.buffer(index, &mut planes);
        // SAFETY: `planes` lives, and is as long as any buffer says.
        unsafe { self.raw(abi::QBUF, Way::Both, &mut buffer) }?;
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.with_driver = true;
        }
        Ok(())
    }

    /// Starts the stream.
    pub fn start(&mut self) -> io::Result<()> {
        self.call(abi::STREAMON, Way::In, &mut self.kind().cast_signed())?;
        self.streaming = true;
        Ok(())
    }

    /// Takes a filled buffer, without waiting.
    pub fn dequeue(&mut self) -> io::Result<Filled> {
        let mut planes = [zeroed::<abi::Plane>(); abi::VIDEO_MAX_PLANES];
        let mut buffer = self.buffer(u32::MAX, &mut planes);
        // SAFETY: `planes` lives, and is as long as any buffer says.
        unsafe { self.raw(abi::DQBUF, Way::Both, &mut buffer) }?;
        let slot = self.slots.get_mut(buffer.index as usize).ok_or(Errno::OVERFLOW)?;
        slot.with_driver = false;
        let mut ranges = [(0, 0); MAX_PLANES];
        if self.multi_planar {
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

    /// What the driver filled into piece `plane` of a buffer; empty while the driver has the buffer.
    pub fn data(&self, filled: &Filled, plane: usize) -> &[u8] {
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
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Handle {
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
