//! The source over a driver that follows a script; and, where there is a camera, over that.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use jiff::Timestamp;

use super::driver::*;
use super::fake::{Fake, Log, Step, control};
use super::format::{FORMATS, Pixels};
use super::*;
use crate::clock::ManualClock;
use crate::config::{Camera, ControlValue, DeviceFormat};
use crate::frame::{Converter, Filter, Fit, Layout as Tensor, Packed, Picture, PixelFormat, Rect};

/// A grey camera of 4 × 2 pixels.
const GREY: &[u8; 4] = b"GREY";
const FRAME: [u8; 8] = [9; 8];

fn second(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A frame of [`FRAME`], captured at `seconds` by the kernel's clock.
fn frame(sequence: u32, seconds: f64) -> Step {
    let timestamp = Some(second(seconds));
    Step::Frame { sequence, flags: BUF_FLAG_TIMESTAMP_MONOTONIC, timestamp, data: vec![FRAME.to_vec()] }
}

fn damaged(sequence: u32, flags: u32, data: &[u8]) -> Step {
    Step::Frame { sequence, flags, timestamp: None, data: vec![data.to_vec()] }
}

/// A camera of one format and size, and a clock that stands at second 100.
fn fake(format: &[u8; 4], [width, height]: [u32; 2], script: Vec<Step>) -> Fake {
    let clock = Arc::new(ManualClock::new(second(100.0), Timestamp::from_second(1000).unwrap()));
    Fake {
        offers: vec![(FourCc(*format), [width, height], 30.0)],
        format: Format { format: FourCc(*format), width, height, planes: 1, ..Format::default() },
        script: script.into(),
        clock: Some(clock),
        ..Fake::default()
    }
}

fn grey(script: Vec<Step>) -> Fake {
    fake(GREY, [4, 2], script)
}

fn camera() -> Camera {
    Camera { source: "/dev/video7".into(), ..Camera::default() }
}

fn start_with(fake: Fake, camera: &Camera) -> Result<Device<Fake>, CameraError> {
    let clock = fake.clock.clone().unwrap();
    Device::start(fake, &known_as(camera.format), camera, clock, Stop::new())
}

fn start(fake: Fake) -> Device<Fake> {
    start_with(fake, &camera()).unwrap()
}

/// Reads `count` frames: sequence and second.
fn read(device: &mut Device<Fake>, count: usize) -> Vec<(u64, f64)> {
    let mut frame = Frame::default();
    let one = |_| {
        assert!(device.read(&mut frame).unwrap());
        (frame.sequence, frame.time.monotonic.as_secs_f64())
    };
    (0..count).map(one).collect()
}

fn error(device: &mut Device<Fake>) -> String {
    device.read(&mut Frame::default()).unwrap_err().to_string()
}

fn log(fake: &Fake) -> Arc<Mutex<Log>> {
    Arc::clone(&fake.log)
}

// The stream

#[test]
fn a_frame_is_copied_numbered_and_dated_by_the_driver_and_its_buffer_given_back() {
    let fake = grey(vec![frame(7, 99.9), frame(8, 99.95)]);
    let log = log(&fake);
    let mut device = start(fake);
    assert_eq!(log.lock().unwrap().queued, [0, 1, 2, 3]);
    assert_eq!(device.info().description, "/dev/video7, , GREY 4x2, 30.000 frames/s");
    let mut frame = Frame::default();
    assert!(device.read(&mut frame).unwrap());
    assert_eq!(log.lock().unwrap().queued, [1, 2, 3, 0]);
    assert_eq!((frame.picture.width, frame.picture.height, &frame.picture.data[..]), (4, 2, &FRAME[..]));
    assert_eq!((frame.sequence, frame.time.monotonic), (0, second(99.9)));
    assert_eq!(frame.time.utc, Timestamp::from_millisecond(999_900).unwrap());
    assert_eq!(device.timestamps(), Some(TimestampClock::Monotonic));
    assert!(device.read(&mut frame).unwrap());
    assert_eq!(log.lock().unwrap().queued, [2, 3, 0, 1]);
    drop(device);
    assert_eq!(Arc::strong_count(&log), 1, "the driver is dropped with it");
}

#[test]
fn gaps_in_the_drivers_count_show_and_its_whims_do_not() {
    let counts = [u32::MAX - 1, u32::MAX, 2, 2, 1, 5, 0x9000_0000];
    let mut device = start(grey(counts.map(|sequence| frame(sequence, 50.0)).to_vec()));
    let sequences: Vec<u64> =
        read(&mut device, counts.len()).into_iter().map(|(sequence, _)| sequence).collect();
    // Around the end of 32 bits, with two frames missing; standing still; back; a gap; a leap back.
    assert_eq!(sequences, [0, 1, 4, 5, 6, 10, 11]);
}

#[test]
fn frames_are_dated_by_arrival_where_the_drivers_time_cannot_be() {
    let script = vec![
        frame(0, 99.5),
        frame(1, 100.1),               // reckoned a little ahead
        frame(2, 110.0),               // to come
        frame(3, 99.9),                // before the one before
        frame(4, 30.0),                // long ago
        frame(5, 9_223_372_036_854.0), // about to wrap
        frame(6, 0.0),                 // wrapped
    ];
    let mut device = start(grey(script));
    let times: Vec<f64> = read(&mut device, 7).into_iter().map(|(_, time)| time).collect();
    assert_eq!(times, [99.5, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0]);
    assert_eq!(device.misdated(), 5);
    for (flags, clock) in [(0, TimestampClock::Unknown), (BUF_FLAG_TIMESTAMP_COPY, TimestampClock::Copied)] {
        let timestamp = Some(second(99.0));
        let mut device =
            start(grey(vec![Step::Frame { sequence: 0, flags, timestamp, data: vec![FRAME.to_vec()] }]));
        assert_eq!(read(&mut device, 1), [(0, 100.0)]);
        assert_eq!(device.timestamps(), Some(clock));
    }
}

#[test]
fn frames_in_several_pieces_of_memory_are_put_together() {
    // 4 x 3 pixels of NV12 in two pieces, the luma's rows with two bytes to spare, the chroma's with three.
    let luma = [[1, 2, 3, 4, 99, 99], [5, 6, 7, 8, 99, 99], [9, 10, 11, 12, 99, 99]].concat();
    let chroma = [[20, 30, 21, 31, 99, 99, 99], [22, 32, 23, 33, 99, 99, 99]].concat();
    let data = vec![luma, chroma];
    let mut fake = fake(b"NM12", [4, 3], vec![Step::Frame { sequence: 0, flags: 0, timestamp: None, data }]);
    (fake.format.planes, fake.format.strides, fake.format.colorspace) = (2, [6, 7, 0], 3);
    let mut device = start(fake);
    let mut frame = Frame::default();
    assert!(device.read(&mut frame).unwrap());
    let picture = &frame.picture;
    assert_eq!((picture.format, picture.check(), picture.colour.bt709), (PixelFormat::Nv12, Ok(()), true));
    let row = |plane: usize, y: usize| {
        &picture.data[picture.planes[plane].offset + y * picture.planes[plane].stride..][..4]
    };
    assert_eq!((row(0, 0), row(0, 2)), (&[1, 2, 3, 4][..], &[9, 10, 11, 12][..]));
    assert_eq!((row(1, 0), row(1, 1)), (&[20, 30, 21, 31][..], &[22, 32, 23, 33][..]));
}

#[test]
fn the_configuration_is_what_the_driver_is_asked_for() {
    let mut fake = grey(vec![]);
    fake.offers.push((FourCc(*b"YUYV"), [4, 2], 30.0));
    fake.format.format = FourCc(*b"YUYV");
    fake.controls = vec![control(5, "Gain", ControlKind::Integer, 0, 10)];
    let log = log(&fake);
    let camera = Camera {
        size: Some([4, 2]),
        fps: Some(12.5),
        format: Some(DeviceFormat::Yuyv),
        controls: [("gain", 3), ("zoom", 1)].map(|(n, v)| (n.to_owned(), ControlValue::Number(v))).into(),
        ..camera()
    };
    // The control that there is not costs nothing but a warning.
    let device = start_with(fake, &camera).unwrap();
    assert_eq!(log.lock().unwrap().set, [(5, 3)]);
    assert_eq!(device.info().fps, Some(12.5));
    assert_eq!(device.info().description, "/dev/video7, , YUYV 4x2, 12.500 frames/s");
}

// What breaks

#[test]
fn what_a_driver_refuses_at_the_start_is_said_with_its_remedy() {
    for (call, errno, words) in [
        ("set_format", Errno::BUSY, "another program"),
        ("make_buffers", Errno::NOMEM, "memory"),
        ("make_buffers", Errno::INVAL, "buffers: the driver refuses"),
        ("queue", Errno::INVAL, "queue"),
        ("start", Errno::INVAL, "start: the driver refuses"),
        ("start", Errno::NODEV, "removed"),
    ] {
        let mut fake = grey(vec![]);
        fake.errors = vec![(call, errno)];
        let log = log(&fake);
        let error = start_with(fake, &camera()).err().unwrap();
        assert!(matches!(error, CameraError::Device { .. }), "{error:?}");
        assert!(error.to_string().contains(words) && error.to_string().contains("/dev/video7"), "{error}");
        assert_eq!(Arc::strong_count(&log), 1, "the driver is dropped");
    }
    // A rate that cannot be set is the driver's own.
    let mut fake = grey(vec![]);
    fake.errors = vec![("set_interval", Errno::NOTTY)];
    assert_eq!(start_with(fake, &Camera { fps: Some(5.0), ..camera() }).unwrap().info().fps, Some(30.0));
}

#[test]
fn what_is_not_offered_is_answered_with_what_is() {
    let sizes = Camera { size: Some([640, 480]), ..camera() };
    let formats = Camera { format: Some(DeviceFormat::Mjpg), ..camera() };
    for (camera, words) in [(sizes, "640x480"), (formats, "MJPG")] {
        let error = start_with(grey(vec![]), &camera).err().unwrap().to_string();
        assert!(error.contains(words) && error.contains("GREY 4x2 at 30/s"), "{error}");
    }
    // A driver that takes what it offers and makes something else of it.
    let mut fake = grey(vec![]);
    (fake.format.width, fake.offers[0].1) = (8, [16, 2]);
    let error = start_with(fake, &Camera { size: Some([16, 2]), ..camera() }).err().unwrap().to_string();
    assert!(error.contains("made it GREY 8x2"), "{error}");
}

#[test]
fn damaged_frames_are_passed_over_and_counted() {
    let script =
        vec![frame(0, 90.0), damaged(1, BUF_FLAG_ERROR, &FRAME), damaged(2, 0, &FRAME[..7]), frame(3, 91.0)];
    let fake = grey(script);
    let log = log(&fake);
    let mut device = start(fake);
    assert_eq!(read(&mut device, 2), [(0, 90.0), (3, 91.0)]);
    assert_eq!(device.corrupted(), 2);
    assert_eq!(log.lock().unwrap().queued.len(), 4, "their buffers are given back, too");
}

#[test]
fn a_truncated_jpeg_is_passed_over_and_so_is_one_of_another_size() {
    let jpeg = |width: u16| {
        let mut bytes = Vec::new();
        let pixels: Vec<u8> = (0..usize::from(width) * 16 * 3).map(|i| (i * 37 % 251) as u8).collect();
        jpeg_encoder::Encoder::new(&mut bytes, 90)
            .encode(&pixels, width, 16, jpeg_encoder::ColorType::Rgb)
            .unwrap();
        bytes
    };
    let whole = jpeg(32);
    let script = vec![
        damaged(0, 0, &whole),
        damaged(1, 0, &whole[..whole.len() / 2]),
        damaged(2, 0, &jpeg(48)),
        damaged(3, 0, b""),
        damaged(4, 0, &whole),
    ];
    let mut device = start(fake(b"MJPG", [32, 16], script));
    assert_eq!(read(&mut device, 2).into_iter().map(|(sequence, _)| sequence).collect::<Vec<_>>(), [0, 4]);
    assert_eq!(device.corrupted(), 3);
}

#[test]
fn nothing_but_damaged_frames_is_a_failure() {
    // As when the format is changed under a driver that does not tell.
    let mut fake = grey(vec![frame(0, 99.0)]);
    fake.endless = Some(vec![FRAME[..3].to_vec()]);
    let mut device =
        start_with(fake, &Camera { stall_timeout: config::Span::from_secs_f64(2.0), ..camera() }).unwrap();
    read(&mut device, 1);
    let said = error(&mut device);
    assert!(
        said.contains("nothing but damaged frames for 2s") && said.contains("3 bytes where 4x2 needs 8"),
        "{said}"
    );
    // A frame each slice of 100 ms.
    assert!((19..=22).contains(&device.corrupted()), "{}", device.corrupted());
}

#[test]
fn silence_ends_after_the_configured_time() {
    let mut script = vec![frame(0, 99.0)];
    script.extend(std::iter::repeat_n(Step::Silence, 25));
    script.push(frame(1, 99.5));
    let fake = grey(script);
    let (log, clock) = (log(&fake), fake.clock.clone().unwrap());
    let mut device =
        start_with(fake, &Camera { stall_timeout: config::Span::from_secs_f64(3.0), ..camera() }).unwrap();
    // Two and a half seconds are not three.
    read(&mut device, 2);
    let before = (clock.monotonic(), log.lock().unwrap().waits);
    let error = device.read(&mut Frame::default()).unwrap_err();
    assert!(matches!(&error, CameraError::Stalled { after, .. } if *after == second(3.0)), "{error:?}");
    let waited = clock.monotonic() - before.0;
    assert!(waited >= second(3.0) && waited <= second(3.2), "{waited:?}");
    // It slept; it did not spin.
    assert!(log.lock().unwrap().waits - before.1 <= 32);
}

#[test]
fn a_failing_driver_is_an_error_at_once() {
    for (errno, words) in [
        (Errno::IO, "the device failed"),
        (Errno::NODEV, "has been removed"),
        // It says that something is wrong, and not what.
        (Errno::AGAIN, "frame:"),
    ] {
        let fake = grey(vec![frame(0, 99.0), Step::Failed(errno)]);
        let log = log(&fake);
        let mut device = start(fake);
        read(&mut device, 1);
        let said = error(&mut device);
        assert!(said.contains(words) && said.contains("/dev/video7"), "{said}");
        assert_eq!(log.lock().unwrap().waits, 2);
    }
}

#[test]
fn a_frame_that_is_announced_and_not_there_is_waited_for() {
    let mut device = start(grey(vec![Step::Spurious, Step::Spurious, frame(0, 99.0)]));
    assert_eq!(read(&mut device, 1), [(0, 99.0)]);
}

#[test]
fn a_buffer_that_is_refused_is_offered_again() {
    let mut fake = grey((0..4).map(|n| frame(n, 90.0 + f64::from(n))).collect());
    let log = log(&fake);
    fake.endless = None;
    let mut device = start(fake);
    device.driver.errors = vec![("queue", Errno::INVAL)];
    read(&mut device, 1);
    assert_eq!(log.lock().unwrap().queued, [1, 2, 3]);
    read(&mut device, 1);
    assert_eq!(log.lock().unwrap().queued.len(), 4);
    // If it takes none at all there will be no frame, ever.
    device.driver.errors = vec![("queue", Errno::INVAL); 10];
    read(&mut device, 2);
    device.driver.script = vec![frame(4, 94.0), frame(5, 95.0)].into();
    read(&mut device, 1);
    let said = error(&mut device);
    assert!(said.contains("queue: the driver refuses"), "{said}");
}

#[test]
fn a_change_of_the_picture_is_an_error_and_other_events_are_none() {
    let script = vec![Step::Event { changed: false }, frame(0, 99.0), Step::Event { changed: true }];
    let mut device = start(grey(script));
    read(&mut device, 1);
    let said = error(&mut device);
    assert!(said.contains("changed"), "{said}");
}

#[test]
fn a_device_that_is_no_longer_wanted_stops_at_once() {
    let fake = grey(vec![frame(0, 99.0)]);
    let stop = Stop::new();
    let mut device =
        Device::start(fake, &FORMATS, &camera(), Arc::new(crate::clock::SystemClock), stop.clone()).unwrap();
    stop.set();
    assert!(matches!(device.read(&mut Frame::default()), Err(CameraError::Stopped)));
}

// Against an independent implementation: ffmpeg's swscale

/// The driver's format, in how many pieces of memory, and ffmpeg's name for the same; NV16, which swscale cannot read, is
/// given to it in planes.
const FFMPEG: [(&[u8; 4], usize, &str); 13] = [
    (b"YUYV", 1, "yuyv422"),
    (b"UYVY", 1, "uyvy422"),
    (b"NV12", 1, "nv12"),
    (b"NM12", 2, "nv12"),
    (b"NV21", 1, "nv21"),
    (b"NM21", 2, "nv21"),
    (b"NV16", 1, "yuv422p"),
    (b"NM16", 2, "yuv422p"),
    (b"YU12", 1, "yuv420p"),
    (b"YM12", 3, "yuv420p"),
    (b"RGB3", 1, "rgb24"),
    (b"BGR3", 1, "bgr24"),
    (b"GREY", 1, "gray"),
];

/// Gentle waves, different in each channel, in the middle of what a byte holds: where luma and chroma are at their ends
/// together, swscale overflows.
fn wave(channel: usize, x: usize, y: usize) -> u8 {
    let [c, x, y] = [channel, x, y].map(|v| v as f64);
    let sum = (x / 9.0 + c).sin() + (y / 7.0 + 2.0 * c).sin() + ((x + y) / 23.0 - c).sin();
    (127.5 + 28.0 * sum) as u8
}

/// Row `y` of plane `plane` of a wavy picture.
fn wavy_row(pixels: Pixels, plane: usize, y: usize, bytes: usize) -> Vec<u8> {
    let byte = |at: usize| match pixels {
        // Two lumas and two chromas, in turn.
        Pixels::Packed(order) => {
            let is_luma = at.is_multiple_of(2) == (order == Packed::Yuyv);
            if is_luma { wave(0, at / 2, y) } else { wave(1 + at % 4 / 2, at / 4, y) }
        }
        Pixels::Planes(PixelFormat::Rgb24 | PixelFormat::Bgr24) => wave(at % 3, at / 3, y),
        Pixels::Planes(PixelFormat::I420 | PixelFormat::I422) => wave(plane, at, y),
        _ if plane == 1 => wave(1 + at % 2, at / 2, y),
        _ => wave(0, at, y),
    };
    (0..bytes).map(byte).collect()
}

/// Bytes a row and rows of each plane.
fn shape(pixels: Pixels, [width, height]: [usize; 2]) -> Vec<(usize, usize)> {
    match pixels {
        Pixels::Packed(_) => vec![(width.div_ceil(2) * 4, height)],
        Pixels::Planes(format) => format.planes(width, height).collect(),
        Pixels::Jpeg => unreachable!("no raw format"),
    }
}

/// A wavy picture without gaps.
fn tight(pixels: Pixels, size: [usize; 2]) -> Vec<u8> {
    let planes = shape(pixels, size).into_iter().enumerate();
    planes
        .flat_map(|(plane, (bytes, rows))| (0..rows).flat_map(move |y| wavy_row(pixels, plane, y, bytes)))
        .collect()
}

/// A wavy picture as a driver has it, with gaps behind its rows, in one piece of memory or in several; and its strides.
fn buffers(pixels: Pixels, pieces: usize, size: [usize; 2]) -> (Vec<Vec<u8>>, [u32; 3]) {
    let planes = shape(pixels, size);
    let widest = planes.iter().map(|(bytes, _)| *bytes).max().unwrap_or(0);
    // Drivers like multiples of 16.
    let stride = (widest + 8).next_multiple_of(16);
    let (mut memory, mut strides) = (vec![Vec::new(); pieces], [0; 3]);
    for (plane, (bytes, rows)) in planes.into_iter().enumerate() {
        let piece = if pieces > 1 { plane } else { 0 };
        let halved = pixels == Pixels::Planes(PixelFormat::I420) && plane > 0 && pieces == 1;
        let stride = if halved { stride / 2 } else { stride };
        strides[piece] = strides[piece].max(stride as u32);
        for y in 0..rows {
            memory[piece].extend(wavy_row(pixels, plane, y, bytes));
            memory[piece].extend(std::iter::repeat_n(0xee, stride - bytes));
        }
    }
    (memory, strides)
}

/// `data` as RGB of `size`, by ffmpeg.
fn by_ffmpeg(
    data: &[u8],
    format: &str,
    from: [usize; 2],
    to: [usize; 2],
    colour: (bool, bool),
    flags: &str,
) -> Vec<u8> {
    let (matrix, range) = (if colour.0 { "bt709" } else { "bt601" }, if colour.1 { "pc" } else { "tv" });
    let [w, h] = to;
    let scale = format!(
        "scale={w}:{h}:in_color_matrix={matrix}:in_range={range}:out_range=pc:flags={flags}+accurate_rnd+full_chroma_int,format=rgb24"
    );
    let size = format!("{}x{}", from[0], from[1]);
    let mut child = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "rawvideo", "-pix_fmt", format, "-s", &size, "-i", "-"])
        .args(["-vf", &scale, "-f", "rawvideo", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(data).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.len() == w * h * 3, "{format} {scale}");
    output.stdout
}

/// The greatest difference.
fn difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// Every format, in BT.601 and BT.709, limited and full range, with gaps behind its rows, of even and of odd size. No
/// sample of the picture differs from ffmpeg's by more than 1 of 255 levels; nor, by more than 2, one of what the
/// conversion for a network makes of it at half the size.
#[test]
fn every_format_looks_as_ffmpeg_shows_it() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        println!("skipped: no program `ffmpeg`");
        return;
    }
    for (code, pieces, name) in FFMPEG {
        let known = FORMATS.into_iter().find(|known| known.code == FourCc(*code)).unwrap();
        let theirs = if name == "yuv422p" { Pixels::Planes(PixelFormat::I422) } else { known.pixels };
        let coloured = !matches!(code, b"RGB3" | b"BGR3" | b"GREY");
        let colours = [(false, false), (false, true), (true, false), (true, true)];
        // RGB is full range, and grey is taken as it is.
        let colours = if coloured { &colours[..] } else { &colours[1..2] };
        let even = colours.iter().map(|colour| (colour, [96, 64]));
        for (&(bt709, full_range), size) in
            even.chain(colours.iter().map(|colour| (colour, [53, 37])).take(1))
        {
            let [width, height] = size;
            let (memory, strides) = buffers(known.pixels, pieces, size);
            let format = Format {
                format: known.code,
                width: width as u32,
                height: height as u32,
                colorspace: 8, // sRGB, as webcams say
                encoding: if bt709 { 2 } else { 1 },
                quantization: if full_range { 1 } else { 2 },
                planes: pieces,
                strides,
            };
            let mut picture = Picture::new(PixelFormat::Grey, 0, 0);
            super::Layout::new(known.pixels, &format)
                .unwrap()
                .fill(&mut picture, |piece| &memory[piece])
                .unwrap();
            let case = format!("{} {width}x{height} bt709 {bt709} full {full_range}", known.code);

            // swscale squeezes chroma where a side is odd: it gets the next even size, and what is over is cut off.
            let even = size.map(|side| side.next_multiple_of(2));
            let data = tight(theirs, even);
            let whole = by_ffmpeg(&data, name, even, even, (bt709, full_range), "neighbor");
            let rows = whole.chunks(even[0] * 3).take(height);
            let whole: Vec<u8> = rows.flat_map(|row| row[..width * 3].to_vec()).collect();
            let mut ours = Vec::new();
            picture.to_rgb(&mut ours);
            let most = difference(&ours, &whole);
            assert!(most <= 1, "{case}: {most}");

            if size != even {
                continue;
            }
            let [width, height] = size.map(|side| side / 2);
            let (mean, std, filter) = ([0.0; 3], [1.0; 3], Filter::Bilinear);
            let tensor = Tensor { width, height, mean, std, bgr: false, filter, fill: 0.0 };
            let mut planar = vec![0.0; tensor.len()];
            let all = Rect::new(0.0, 0.0, size[0] as f32, size[1] as f32);
            Converter::new(tensor).convert(&picture, all, Fit::Stretch, &mut planar);
            let pixels = width * height;
            let ours: Vec<u8> =
                (0..pixels * 3).map(|i| (planar[i % 3 * pixels + i / 3] + 0.5) as u8).collect();
            let flags = "bilinear+full_chroma_inp";
            let most =
                difference(&ours, &by_ffmpeg(&data, name, size, [width, height], (bt709, full_range), flags));
            assert!(most <= 2, "{case}, half the size: {most}");
        }
    }
}

// A real one

/// Against a real driver, in every format that it has at the size it is set to. Run by hand or on a bench:
/// `WATCHWORD_TEST_DEVICE=/dev/video0 cargo test -- --ignored --nocapture a_device`.
#[test]
#[ignore = "needs a camera, and WATCHWORD_TEST_DEVICE to name it"]
fn a_device_gives_frames_in_every_format() {
    let source = std::env::var("WATCHWORD_TEST_DEVICE").expect("WATCHWORD_TEST_DEVICE");
    let mut first: Option<[u64; 3]> = None;
    for known in FORMATS {
        let camera = Camera { source: source.clone(), ..Camera::default() };
        let (stop, clock) = (Stop::new(), Arc::new(crate::clock::SystemClock));
        let node = Node::open(Path::new(&source)).unwrap();
        let mut device = match Device::start(node, &[known], &camera, clock, stop.clone()) {
            Ok(device) => device,
            Err(CameraError::Format { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        println!("{:?}", device.info());
        let (mut frame, mut rgb, mut last) = (Frame::default(), Vec::new(), None);
        for _ in 0..10 {
            assert!(device.read(&mut frame).unwrap());
            assert_eq!((frame.picture.width, frame.picture.height), (device.info.width, device.info.height));
            let now = (frame.sequence, frame.time.monotonic);
            assert!(last.is_none_or(|last: (u64, Duration)| last.0 < now.0 && last.1 < now.1));
            last = Some(now);
        }
        frame.picture.to_rgb(&mut rgb);
        let sum = |c: usize| rgb.iter().skip(c).step_by(3).map(|v| u64::from(*v)).sum::<u64>();
        let means = [0, 1, 2].map(|c| sum(c) * 3 / rgb.len() as u64);
        println!("{} {:?} {:?} means {means:?}", frame.sequence, frame.time, frame.picture.colour);
        if known.name != DeviceFormat::Grey {
            let first = first.get_or_insert(means);
            assert!(first.iter().zip(means).all(|(a, b)| a.abs_diff(b) <= 3), "{first:?} {means:?}");
        }
        stop.set();
        assert!(matches!(device.read(&mut frame), Err(CameraError::Stopped)));
    }
    assert!(first.is_some(), "no format that is understood");
}
