//! Sources at their seam: pictures made here, files made by `ffmpeg`, recordings from `../shared/data`.

use std::io::Cursor;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use proptest::prelude::*;

use super::recording::{Next, Recording};
use super::*;
use crate::clock::{Clock, FrameTime, ManualClock};
use crate::frame::{Picture, PixelFormat};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Duration::from_secs(100), Timestamp::UNIX_EPOCH))
}

fn camera(source: impl AsRef<Path>) -> config::Camera {
    config::Camera { source: source.as_ref().to_str().unwrap().into(), ..Default::default() }
}

fn open_at(source: impl AsRef<Path>) -> Result<Box<dyn Source>, CameraError> {
    open(&camera(source), clock(), Stop::new())
}

/// A JPEG of one colour, whose red says which one it is.
fn jpeg_of(red: u8, width: u16, height: u16) -> Vec<u8> {
    let pixels: Vec<u8> =
        std::iter::repeat_n([red, 90, 30], usize::from(width) * usize::from(height)).flatten().collect();
    let mut bytes = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
    encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    bytes
}

/// Reads to the end: sequence, time since the first frame's second 100, and the first pixel's red, of every frame.
fn read_all(source: &mut dyn Source) -> Result<Vec<(u64, Duration, u8)>, CameraError> {
    let mut frames = Vec::new();
    let mut frame = Frame::default();
    while source.read(&mut frame)? {
        frame.picture.check().unwrap();
        let since = frame.time.monotonic - Duration::from_secs(100);
        assert_eq!(frame.time.utc, Timestamp::UNIX_EPOCH.checked_add(since).unwrap());
        frames.push((frame.sequence, since, frame.picture.data[0]));
        assert!(frames.len() < 10_000, "it does not end");
    }
    Ok(frames)
}

fn close(a: u8, b: u8) -> bool {
    a.abs_diff(b) <= 3
}

/// Files of a few JPEGs, red 10, 60, 110, ..
fn folder(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (index, name) in names.iter().enumerate() {
        std::fs::write(dir.path().join(name), jpeg_of(10 + 50 * index as u8, 40, 30)).unwrap();
    }
    dir
}

// What a source's name means

#[test]
fn a_name_says_what_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    for (name, kind) in [
        ("a.mjpeg", Kind::Mjpeg),
        ("a.MJPG", Kind::Mjpeg),
        ("a.avi", Kind::Avi),
        ("a.mp4", Kind::Video),
        ("without", Kind::Video),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, "").unwrap();
        assert_eq!(Kind::of(path.to_str().unwrap()).unwrap(), kind, "{name}");
    }
    assert_eq!(Kind::of(dir.path().to_str().unwrap()).unwrap(), Kind::Folder);
    assert_eq!(Kind::of("/dev/null").unwrap(), Kind::Device);
    for url in ["rtsp://camera/stream", "http://1.2.3.4/a.avi"] {
        assert_eq!(Kind::of(url).unwrap(), Kind::Url, "{url}");
    }
    assert_eq!(Kind::of("file:///tmp/a.mp4").unwrap(), Kind::Video);
}

#[test]
fn what_is_not_there_is_named() {
    for name in
        ["/dev/video99", "/nowhere/clip.mp4", "/nowhere/clip.avi", "/nowhere/clip.mjpeg", "not/a/folder/"]
    {
        let error = open_at(name).err().unwrap();
        assert!(matches!(error, CameraError::Missing { .. }), "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_device_that_is_no_camera_is_named() {
    let error = open_at("/dev/null").err().unwrap().to_string();
    assert!(error.contains("/dev/null") && error.contains("capture device"), "{error}");
}

#[test]
fn passwords_do_not_appear() {
    // Port 1 of the loopback refuses; what ffprobe says of it names the address.
    if program("ffprobe") {
        let error = open_at("rtsp://admin:s3cr3t@127.0.0.1:1/a?key=k3y").err().unwrap().to_string();
        assert!(error.contains("127.0.0.1") && error.contains("refused"), "{error}");
        assert!(!error.contains("s3cr3t") && !error.contains("k3y") && !error.contains("admin"), "{error}");
    }
}

proptest! {
    /// Any bytes at all behind a name are refused or read, never a panic or an endless run.
    #[test]
    fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let result = images::Mjpeg::open("garbage", Cursor::new(bytes.clone()), None);
        prop_assert!(result.is_err());
        let mut avi = b"RIFF\0\0\0\0AVI ".to_vec();
        avi.extend_from_slice(&bytes);
        prop_assert!(!matches!(avi::Avi::open("garbage", Cursor::new(avi)), Ok(Some(_))));
    }
}

// Folders

#[test]
fn a_folder_is_read_in_the_order_of_its_numbers() {
    let dir = folder(&["f1.jpg", "f2.JPEG", "f10.jpg"]);
    std::fs::write(dir.path().join("notes.txt"), "no picture").unwrap();
    let mut source = open(&config::Camera { fps: Some(4.0), ..camera(&dir) }, clock(), Stop::new()).unwrap();
    let info = source.info().clone();
    assert_eq!(
        (info.width, info.height, info.fps, info.frames, info.live),
        (40, 30, Some(4.0), Some(3), false)
    );
    let frames = read_all(&mut source).unwrap();
    for (index, (sequence, since, red)) in frames.iter().enumerate() {
        assert_eq!(*sequence, index as u64);
        assert_eq!(*since, Duration::from_millis(250) * index as u32);
        assert!(close(*red, 10 + 50 * index as u8), "{red}");
    }
    assert_eq!(frames.len(), 3);
}

#[test]
fn numbers_in_names_count_as_numbers() {
    let mut names = ["b1", "a10", "a9", "a", "a09", "a9b", "a123456789012345678901234567890"];
    names.sort_by(|a, b| images::natural(a, b));
    assert_eq!(names, ["a", "a9", "a9b", "a09", "a10", "a123456789012345678901234567890", "b1"]);
}

#[test]
fn a_bad_picture_among_good_ones_is_skipped() {
    let dir = folder(&["1.jpg", "2.jpg", "3.jpg", "4.jpg"]);
    std::fs::write(dir.path().join("2.jpg"), "garbage").unwrap();
    let whole = std::fs::read(dir.path().join("3.jpg")).unwrap();
    std::fs::write(dir.path().join("3.jpg"), &whole[..whole.len() / 2]).unwrap();
    let frames = read_all(&mut open_at(&dir).unwrap()).unwrap();
    // The gap in the sequence says that two are missing; the time goes on over it.
    assert_eq!(frames.iter().map(|f| f.0).collect::<Vec<_>>(), [0, 3]);
    assert_eq!(frames[1].1, Duration::from_millis(120));
}

#[test]
fn a_bad_first_picture_is_an_error() {
    let dir = folder(&["1.jpg", "2.jpg"]);
    std::fs::write(dir.path().join("1.jpg"), "garbage").unwrap();
    let error = open_at(&dir).err().unwrap();
    assert!(matches!(error, CameraError::Picture { .. }), "{error:?}");
    assert!(error.to_string().contains("1.jpg"), "{error}");
    // A good header over damaged data shows when it is read.
    std::fs::write(dir.path().join("1.jpg"), &jpeg_of(1, 400, 300)[..700]).unwrap();
    let error = read_all(&mut open_at(&dir).unwrap()).unwrap_err();
    assert!(matches!(error, CameraError::Picture { .. }), "{error:?}");
}

#[test]
fn a_folder_without_pictures_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = open_at(&dir).err().unwrap().to_string();
    assert!(error.contains(dir.path().to_str().unwrap()) && error.contains(".jpg"), "{error}");
}

#[test]
fn a_repeated_recording_goes_on_in_time() {
    let dir = folder(&["1.jpg", "2.jpg"]);
    let camera = config::Camera { repeat: true, fps: Some(10.0), ..camera(&dir) };
    let stop = Stop::new();
    let mut source = open(&camera, clock(), stop.clone()).unwrap();
    let mut frame = Frame::default();
    for index in 0..7 {
        assert!(source.read(&mut frame).unwrap());
        assert_eq!(frame.sequence, index);
        assert_eq!(frame.time.monotonic, Duration::from_millis(100_000 + 100 * index));
        assert!(close(frame.picture.data[0], 10 + 50 * (index % 2) as u8));
    }
    stop.set();
    assert!(matches!(source.read(&mut frame), Err(CameraError::Stopped)));
}

// JPEGs in a row

#[test]
fn jpegs_in_a_row_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("row.mjpeg");
    let (a, b, c) = (jpeg_of(10, 64, 48), jpeg_of(60, 64, 48), jpeg_of(110, 64, 48));
    // A thumbnail in an application segment is a JPEG within a JPEG.
    let thumbnail = jpeg_of(250, 8, 8);
    let mut with_thumbnail = vec![0xff, 0xd8, 0xff, 0xe1];
    with_thumbnail.extend_from_slice(&(thumbnail.len() as u16 + 2).to_be_bytes());
    with_thumbnail.extend_from_slice(&thumbnail);
    with_thumbnail.extend_from_slice(&b[2..]);
    let row = [b"\r\n--boundary\r\n\xff", &a[..], b"rubbish", &with_thumbnail, &c[..]].concat();
    std::fs::write(&path, &row).unwrap();
    let frames = read_all(&mut open_at(&path).unwrap()).unwrap();
    assert_eq!(frames.len(), 3);
    for (frame, red) in frames.iter().zip([10, 60, 110]) {
        assert!(close(frame.2, red), "{frames:?}");
    }
    // Cut off in the last picture: the others are there.
    std::fs::write(&path, &row[..row.len() - 40]).unwrap();
    assert_eq!(read_all(&mut open_at(&path).unwrap()).unwrap().len(), 2);
    // Again, from the beginning.
    let mut source = images::Mjpeg::open("row", Cursor::new(row), None).unwrap();
    let mut picture = Picture::new(PixelFormat::Grey, 0, 0);
    for pass in 0..2 {
        for red in [10, 60, 110] {
            assert_eq!(source.next(&mut picture).unwrap(), Next::Picture);
            assert!(close(picture.data[0], red), "pass {pass}");
        }
        assert_eq!(source.next(&mut picture).unwrap(), Next::End);
        source.rewind().unwrap();
    }
}

// AVI

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

fn list(form: &[u8; 4], kind: &[u8; 4], chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(form, &[&kind[..], &chunks.concat()].concat())
}

/// An AVI of 10 frames/s with an audio stream first, so that the video is number 1.
fn avi_of(compression: &[u8; 4], movi: &[Vec<u8>]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let code = |name: &[u8; 4]| u32::from_le_bytes(*name);
    let audio = list(b"LIST", b"strl", &[chunk(b"strh", &words(&[code(b"auds"), 0, 0, 0, 0, 1, 8000]))]);
    let header = words(&[code(b"vids"), code(b"MJPG"), 0, 0, 0, 2, 20, 0, 9]);
    let format = words(&[40, 40, -30i32 as u32, 1 | 24 << 16, code(compression), 0]);
    let video = list(b"LIST", b"strl", &[chunk(b"strh", &header), chunk(b"strf", &format)]);
    let headers = list(b"LIST", b"hdrl", &[chunk(b"avih", &words(&[33_333, 0, 0, 0])), audio, video]);
    let junk = chunk(b"JUNK", b"odd");
    list(b"RIFF", b"AVI ", &[headers, junk, list(b"LIST", b"movi", movi)])
}

fn avi_of_five() -> Vec<u8> {
    let frame = |red: u8| chunk(b"01dc", &jpeg_of(red, 40, 30));
    let mut avi = avi_of(
        b"mjpg",
        &[
            frame(10),
            chunk(b"00wb", b"sound"),
            chunk(b"01dc", b""),
            list(b"LIST", b"rec ", &[frame(60), frame(110)]),
            chunk(b"ix01", &[0; 9]),
            frame(160),
        ],
    );
    avi.extend(chunk(b"idx1", &[0; 32]));
    avi.extend(list(b"RIFF", b"AVIX", &[list(b"LIST", b"movi", &[frame(210)])]));
    avi
}

#[test]
fn an_avi_of_jpegs_is_read() {
    let avi: &'static [u8] = avi_of_five().leak();
    let mut source = avi_bytes("five", avi, false, clock(), Stop::new()).unwrap();
    let info = source.info().clone();
    assert_eq!((info.width, info.height, info.fps, info.frames), (40, 30, Some(10.0), Some(9)));
    let frames = read_all(&mut source).unwrap();
    let (sequence, red): (Vec<u64>, Vec<u8>) = frames.iter().map(|f| (f.0, f.2)).unzip();
    // The empty chunk stands for the picture before it, and its time passes.
    assert_eq!(sequence, [0, 2, 3, 4, 5]);
    assert_eq!(frames[1].1, Duration::from_millis(200));
    assert!(red.iter().zip([10, 60, 110, 160, 210]).all(|(a, b)| close(*a, b)), "{red:?}");

    let mut twice = avi_bytes("five", avi, true, clock(), Stop::new()).unwrap();
    let mut frame = Frame::default();
    for _ in 0..6 {
        assert!(twice.read(&mut frame).unwrap());
    }
    assert!(close(frame.picture.data[0], 10) && frame.sequence == 6);
}

/// Wherever the file is cut off, what is whole before is read.
#[test]
fn an_avi_cut_off_anywhere_ends_there() {
    let avi = avi_of_five();
    let mut seen = 0;
    for length in 0..=avi.len() {
        let Ok(Some(cut)) = avi::Avi::open("cut", Cursor::new(avi[..length].to_vec())) else {
            assert_eq!(seen, 0, "at {length}");
            continue;
        };
        let frames = read_all(&mut recording::play(cut, false, clock(), Stop::new())).unwrap().len();
        assert!(frames == seen || frames == seen + 1, "at {length}");
        seen = frames;
    }
    assert_eq!(seen, 5);
}

#[test]
fn an_avi_with_a_bad_frame_goes_on() {
    let movi =
        [jpeg_of(1, 40, 30), b"garbage!".to_vec(), jpeg_of(3, 40, 30)].map(|data| chunk(b"01dc", &data));
    let avi: &'static [u8] = avi_of(b"MJPG", &movi).leak();
    let frames = read_all(&mut avi_bytes("bad", avi, false, clock(), Stop::new()).unwrap()).unwrap();
    assert_eq!(frames.iter().map(|f| f.0).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn an_avi_of_something_else_is_not_ours() {
    let avi = avi_of(b"XVID", &[chunk(b"01dc", b"....")]);
    assert!(avi::Avi::open("other", Cursor::new(avi)).unwrap().is_none());
    assert!(avi::Avi::open("none", Cursor::new(b"MThd".to_vec())).unwrap().is_none());
}

/// A length that a damaged file makes up costs no memory.
#[test]
fn a_made_up_length_is_not_believed() {
    let mut avi = avi_of(b"MJPG", &[chunk(b"01dc", &jpeg_of(1, 40, 30))]);
    avi.extend_from_slice(b"01dc\xff\xff\xff\xff and little more");
    let avi: &'static [u8] = avi.leak();
    assert_eq!(read_all(&mut avi_bytes("long", avi, false, clock(), Stop::new()).unwrap()).unwrap().len(), 1);
}

// Single pictures

#[test]
fn single_pictures_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (jpeg, png) = (dir.path().join("a.jpg"), dir.path().join("misnamed.jpg"));
    std::fs::write(&jpeg, jpeg_of(77, 33, 21)).unwrap();
    let image = image::RgbaImage::from_fn(5, 3, |x, y| image::Rgba([x as u8, y as u8, 9, 200]));
    image.save_with_format(&png, image::ImageFormat::Png).unwrap();
    let picture = read_picture(&jpeg).unwrap();
    assert_eq!((picture.width, picture.height, picture.format), (33, 21, PixelFormat::Rgb24));
    assert!(close(picture.data[0], 77));
    let picture = read_picture(&png).unwrap();
    assert_eq!(picture.check(), Ok(()));
    assert_eq!(&picture.data[(5 + 3) * 3..][..3], &[3, 1, 9]);

    std::fs::write(&jpeg, "garbage").unwrap();
    let error = read_picture(&jpeg).unwrap_err().to_string();
    assert!(error.contains("a.jpg"), "{error}");
    let error = read_picture(&dir.path().join("none.png")).unwrap_err();
    assert!(matches!(error, CameraError::Missing { .. }), "{error:?}");
}

#[test]
fn a_picture_that_claims_to_be_huge_is_refused() {
    let mut bytes = jpeg_of(1, 40, 30);
    let sof = bytes.windows(2).position(|w| w[0] == 0xff && (0xc0..=0xc2).contains(&w[1])).unwrap();
    bytes[sof + 5..sof + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
    let mut picture = Picture::new(PixelFormat::Grey, 0, 0);
    let error = jpeg::decode(&bytes, &mut picture).unwrap_err();
    assert!(error.contains("16383x16383"), "{error}");
    assert!(picture.data.is_empty());
}

// Pacing

/// A clock on which 7 ms pass whenever someone looks.
struct Impatient(AtomicU64);

impl Clock for Impatient {
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(7, Ordering::Relaxed))
    }

    fn utc(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

#[test]
fn a_recording_is_played_faster_or_slower_and_keeps_its_times() {
    let dir = folder(&["1.jpg", "2.jpg", "3.jpg", "4.jpg"]);
    let camera = config::Camera { fps: Some(2.0), ..camera(&dir) };
    for (speed, steps) in
        [(config::Speed::Times(100.0), 5), (config::Speed::Times(10.0), 50), (config::Speed::Max, 0)]
    {
        let clock = Arc::new(Impatient(AtomicU64::new(1000)));
        let source = open(&camera, clock.clone(), Stop::new()).unwrap();
        let mut source = Paced::new(source, clock.clone(), Stop::new()).at(speed);
        let mut frame = Frame::default();
        for index in 0..4 {
            assert!(source.read(&mut frame).unwrap());
            let now = clock.0.load(Ordering::Relaxed);
            assert_eq!(frame.time.monotonic, Duration::from_millis(1000 + 500 * index));
            assert!(now >= 1000 + steps * index, "{speed:?}: frame {index} at {now}");
            assert!(now < 1500, "{speed:?}: frame {index} at {now}");
        }
    }
}

#[test]
fn a_paced_recording_waits_for_its_time() {
    let dir = folder(&["1.jpg", "2.jpg", "3.jpg", "4.jpg"]);
    let clock = Arc::new(Impatient(AtomicU64::new(1000)));
    let camera = config::Camera { fps: Some(50.0), ..camera(&dir) };
    let stop = Stop::new();
    let mut source =
        Paced::new(open(&camera, clock.clone(), stop.clone()).unwrap(), clock.clone(), stop.clone());
    let mut frame = Frame::default();
    for index in 0..3 {
        assert!(source.read(&mut frame).unwrap());
        let now = Duration::from_millis(clock.0.load(Ordering::Relaxed));
        assert_eq!(frame.time.monotonic, Duration::from_millis(1000 + 20 * index));
        assert!(now >= frame.time.monotonic, "frame {index} came {:?} early", frame.time.monotonic - now);
        assert!(now < frame.time.monotonic + Duration::from_millis(50), "frame {index} is late");
    }
    stop.set();
    assert!(matches!(source.read(&mut frame), Err(CameraError::Stopped)));
}

struct Far(SourceInfo);

impl Source for Far {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        let utc = Timestamp::UNIX_EPOCH;
        frame.time = FrameTime { monotonic: Duration::from_secs(1_000_000), utc };
        Ok(true)
    }

    fn info(&self) -> &SourceInfo {
        &self.0
    }
}

#[test]
fn a_live_source_is_not_held_up_and_a_waiting_one_can_be_stopped() {
    let info =
        |live| SourceInfo { description: String::new(), width: 1, height: 1, fps: None, frames: None, live };
    let mut frame = Frame::default();
    assert!(Paced::new(Far(info(true)), clock(), Stop::new()).read(&mut frame).unwrap());

    let stop = Stop::new();
    let mut waiting = Paced::new(Far(info(false)), clock(), stop.clone());
    let reader = std::thread::spawn(move || waiting.read(&mut Frame::default()));
    stop.set();
    assert!(matches!(reader.join().unwrap(), Err(CameraError::Stopped)));
}

// ffmpeg

/// Whether a program is there; says so if not.
fn program(name: &str) -> bool {
    let there = Command::new(name).arg("-version").output().is_ok();
    if !there {
        println!("skipped: no program `{name}`");
    }
    there
}

/// A recording of the shared data, if both it and ffmpeg are there.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/videos").join(name);
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return None;
    }
    (program("ffmpeg") && program("ffprobe")).then_some(path)
}

/// Runs ffmpeg with words and paths; what it writes to its output.
fn ffmpeg_run(args: &[&str]) -> Vec<u8> {
    let output =
        Command::new("ffmpeg").args(["-nostdin", "-loglevel", "error", "-y"]).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The first frame, as ffmpeg itself makes it RGB: without the tables that are fast and a level too dark, and with
/// chroma repeated.
fn first_frame(path: &Path) -> Vec<u8> {
    let exact = "scale=flags=accurate_rnd+full_chroma_int+neighbor,format=rgb24";
    ffmpeg_run(&["-i", path.to_str().unwrap(), "-frames:v", "1", "-vf", exact, "-f", "rawvideo", "-"])
}

/// Mean difference a channel and greatest difference of a channel's means, in levels.
fn difference(a: &[u8], b: &[u8]) -> (f64, f64) {
    assert_eq!(a.len(), b.len());
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
        sum / count
    };
    let pixels = mean(&mut a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))));
    let means = (0..3).map(|c| {
        let channel = |picture: &[u8]| mean(&mut picture.iter().skip(c).step_by(3).map(|v| f64::from(*v)));
        (channel(a) - channel(b)).abs()
    });
    (pixels, means.fold(0.0, f64::max))
}

/// Ours is ffmpeg's, within a tenth of a level a sample in the mean.
fn assert_same_picture(path: &Path, picture: &Picture) {
    let mut rgb = Vec::new();
    picture.to_rgb(&mut rgb);
    let (pixels, means) = difference(&rgb, &first_frame(path));
    assert!(pixels < 0.1 && means < 0.1, "{}: pixels {pixels:.2}, means {means:.2}", path.display());
}

#[test]
fn videos_are_decoded_as_ffmpeg_shows_them() {
    for (name, size, fps, frames) in [
        ("vtest.avi", (768, 576), 10.0, 795),
        ("car-detection.mp4", (768, 432), 12.5, 377),
        ("drink_water.avi", (1920, 1080), 30.0, 103),
    ] {
        let Some(path) = shared(name) else { return };
        let mut source = open_at(&path).unwrap();
        let info = source.info().clone();
        assert_eq!((info.width, info.height, info.live), (size.0, size.1, false), "{info:?}");
        assert!(info.fps.is_some_and(|found| (found - fps).abs() < 0.1), "{info:?}");
        assert!(info.frames.is_some_and(|found| found.abs_diff(frames) <= 2), "{info:?}");
        let mut frame = Frame::default();
        assert!(source.read(&mut frame).unwrap());
        assert_eq!(frame.picture.format, PixelFormat::Nv12);
        assert_same_picture(&path, &frame.picture);
    }
}

#[test]
fn every_frame_of_a_video_comes_once() {
    let Some(path) = shared("exercise.avi") else { return };
    let camera = config::Camera { size: Some([96, 72]), ..camera(path) };
    let mut source = open(&camera, clock(), Stop::new()).unwrap();
    assert_eq!((source.info().width, source.info().height), (96, 72));
    let frames = read_all(&mut source).unwrap();
    assert_eq!(frames.len(), 393);
    assert!(
        frames
            .iter()
            .enumerate()
            .all(|(i, f)| f.0 == i as u64 && f.1 == Duration::from_millis(100 * i as u64))
    );
}

#[test]
fn a_video_cut_off_in_the_middle_gives_what_it_has() {
    let Some(path) = shared("vtest.avi") else { return };
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("cut.avi");
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 10]).unwrap();
    let camera = config::Camera { size: Some([96, 72]), ..camera(&cut) };
    let frames = read_all(&mut open(&camera, clock(), Stop::new()).unwrap()).unwrap().len();
    assert!((30..200).contains(&frames), "{frames}");
}

#[test]
fn colours_and_odd_sizes_survive() {
    if !program("ffmpeg") || !program("ffprobe") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (index, (space, range, format)) in
        [("bt709", "tv", "yuv420p"), ("smpte170m", "pc", "yuv444p"), ("bt709", "pc", "yuv420p")]
            .into_iter()
            .enumerate()
    {
        let path = dir.path().join(format!("{index}.mkv"));
        let matrix = if space == "bt709" { "bt709" } else { "bt601" };
        let filter = format!(
            "scale=out_color_matrix={matrix}:out_range={range},format={format},setparams=colorspace={space}:range={range}"
        );
        let (source, path) = ("smptebars=size=101x77:duration=1:rate=5", path.to_str().unwrap());
        ffmpeg_run(&["-f", "lavfi", "-i", source, "-vf", &filter, "-c:v", "ffv1", path]);
        let mut source = open_at(path).unwrap();
        let mut frame = Frame::default();
        assert!(source.read(&mut frame).unwrap());
        let picture = &frame.picture;
        assert_eq!((picture.width, picture.height), (101, 77));
        assert_eq!((picture.colour.bt709, picture.colour.full_range), (space == "bt709", range == "pc"));
        // The middles of six bars, 16 pixels each.
        let mut rgb = Vec::new();
        picture.to_rgb(&mut rgb);
        let truth = first_frame(Path::new(path));
        for x in [8, 24, 40, 56, 72, 88] {
            for c in 0..3 {
                let at = (20 * 101 + x) * 3 + c;
                assert!(
                    rgb[at].abs_diff(truth[at]) <= 4,
                    "{index}, bar at {x}: {:?}",
                    &rgb[at - c..at - c + 3]
                );
            }
        }
        assert_eq!(read_all(&mut source).unwrap().len(), 4);
    }
}

#[test]
fn ffmpegs_own_mjpeg_is_read_natively() {
    if !program("ffmpeg") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["clip.avi", "clip.mjpeg"] {
        let path = dir.path().join(name);
        let source = "testsrc=size=128x96:duration=2:rate=10";
        ffmpeg_run(&["-f", "lavfi", "-i", source, "-c:v", "mjpeg", "-q:v", "2", path.to_str().unwrap()]);
        let mut source = open_at(&path).unwrap();
        assert!(source.info().description.contains("JPEGs"), "{}", source.info().description);
        let mut frame = Frame::default();
        assert!(source.read(&mut frame).unwrap());
        // Chroma is interpolated here and repeated there, so edges of saturated colours differ.
        let (pixels, means) = difference(&frame.picture.data, &first_frame(&path));
        assert!(pixels < 4.0 && means < 1.0, "{name}: {pixels} {means}");
        assert_eq!(read_all(&mut source).unwrap().len(), 19);
    }
}

#[test]
fn a_file_that_is_no_video_says_so() {
    if !program("ffprobe") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("no: video.mp4");
    std::fs::write(&path, vec![b'x'; 5000]).unwrap();
    let error = open_at(&path).err().unwrap().to_string();
    assert!(error.contains("no: video.mp4") && error.contains("Invalid data"), "{error}");
}

/// Serves `bytes` to whoever connects, twice (to ffprobe and to ffmpeg); then closes, or keeps silent.
fn serve(bytes: Vec<u8>, close: bool) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for connection in listener.incoming().take(2) {
            let mut connection = connection.unwrap();
            // ffprobe leaves when it knows enough.
            let _ = connection.write_all(&bytes);
            if !close {
                held.push(connection);
            }
        }
        // Silent connections stay open for as long as the test runs.
        std::thread::park();
    });
    format!("tcp://{address}")
}

/// One second of a transport stream, long enough for ffprobe to make up its mind.
fn transport_stream() -> Vec<u8> {
    let source = "testsrc=size=320x240:duration=4:rate=25";
    ffmpeg_run(&["-f", "lavfi", "-i", source, "-c:v", "mpeg2video", "-b:v", "4M", "-f", "mpegts", "-"])
}

#[test]
fn a_live_stream_is_dated_when_it_arrives_and_ends_with_an_error() {
    if !program("ffmpeg") || !program("ffprobe") {
        return;
    }
    let url = serve(transport_stream(), true);
    let clock = clock();
    let mut source = open(&camera(&url), clock.clone(), Stop::new()).unwrap();
    let info = source.info().clone();
    assert_eq!((info.width, info.height, info.live, info.frames), (320, 240, true, None));
    let mut frame = Frame::default();
    assert!(source.read(&mut frame).unwrap());
    clock.advance(Duration::from_secs(5));
    assert!(source.read(&mut frame).unwrap());
    assert_eq!((frame.sequence, frame.time.monotonic), (1, Duration::from_secs(105)));
    let error = loop {
        match source.read(&mut frame) {
            Ok(more) => assert!(more, "a live stream has no end"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("ended") && error.contains(&url), "{error}");
    assert!(frame.sequence > 50, "{}", frame.sequence);
}

#[test]
fn waiting_for_a_silent_stream_can_be_stopped() {
    if !program("ffmpeg") || !program("ffprobe") {
        return;
    }
    // Nothing ever comes, so the probe waits; what would end it by itself is an error of another kind.
    let url = serve(Vec::new(), false);
    let stop = Stop::new();
    let stopper = stop.clone();
    let opener = std::thread::spawn(move || open(&camera(&url), clock(), stopper).err().unwrap());
    std::thread::sleep(Duration::from_millis(50));
    stop.set();
    assert!(matches!(opener.join().unwrap(), CameraError::Stopped));
}
