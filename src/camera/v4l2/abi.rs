//! The kernel's structures, as `linux/videodev2.h` lays them out.
//!
//! Times are 64 bits wide on every machine: on 32-bit ones this is the interface of Linux 5.6 and later. Unions of
//! which one member is wanted are that member and padding.

use std::mem::{offset_of, size_of};

/// `VIDEO_MAX_PLANES`
pub const VIDEO_MAX_PLANES: usize = 8;

// `enum v4l2_buf_type`, `enum v4l2_memory`, `enum v4l2_field`
pub const BUF_TYPE_VIDEO_CAPTURE: u32 = 1;
pub const BUF_TYPE_VIDEO_CAPTURE_MPLANE: u32 = 9;
pub const MEMORY_MMAP: u32 = 1;
pub const FIELD_NONE: u32 = 1;

// `V4L2_CAP_*`
pub const CAP_VIDEO_CAPTURE: u32 = 1;
pub const CAP_VIDEO_CAPTURE_MPLANE: u32 = 0x1000;
pub const CAP_STREAMING: u32 = 0x0400_0000;
pub const CAP_DEVICE_CAPS: u32 = 0x8000_0000;

// `enum v4l2_frmsizetypes`, `enum v4l2_frmivaltypes`
pub const DISCRETE: u32 = 1;

// `V4L2_CTRL_FLAG_NEXT_CTRL`, `V4L2_EVENT_*`
pub const CTRL_FLAG_NEXT_CTRL: u32 = 0x8000_0000;
pub const EVENT_SOURCE_CHANGE: u32 = 5;
pub const EVENT_SRC_CH_RESOLUTION: u32 = 1;

// Numbers of the ioctls, `VIDIOC_*`, all of group 'V'.
pub const QUERYCAP: u8 = 0;
pub const ENUM_FMT: u8 = 2;
pub const G_FMT: u8 = 4;
pub const S_FMT: u8 = 5;
pub const REQBUFS: u8 = 8;
pub const QUERYBUF: u8 = 9;
pub const QBUF: u8 = 15;
pub const DQBUF: u8 = 17;
pub const STREAMON: u8 = 18;
pub const STREAMOFF: u8 = 19;
pub const G_PARM: u8 = 21;
pub const S_PARM: u8 = 22;
pub const QUERYMENU: u8 = 37;
pub const G_EXT_CTRLS: u8 = 71;
pub const S_EXT_CTRLS: u8 = 72;
pub const ENUM_FRAMESIZES: u8 = 74;
pub const ENUM_FRAMEINTERVALS: u8 = 75;
pub const DQEVENT: u8 = 89;
pub const SUBSCRIBE_EVENT: u8 = 90;
pub const QUERY_EXT_CTRL: u8 = 103;

/// `struct v4l2_capability`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Capability {
    pub driver: [u8; 16],
    pub card: [u8; 32],
    pub bus_info: [u8; 32],
    pub version: u32,
    pub capabilities: u32,
    pub device_caps: u32,
    pub reserved: [u32; 3],
}

/// `struct v4l2_fmtdesc`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FormatDescription {
    pub index: u32,
    pub kind: u32,
    pub flags: u32,
    pub description: [u8; 32],
    pub pixelformat: u32,
    pub mbus_code: u32,
    pub reserved: [u32; 3],
}

/// `struct v4l2_frmsizeenum`; `bounds` are width and height, or minimum, maximum and step of either.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FrameSize {
    pub index: u32,
    pub pixelformat: u32,
    pub kind: u32,
    pub bounds: [u32; 6],
    pub reserved: [u32; 2],
}

/// `struct v4l2_fract`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Fraction {
    pub numerator: u32,
    pub denominator: u32,
}

/// `struct v4l2_frmivalenum`; `bounds` are one interval, or minimum, maximum and step.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FrameInterval {
    pub index: u32,
    pub pixelformat: u32,
    pub width: u32,
    pub height: u32,
    pub kind: u32,
    pub bounds: [Fraction; 3],
    pub reserved: [u32; 2],
}

/// `struct v4l2_pix_format`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PixFormat {
    pub width: u32,
    pub height: u32,
    pub pixelformat: u32,
    pub field: u32,
    pub bytesperline: u32,
    pub sizeimage: u32,
    pub colorspace: u32,
    pub private: u32,
    pub flags: u32,
    pub ycbcr_enc: u32,
    pub quantization: u32,
    pub xfer_func: u32,
}

/// `struct v4l2_plane_pix_format`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PlanePixFormat {
    pub sizeimage: u32,
    pub bytesperline: u32,
    pub reserved: [u16; 6],
}

/// `struct v4l2_pix_format_mplane`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PixFormatMplane {
    pub width: u32,
    pub height: u32,
    pub pixelformat: u32,
    pub field: u32,
    pub colorspace: u32,
    pub planes: [PlanePixFormat; VIDEO_MAX_PLANES],
    pub num_planes: u8,
    pub flags: u8,
    pub ycbcr_enc: u8,
    pub quantization: u8,
    pub xfer_func: u8,
    pub reserved: [u8; 7],
}

/// `struct v4l2_format` of one plane. The union behind the kind is aligned as a pointer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FormatSingle {
    pub kind: u32,
    pub aligned: [usize; 0],
    pub pix: PixFormat,
    pub rest: [u8; 200 - size_of::<PixFormat>()],
}

/// `struct v4l2_format` of several planes
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FormatMulti {
    pub kind: u32,
    pub aligned: [usize; 0],
    pub pix: PixFormatMplane,
    pub rest: [u8; 200 - size_of::<PixFormatMplane>()],
}

/// `struct v4l2_streamparm` of a capture device
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StreamParameters {
    pub kind: u32,
    pub capability: u32,
    pub mode: u32,
    pub interval: Fraction,
    pub extended: u32,
    pub read_buffers: u32,
    pub reserved: [u32; 4],
    pub rest: [u8; 160],
}

/// `struct v4l2_requestbuffers`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RequestBuffers {
    pub count: u32,
    pub kind: u32,
    pub memory: u32,
    pub capabilities: u32,
    pub flags: u8,
    pub reserved: [u8; 3],
}

/// `struct v4l2_plane`; `offset` is the first member of a union as wide as a pointer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Plane {
    pub bytesused: u32,
    pub length: u32,
    pub aligned: [usize; 0],
    pub offset: u32,
    pub rest: [u8; size_of::<usize>() - 4],
    pub data_offset: u32,
    pub reserved: [u32; 11],
}

/// Where a buffer's memory is.
#[repr(C)]
#[derive(Clone, Copy)]
pub union BufferMemory {
    pub offset: u32,
    pub planes: *mut Plane,
}

/// `struct v4l2_buffer`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    pub index: u32,
    pub kind: u32,
    pub bytesused: u32,
    pub flags: u32,
    pub field: u32,
    /// Seconds and microseconds.
    pub timestamp: [i64; 2],
    pub timecode: [u32; 4],
    pub sequence: u32,
    pub memory: u32,
    pub m: BufferMemory,
    /// Bytes, or planes.
    pub length: u32,
    pub reserved: u32,
    pub request_fd: i32,
}

/// `struct v4l2_query_ext_ctrl`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryControl {
    pub id: u32,
    pub kind: u32,
    pub name: [u8; 32],
    pub minimum: i64,
    pub maximum: i64,
    pub step: u64,
    pub default: i64,
    pub flags: u32,
    pub element_size: u32,
    pub elements: u32,
    pub dimensions: u32,
    pub sizes: [u32; 4],
    pub reserved: [u32; 32],
}

/// `struct v4l2_querymenu`; a whole number stands in the first eight bytes of `name`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct QueryMenu {
    pub id: u32,
    pub index: u32,
    pub name: [u8; 32],
    pub reserved: u32,
}

/// `struct v4l2_ext_control`, which is packed; a value of 32 bits stands in the first four bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ExtControl {
    pub id: u32,
    pub size: u32,
    pub reserved: u32,
    pub value: [u8; 8],
}

/// `struct v4l2_ext_controls`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ExtControls {
    pub which: u32,
    pub count: u32,
    pub error_index: u32,
    pub request_fd: i32,
    pub reserved: u32,
    pub controls: *mut ExtControl,
}

/// `struct v4l2_event`; of a change of the source, `detail` begins with what has changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Event {
    pub kind: u32,
    pub aligned: [i64; 0],
    pub detail: [u8; 64],
    pub pending: u32,
    pub sequence: u32,
    pub timestamp: [i64; 2],
    pub id: u32,
    pub reserved: [u32; 8],
}

/// `struct v4l2_event_subscription`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EventSubscription {
    pub kind: u32,
    pub id: u32,
    pub flags: u32,
    pub reserved: [u32; 5],
}

// What the kernel's header says of itself.
const _: () = {
    assert!(size_of::<Capability>() == 104);
    assert!(size_of::<FormatDescription>() == 64);
    assert!(size_of::<FrameSize>() == 44);
    assert!(size_of::<FrameInterval>() == 52);
    assert!(size_of::<PixFormat>() == 48);
    assert!(size_of::<PixFormatMplane>() == 192);
    assert!(size_of::<StreamParameters>() == 204);
    assert!(size_of::<RequestBuffers>() == 20);
    assert!(size_of::<QueryControl>() == 232);
    assert!(size_of::<QueryMenu>() == 44);
    assert!(size_of::<ExtControl>() == 20);
    assert!(size_of::<EventSubscription>() == 32);
    assert!(offset_of!(FormatSingle, pix) == size_of::<usize>());
    assert!(size_of::<FormatSingle>() == 200 + size_of::<usize>());
    assert!(size_of::<FormatMulti>() == 200 + size_of::<usize>());
};
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Plane>() == 64 && offset_of!(Plane, data_offset) == 16);
    assert!(size_of::<Buffer>() == 88 && offset_of!(Buffer, m) == 64);
    assert!(size_of::<ExtControls>() == 32);
    assert!(size_of::<Event>() == 136 && offset_of!(Event, timestamp) == 80);
};
// As 32-bit Arm aligns 64 bits; 32-bit x86, which aligns them to 4 bytes, has smaller ones.
#[cfg(all(target_pointer_width = "32", not(target_arch = "x86")))]
const _: () = {
    assert!(size_of::<Plane>() == 60 && offset_of!(Plane, data_offset) == 12);
    assert!(size_of::<Buffer>() == 80 && offset_of!(Buffer, m) == 64);
    assert!(size_of::<ExtControls>() == 24);
    assert!(size_of::<Event>() == 136 && offset_of!(Event, timestamp) == 80);
};
