//! `lab features` over a small data set made here: what it keeps, and that it goes on where it was.
#![cfg(feature = "lab")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{clip, complaint, output, watchword};
use safetensors::SafeTensors;
use serde_json::json;

const WIDTH: u32 = 160;
const HEIGHT: u32 = 120;

/// A data set of one video of two pictures, `sit/a`, and one of the demo's clip, `z`; annotated is a person in each of
/// the pictures, as large as the picture, and in the clip's first frame.
struct DataSet(tempfile::TempDir);

impl DataSet {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pictures = folder.path().join("data/sit/a");
        std::fs::create_dir_all(&pictures).unwrap();
        for number in 1..=2u32 {
            let picture = image::RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
                image::Rgb([(x * number) as u8, (y * 2) as u8, (x + y) as u8])
            });
            picture.save(pictures.join(format!("{number:05}.png"))).unwrap();
        }
        std::fs::copy(clip(), folder.path().join("data/z.avi")).unwrap();
        let whole = |frame: u32| json!([frame, 0, 0, WIDTH, HEIGHT]);
        let truth = json!({"labels": ["sit", "run"], "tubes": [
            {"video": "sit/a", "label": "sit", "boxes": [whole(1), whole(2)]},
            {"video": "sit/a", "label": "run", "boxes": [whole(2)]},
            {"video": "z", "label": "run", "boxes": [[1, 10, 10, 60, 90]]},
        ]});
        std::fs::write(folder.path().join("truth.json"), truth.to_string()).unwrap();
        std::fs::write(folder.path().join("a.txt"), "sit/a\n").unwrap();
        Self(folder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = watchword();
        command.args(["lab", "features"]).arg(self.at("data")).arg("--truth").arg(self.at("truth.json"));
        command.arg("--out").arg(self.at("out")).args(more);
        command
    }

    /// What a run over the pictures alone says.
    fn pictures(&self, more: &[&str]) -> String {
        let run = output(self.command(more).arg("--videos").arg(self.at("a.txt")));
        assert!(run.status.success(), "{}", complaint(&run));
        String::from_utf8(run.stdout).unwrap()
    }
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn integers(file: &SafeTensors<'_>, name: &str) -> Vec<i64> {
    let tensor = file.tensor(name).unwrap();
    tensor.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect()
}

fn changed(path: &Path) -> std::time::SystemTime {
    std::fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn what_is_seen_is_kept_and_not_looked_at_again() {
    let data = DataSet::new();
    let said = data.pictures(&[]);
    assert!(said.contains("1 videos, 0 of them from before; 2 frames seen"), "{said}");
    let path = data.at("out/sit_a.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(integers(&file, "frame"), [1, 2]);
    assert_eq!(
        integers(&file, "truth.frame"),
        [0, 1],
        "rows of `frame`: a person who does two things is one"
    );
    assert_eq!(file.tensor("truth.label").unwrap().data(), [1, 0, 1, 1]);
    assert_eq!(floats(&file, "truth.box"), [0.0, 0.0, WIDTH as f32, HEIGHT as f32].repeat(2));
    // One as large as the picture looks like the picture, and the two pictures differ.
    let (context, truth) = (floats(&file, "context"), floats(&file, "truth"));
    assert_eq!(context.len(), truth.len());
    assert!(context.iter().zip(&truth).all(|(a, b)| (a - b).abs() < 1e-4), "{context:?} {truth:?}");
    let (first, second) = context.split_at(context.len() / 2);
    assert!(first.iter().zip(second).any(|(a, b)| (a - b).abs() > 1e-2));
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let about = header.metadata().as_ref().unwrap();
    assert_eq!((about["video"].as_str(), about["labels"].as_str()), ("sit/a", r#"["sit","run"]"#));

    // What the text tower makes of the labels lies beside.
    let labels = data.at("out/labels.safetensors");
    let text =
        |path: &Path| floats(&SafeTensors::deserialize(&std::fs::read(path).unwrap()).unwrap(), "text");
    let first = text(&labels);
    assert_eq!(first.len(), context.len(), "two labels, as wide as two frames");
    let written = changed(&labels);
    data.pictures(&[]);
    assert_eq!(changed(&labels), written);
    data.pictures(&["--template", "they {}", "--template", "to {}"]);
    assert!(text(&labels).len() == 2 * first.len() && text(&labels)[..first.len()] != first);

    let written = changed(&path);
    assert!(data.pictures(&[]).contains("1 of them from before; 0 frames seen"));
    assert_eq!(changed(&path), written);
    // Other settings are another result; so is a file that was cut off.
    assert!(data.pictures(&["--every", "2"]).contains("0 of them from before; 1 frames seen"));
    std::fs::write(&path, &std::fs::read(&path).unwrap()[..2000]).unwrap();
    assert!(data.pictures(&["--every", "2"]).contains("0 of them from before; 1 frames seen"));
}

#[test]
fn regions_can_be_read_off_one_pass() {
    let data = DataSet::new();
    let person = |frame: u32, x: u32| json!({"video": "sit/a", "frame": frame, "label": "sit", "score": 0.9, "box": [x, 10, x + 50, 110]});
    let found = json!({"frames": [person(1, 20), person(1, 90)]});
    std::fs::write(data.at("found.json"), found.to_string()).unwrap();
    let more = ["--detections", data.at("found.json").to_str().unwrap(), "--regions"].map(str::to_owned);
    let features = |regions: &str| {
        let more: Vec<&str> = more.iter().map(String::as_str).chain([regions]).collect();
        assert!(data.pictures(&more).contains("0 of them from before"), "they are another result");
        let bytes = std::fs::read(data.at("out/sit_a.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let space = header.metadata().as_ref().unwrap()["embedding"].clone();
        (["context", "truth", "person"].map(|name| floats(&file, name)), space)
    };
    let ([context, truth, persons], space) = features("one-pass");
    assert_eq!(truth, context, "one as large as the picture is the picture");
    let (left, right) = persons.split_at(persons.len() / 2);
    assert!(left.iter().zip(right).any(|(a, b)| (a - b).abs() > 1e-2), "each is where it is");
    let ([_, _, cropped], plain) = features("crops");
    assert!(persons.len() == cropped.len() && persons != cropped);
    assert_eq!(space, format!("{plain} one-pass"), "heads trained on one are not for the other");
}

#[test]
fn persons_of_a_file_stand_for_those_of_the_detector() {
    let data = DataSet::new();
    let person = |frame: u32, score: f32| json!({"video": "sit/a", "frame": frame, "label": "sit", "score": score, "box": [20, 10, 90, 110]});
    let found = json!({"frames": [person(2, 0.9), person(1, 0.1), person(7, 0.9)]});
    std::fs::write(data.at("found.json"), found.to_string()).unwrap();
    data.pictures(&["--detections", data.at("found.json").to_str().unwrap()]);
    let bytes = std::fs::read(data.at("out/sit_a.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(integers(&file, "person.frame"), [1]);
    assert_eq!(
        (floats(&file, "person.score"), floats(&file, "person.box")),
        (vec![0.9], vec![20.0, 10.0, 90.0, 110.0])
    );
}

#[test]
fn an_enlarged_person_is_seen_with_what_is_around_and_stays_where_it_is() {
    let data = DataSet::new();
    // As wide and as high again on every side, this box covers the picture.
    let found = json!({"frames": [{"video": "sit/a", "frame": 2, "label": "sit", "score": 0.9, "box": [50, 30, 110, 90]}]});
    std::fs::write(data.at("found.json"), found.to_string()).unwrap();
    let seen = |enlarge: &str| {
        let detections = data.at("found.json");
        data.pictures(&["--detections", detections.to_str().unwrap(), "--enlarge", enlarge]);
        let bytes = std::fs::read(data.at("out/sit_a.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(floats(&file, "person.box"), [50.0, 30.0, 110.0, 90.0]);
        let (person, context) = (floats(&file, "person"), floats(&file, "context"));
        let second = &context[context.len() / 2..];
        person.iter().zip(second).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(seen("0.0") > 1e-2);
    assert!(seen("1.0") < 1e-4, "the person looks like the whole picture");
    let run = output(&mut data.command(&["--enlarge", "2"]));
    assert!(complaint(&run).contains("a share is from 0 to 1"), "{}", complaint(&run));
}

#[test]
fn an_interrupted_run_keeps_what_is_finished() {
    let data = DataSet::new();
    let mut child = data.command(&["--threads", "1"]).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !data.at("out/sit_a.safetensors").exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    let signalled = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let run = child.wait_with_output().unwrap();
    assert!(
        !run.status.success() && complaint(&run).contains("stopped; what is finished is kept"),
        "{}",
        complaint(&run)
    );
    assert!(!data.at("out/z.safetensors").exists());
    assert!(data.pictures(&["--threads", "1"]).contains("1 of them from before; 0 frames seen"));
}

#[test]
fn what_is_missing_is_said_before_anything_is_looked_at() {
    let data = DataSet::new();
    std::fs::remove_file(data.at("data/z.avi")).unwrap();
    let run = output(&mut data.command(&[]));
    assert!(!run.status.success());
    assert!(
        complaint(&run).contains("1 of the annotated videos are not below")
            && complaint(&run).contains(": z for one")
    );
    assert!(!data.at("out/sit_a.safetensors").exists());
    std::fs::write(data.at("truth.json"), "v,1,0.1,0.1,0.5,0.9,1,1\n").unwrap();
    let run = output(&mut data.command(&[]));
    assert!(complaint(&run).contains("AVA annotates seconds"), "{}", complaint(&run));
}
