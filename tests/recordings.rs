//! `watchword detect` as a user runs it: files from recordings, and what it says of bad ones.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{clip, complaint, config, output, shared, watchword};
use serde_json::Value;
use watchword::camera::{Source, Stop};
use watchword::clock::SystemClock;
use watchword::frame::Frame;

fn detect(config: &Path, source: &Path, out: &Path, more: &[&str]) -> std::process::Output {
    let mut command = watchword();
    command.arg("detect").arg("--config").arg(config).arg("--source").arg(source).arg("--out").arg(out);
    output(command.args(more))
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_recording_becomes_tracks_events_and_a_video() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "unused.avi", "");
    let out = folder.path().join("out");
    let result = detect(&config, &clip(), &out, &[]);
    assert!(result.status.success(), "{}", complaint(&result));

    let frames = lines(&out.join("tracks.jsonl"));
    assert!(frames.len() > 20, "{} frames", frames.len());
    let mut last = -1.0;
    let mut people = 0;
    for frame in &frames {
        let time = frame["time"].as_f64().unwrap();
        assert!(time > last && frame["frame"].is_u64());
        last = time;
        for track in frame["tracks"].as_array().unwrap() {
            people += 1;
            assert!(track["track"].as_u64().unwrap() > 0);
            let rect: Vec<f64> =
                track["box"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
            assert!(rect[0] < rect[2] && rect[1] < rect[3] && rect[2] > 2.0, "pixels: {rect:?}");
            assert!((0.0..=1.0).contains(&track["person_score"].as_f64().unwrap()));
            let scores = track["scores"].as_object().unwrap();
            assert_eq!(scores.keys().collect::<Vec<_>>(), ["cycling", "walking"]);
            assert!(scores.values().map(|p| p.as_f64().unwrap()).sum::<f64>() <= 1.0001);
        }
        for object in frame["objects"].as_array().unwrap() {
            assert!(object["class"].is_string() && object["box"].is_array() && object["score"].is_number());
        }
    }
    assert!(people > 20, "{people} people");

    let events = lines(&out.join("events.jsonl"));
    let of = |kind: &str| {
        events.iter().filter(|e| e["type"] == kind).map(|e| e["id"].to_string()).collect::<Vec<_>>()
    };
    let (begun, ended) = (of("begin"), of("end"));
    assert!(!begun.is_empty(), "somebody walks");
    assert!(begun.iter().all(|id| ended.contains(id)) && begun.len() == ended.len(), "all that begins ends");
    assert!(events.iter().all(|e| e["schema"] == 1 && e["camera"] == "gate" && e["action"] == "walking"));

    let video = fs::read(out.join("annotated.avi")).unwrap();
    assert_eq!((&video[..4], &video[8..12]), (&b"RIFF"[..], &b"AVI "[..]));
}

#[test]
fn it_says_the_same_twice() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "unused.avi", "");
    let tracks = ["a", "b"].map(|name| {
        let out = folder.path().join(name);
        let result = detect(&config, &clip(), &out, &["--no-video"]);
        assert!(result.status.success(), "{}", complaint(&result));
        assert!(!out.join("annotated.avi").exists());
        fs::read_to_string(out.join("tracks.jsonl")).unwrap()
    });
    assert_eq!(tracks[0], tracks[1]);
}

#[test]
fn cars_are_not_people() {
    let Some(cars) = shared("videos/car-detection.mp4") else { return };
    if !common::installed("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "unused.avi", "");
    let out = folder.path().join("out");
    let result = detect(&config, &cars, &out, &["--no-video"]);
    assert!(result.status.success(), "{}", complaint(&result));
    let frames = lines(&out.join("tracks.jsonl"));
    let tracks = frames.iter().filter(|f| !f["tracks"].as_array().unwrap().is_empty()).count();
    let with_cars = frames.iter().filter(|f| f["objects"].to_string().contains("\"car\"")).count();
    assert_eq!(tracks, 0, "frames with a person, of {}", frames.len());
    assert!(with_cars > 0, "the detector does see: a car in none of {} frames", frames.len());
    assert_eq!(lines(&out.join("events.jsonl")), Vec::<Value>::new());
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "unused.avi", "");
    let missing = folder.path().join("missing.mp4");
    let result = detect(&config, &missing, &folder.path().join("out"), &[]);
    assert!(!result.status.success());
    let said = complaint(&result);
    assert!(said.contains("missing.mp4") && said.contains("no such file"), "{said}");
}

#[test]
fn a_clip_cut_off_in_the_middle_gives_what_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "unused.avi", "");
    let whole = fs::read(clip()).unwrap();
    let cut = folder.path().join("cut.avi");
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let out = folder.path().join("out");
    let result = detect(&config, &cut, &out, &["--no-video"]);
    assert!(result.status.success(), "{}", complaint(&result));
    assert!(lines(&out.join("tracks.jsonl")).len() > 10);
}

#[test]
fn pictures_of_garbage_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "unused.avi", "");
    let pictures = folder.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    fs::write(pictures.join("1.jpg"), b"this is no picture").unwrap();
    let result = detect(&config, &pictures, &folder.path().join("out"), &[]);
    assert!(!result.status.success());
    assert!(complaint(&result).contains("1.jpg"), "{}", complaint(&result));
}

#[test]
fn a_broken_pack_is_refused_before_it_is_parsed() {
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("pack");
    fs::create_dir(&pack).unwrap();
    let nano = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nano");
    for file in fs::read_dir(&nano).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), pack.join(file.file_name())).unwrap();
    }
    let tower = pack.join("image.int8.onnx");
    let mut bytes = fs::read(&tower).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&tower, &bytes).unwrap();
    let config = config(folder.path(), "unused.avi", &format!("[pack]\npath = \"{}\"\n", pack.display()));
    let result = detect(&config, &clip(), &folder.path().join("out"), &[]);
    let said = complaint(&result);
    assert!(
        !result.status.success() && said.contains("image.int8.onnx") && said.contains("SHA-256"),
        "{said}"
    );
}

#[test]
fn a_mask_is_black_in_the_annotated_video_and_nobody_is_found_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "unused.avi", "");
    let mask = "[[camera.mask]]\npolygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]\n";
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replacen("[[action]]", &format!("{mask}[[action]]"), 1).replace("_fps = 5", "_fps = 2");
    fs::write(&path, text).unwrap();
    let out = folder.path().join("out");
    let result = detect(&path, &clip(), &out, &[]);
    assert!(result.status.success(), "{}", complaint(&result));

    let video = out.join("annotated.avi").display().to_string();
    let video = watchword::config::Camera { source: video, ..Default::default() };
    let mut source = watchword::camera::open(&video, Arc::new(SystemClock), Stop::new()).unwrap();
    let (mut frame, mut frames) = (Frame::default(), 0);
    while source.read(&mut frame).unwrap() {
        frames += 1;
        let (width, height) = (frame.picture.width, frame.picture.height);
        // Away from the edge, over which boxes may be drawn, and from the line of text below.
        for row in frame.picture.data.chunks(width * 3).take(height * 9 / 10) {
            let brightest = row[..width / 3 * 3].iter().max().unwrap();
            assert!(*brightest < 16, "frame {frames}: {brightest}");
        }
    }
    assert!(frames > 10);
    let tracks = lines(&out.join("tracks.jsonl"));
    let boxes = tracks.iter().flat_map(|line| line["tracks"].as_array().unwrap());
    let rights: Vec<f64> = boxes.map(|track| track["box"][2].as_f64().unwrap()).collect();
    assert!(!rights.is_empty() && rights.iter().all(|x| *x > frame.picture.width as f64 / 2.0), "{rights:?}");
}
