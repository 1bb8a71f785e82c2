//! A camera of the kernel, opened as the daemon opens it. Ignored, for want of one: `board/vm/test` boots a guest that
//! has the kernel's test driver, vivid, and runs these there with WATCHWORD_TEST_DEVICE naming the device. The first
//! two hold for any camera: `WATCHWORD_TEST_DEVICE=/dev/video0 cargo test --release --test device -- --ignored`.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::Duration;

use watchword::camera::{self, CameraError, Source, Stop};
use watchword::clock::{Clock, SystemClock};
use watchword::config::{Camera, DeviceFormat};
use watchword::frame::Frame;

/// From the environment: `DEVICE`, and optionally `SIZE` ("640x480").
fn configured() -> Camera {
    let source = std::env::var("WATCHWORD_TEST_DEVICE").expect("WATCHWORD_TEST_DEVICE names a device");
    let size = std::env::var("WATCHWORD_TEST_SIZE").ok().map(|size| {
        let (width, height) = size.split_once('x').expect("WATCHWORD_TEST_SIZE is like 640x480");
        [width.parse().unwrap(), height.parse().unwrap()]
    });
    Camera { name: "test".into(), source, size, ..Camera::default() }
}

fn open(camera: &Camera) -> Result<Box<dyn Source>, CameraError> {
    camera::open(camera, Arc::new(SystemClock), Stop::new())
}

#[test]
#[ignore = "needs a camera"]
fn frames_come_in_order_and_are_dated_by_when_they_were_captured() {
    let mut source = open(&configured()).unwrap();
    println!("{}", source.info().description);
    let (mut frame, mut last) = (Frame::default(), None);
    for _ in 0..20 {
        assert!(source.read(&mut frame).unwrap());
        let age = SystemClock.monotonic().checked_sub(frame.time.monotonic).expect("captured before now");
        assert!(age < Duration::from_secs(10), "{age:?}");
        let now = (frame.sequence, frame.time.monotonic);
        assert!(
            last.is_none_or(|last: (u64, Duration)| last.0 < now.0 && last.1 < now.1),
            "{last:?} {now:?}"
        );
        last = Some(now);
    }
}

#[test]
#[ignore = "needs a camera"]
fn two_hundred_openings_leave_nothing_open() {
    let camera = configured();
    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mapped = || std::fs::read_to_string("/proc/self/maps").unwrap().matches("/dev/video").count();
    let mut frame = Frame::default();
    let mut once = || assert!(open(&camera).unwrap().read(&mut frame).unwrap());
    once();
    let before = open_files();
    for _ in 0..200 {
        once();
    }
    assert_eq!(open_files(), before);
    assert_eq!(mapped(), 0);
}

/// The first of vivid's test patterns, without its text. WATCHWORD_TEST_FORMATS says which formats there must be.
#[test]
#[ignore = "needs vivid"]
fn colour_bars_look_the_same_in_every_format() {
    let wanted =
        std::env::var("WATCHWORD_TEST_FORMATS").expect("WATCHWORD_TEST_FORMATS is like \"YUYV NV12\"");
    for format in wanted.split_whitespace() {
        let known = serde_json::from_value::<DeviceFormat>(format.into()).unwrap();
        let mut source =
            open(&Camera { format: Some(known), ..configured() }).unwrap_or_else(|e| panic!("{format}: {e}"));
        let (mut frame, mut rgb) = (Frame::default(), Vec::new());
        for _ in 0..3 {
            assert!(source.read(&mut frame).unwrap());
        }
        frame.picture.to_rgb(&mut rgb);
        let wrong = differing(&rgb, frame.picture.width, frame.picture.height, known == DeviceFormat::Grey);
        println!("{format}: {}, largest difference {wrong}", source.info().description);
        assert!(wrong <= 4, "{format}: differs by {wrong}");
    }
}

/// The largest difference of any channel from 75 % colour bars, in the middle of each bar, all the way down.
fn differing(rgb: &[u8], width: usize, height: usize, grey: bool) -> u8 {
    const BARS: [[u8; 3]; 8] = [
        [191, 191, 191],
        [191, 191, 0],
        [0, 191, 191],
        [0, 191, 0],
        [191, 0, 191],
        [191, 0, 0],
        [0, 0, 191],
        [0, 0, 0],
    ];
    let mut most = 0;
    for (bar, [r, g, b]) in BARS.into_iter().enumerate() {
        // Vivid's grey is weighed as in BT.709, whatever it says of its colours.
        let luma = (0.2126 * f32::from(r) + 0.7152 * f32::from(g) + 0.0722 * f32::from(b)).round() as u8;
        let expected = if grey { [luma; 3] } else { [r, g, b] };
        let column = (2 * bar + 1) * width / 16;
        for row in 0..height {
            let pixel = &rgb[(row * width + column) * 3..][..3];
            let differs = pixel.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max().unwrap();
            if differs > most {
                println!("bar {bar} at {column},{row}: {pixel:?}, not {expected:?}");
                most = differs;
            }
        }
    }
    most
}
