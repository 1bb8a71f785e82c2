//! `lab map` against the reference, over the formats that people have, and against files made to harm.
#![cfg(feature = "lab")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{complaint, output, shared, watchword};
use serde_json::Value;

/// Random cases, each at five thresholds.
const CASES: usize = 60;
const IOUS: &str = "0.1,0.3,0.5,0.75,1";

/// Runs one of our scripts; `false`, with a message, where there is no Python with numpy.
fn python(script: &str, arguments: &[&str], folder: &Path) -> bool {
    let python = std::env::var("WATCHWORD_PYTHON").unwrap_or_else(|_| "python3".into());
    let fits = Command::new(&python).args(["-c", "import numpy"]).output();
    if !fits.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no numpy (pip install numpy; WATCHWORD_PYTHON)");
        return false;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab").join(script);
    let made = output(Command::new(python).arg("-B").arg(script).arg(folder).args(arguments));
    assert!(made.status.success(), "{}", complaint(&made));
    true
}

/// The reports of a run that succeeds.
fn map(truth: &Path, detections: &Path, arguments: &[&str]) -> Vec<Value> {
    let mut command = watchword();
    command.args(["lab", "map", "--json", "--truth"]).arg(truth).arg("--detections").arg(detections);
    let run = output(command.args(arguments));
    assert!(run.status.success(), "{command:?}: {}", complaint(&run));
    let out: Value = serde_json::from_slice(&run.stdout).unwrap();
    out["reports"].as_array().unwrap().clone()
}

/// The complaint of a run that fails.
fn refused(truth: &Path, detections: &Path, arguments: &[&str]) -> String {
    let mut command = watchword();
    command.args(["lab", "map", "--truth"]).arg(truth).arg("--detections").arg(detections);
    let run = output(command.args(arguments));
    assert!(!run.status.success(), "{command:?} succeeded");
    complaint(&run)
}

/// Label and AP of a report.
fn scores(report: &Value) -> Vec<(String, f64)> {
    let labels = report["labels"].as_array().unwrap().iter();
    labels.map(|label| (label["label"].as_str().unwrap().to_owned(), label["ap"].as_f64().unwrap())).collect()
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn the_reference_agrees_on_random_cases() {
    let folder = tempfile::tempdir().unwrap();
    if !python("cases.py", &[&CASES.to_string()], folder.path()) {
        return;
    }
    for case in 0..CASES {
        let folder = folder.path().join(case.to_string());
        let expected: Value =
            serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
        let reports =
            map(&folder.join("truth.json"), &folder.join("detections.json"), &["--iou", IOUS, "--video"]);
        assert_eq!(reports.len(), 2 * expected.as_array().unwrap().len());
        for report in &reports {
            let of_iou = expected.as_array().unwrap().iter().find(|at| at["iou"] == report["iou"]).unwrap();
            let by_label = of_iou[report["measure"].as_str().unwrap()].as_object().unwrap();
            let ours = scores(report);
            assert_eq!(ours.len(), by_label.len(), "case {case}: the labels that count");
            for (label, ap) in ours {
                let theirs = 100.0 * by_label[&label].as_f64().unwrap();
                assert!((ap - theirs).abs() <= 1e-6, "case {case}, {label}, {report}: {ap}, not {theirs}");
            }
            let mean =
                by_label.values().map(|ap| 100.0 * ap.as_f64().unwrap()).sum::<f64>() / by_label.len() as f64;
            assert!((report["map"].as_f64().unwrap() - mean).abs() <= 1e-6, "case {case}, mean");
        }
    }
}

#[test]
fn every_format_of_the_same_scores_the_same() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    if !python("formats.py", &[], folder) {
        return;
    }
    let at = |name: &str| folder.join(name);
    let classes = at("classes.txt");
    let classes = classes.to_str().unwrap();
    let pbtxt = at("classes.pbtxt");
    let pbtxt = pbtxt.to_str().unwrap();
    let both = map(&at("truth.json"), &at("detections.json"), &["--video"]);
    let (frames, tubes) = (scores(&both[0]), scores(&both[1]));
    assert!(frames.len() == 3 && frames.iter().all(|(_, ap)| *ap > 1.0 && *ap < 99.0), "{frames:?}");
    assert!(tubes.len() == 3 && tubes.iter().any(|(_, ap)| *ap > 1.0 && *ap < 99.0), "{tubes:?}");

    let protocols = ["0", "1", "2", "3", "4", "5", "python2"];
    let mut truths = vec![
        ("yowo-truth".to_owned(), classes),
        ("ava-truth.csv".to_owned(), pbtxt),
        ("jhmdb.json".to_owned(), ""),
    ];
    truths.extend(protocols.iter().map(|protocol| (format!("act-{protocol}.pkl"), "")));
    truths.extend(protocols.iter().map(|protocol| (format!("ucf-{protocol}.pkl"), classes)));
    for (truth, classes) in &truths {
        let arguments = if classes.is_empty() { vec![] } else { vec!["--classes", classes] };
        for detections in ["detections.json", "yowo-detections", "ava-detections.csv"] {
            let reports = map(&at(truth), &at(detections), &arguments);
            assert_eq!(scores(&reports[0]), frames, "{truth} with {detections}");
        }
    }
    for protocol in protocols {
        let (truth, tubes_found) = (at("act-2.pkl"), at(&format!("tubes-{protocol}.pkl")));
        let found = map(&truth, &at(&format!("frames-{protocol}.pkl")), &[]);
        assert_eq!(scores(&found[0]), frames, "protocol {protocol}");
        assert_eq!(scores(&map(&truth, &tubes_found, &["--video"])[0]), tubes, "protocol {protocol}");
        // Tubes made of UCF's annotations, and of persons in numbered frames, are the same tubes.
        for truth in [at(&format!("ucf-{protocol}.pkl")), at("jhmdb.json")] {
            let arguments: &[&str] =
                if truth == at("jhmdb.json") { &["--video"] } else { &["--video", "--classes", classes] };
            assert_eq!(
                scores(&map(&truth, &at("detections.json"), arguments)[1]),
                tubes,
                "{}",
                truth.display()
            );
        }
    }
    for order in ["fortran", "big-endian"] {
        let found = map(&at("act-2.pkl"), &at(&format!("frames-{order}.pkl")), &[]);
        assert_eq!(scores(&found[0]), frames, "{order}");
    }
    // Persons, each with the right action, from JSON that is of iCLIP throughout.
    let ceiling = map(&at("jhmdb.json"), &at("persons.json"), &["--oracle", "--iou", "0.01"]);
    assert!((ceiling[0]["map"].as_f64().unwrap() - 100.0).abs() < 1e-9, "{ceiling:?}");
    // Another split of the same file is another test set.
    let other = map(&at("act-2.pkl"), &at("detections.json"), &["--split", "2"]);
    assert!(scores(&other[0]).len() < 3, "{other:?}");
    let error = refused(&at("act-2.pkl"), &at("detections.json"), &["--split", "3"]);
    assert!(error.contains("there is no split 3; it has 2"), "{error}");

    let error = refused(&at("jhmdb.json"), &at("persons.json"), &[]);
    assert!(error.contains("persons without actions: --oracle"), "{error}");
    let error = refused(&at("jhmdb.json"), &at("objects.json"), &["--oracle"]);
    assert!(error.contains("is it the file of objects"), "{error}");
    let error = refused(&at("truth.json"), &at("persons.json"), &["--oracle"]);
    assert!(error.contains("only the J-HMDB ground truth in JSON resolves"), "{error}");
    let error = refused(&at("truth.json"), &at("frames-2.pkl"), &[]);
    assert!(error.contains("test_videos"), "{error}");
    let error = refused(&at("yowo-truth"), &at("detections.json"), &["--video"]);
    assert!(error.contains("leave out --video"), "{error}");
    let error = refused(&at("truth.json"), &at("yowo-detections"), &["--video"]);
    assert!(error.contains("hold no tubes: leave out --video"), "{error}");
    let error = refused(&at("act-2.pkl"), &at("tubes-2.pkl"), &[]);
    assert!(error.contains("no boxes in frames: they can be judged with --video"), "{error}");
    let error = refused(&at("truth.json"), &at("ucf-2.pkl"), &[]);
    assert!(error.contains("hold no scores"), "{error}");
}

#[test]
fn every_action_right_reaches_the_ceilings_of_the_detected_persons() {
    let Some(folder) = shared("annotations/jhmdb") else { return };
    let (truth, persons) =
        (folder.join("jhmdb_test_gt_min.json"), folder.join("jhmdb_faster_RCNN_person.json"));
    for (split, iou, ceiling) in
        [(1, "0.5", 94.6573), (1, "0.3", 95.5359), (1, "0.7", 86.0234), (2, "0.5", 92.2407)]
    {
        let labels = folder.join(format!("label_split_{split}/test_label.txt"));
        let arguments =
            ["--oracle", "--min-score", "0.2", "--iou", iou, "--labels", labels.to_str().unwrap()];
        let report = &map(&truth, &persons, &arguments)[0];
        let map = report["map"].as_f64().unwrap();
        assert!((map - ceiling).abs() <= 5e-5, "split {split} at {iou}: {map}, not {ceiling}");
        assert_eq!(report["labels"].as_array().unwrap().len(), 6);
    }
}

/// What a transcription of ACT's linking and videoAP into a few lines of NumPy makes of the same persons.
#[test]
fn linked_tubes_reach_what_the_authors_linking_reaches() {
    let Some(folder) = shared("annotations/jhmdb") else { return };
    let (truth, persons) =
        (folder.join("jhmdb_test_gt_min.json"), folder.join("jhmdb_faster_RCNN_person.json"));
    for (split, ceilings) in [(1, [95.6927, 95.6927, 95.6927]), (2, [96.1454, 95.1650, 91.9701])] {
        let labels = folder.join(format!("label_split_{split}/test_label.txt"));
        let labels = ["--min-score", "0.2", "--labels", labels.to_str().unwrap()];
        let arguments = ["--oracle", "--video", "--link", "--iou", "0.1,0.3,0.5"];
        let reports = map(&truth, &persons, &[&arguments[..], &labels].concat());
        let reports = reports.iter().filter(|report| report["measure"] == "video");
        let maps: Vec<f64> = reports.map(|report| report["map"].as_f64().unwrap()).collect();
        let near = maps.iter().zip(ceilings).all(|(map, ceiling)| (map - ceiling).abs() <= 5e-5);
        assert!(maps.len() == 3 && near, "split {split}: {maps:?}, not {ceilings:?}");
    }
    let error = refused(&truth, &persons, &["--oracle", "--video"]);
    assert!(error.contains("with --video, add --link"), "{error}");
}

#[test]
fn the_corrected_ucf101_is_read_whole() {
    let Some(folder) = shared("annotations/ucf101_24") else { return };
    let temporary = tempfile::tempdir().unwrap();
    let nothing = write(temporary.path(), "nothing.json", r#"{"frames": [], "tubes": []}"#);
    let positives = |name: &str, arguments: &[&str]| -> Vec<(String, u64)> {
        let report = map(&folder.join(name), &nothing, arguments).remove(0);
        let labels = report["labels"].as_array().unwrap().iter();
        labels.map(|l| (l["label"].as_str().unwrap().to_owned(), l["positives"].as_u64().unwrap())).collect()
    };
    let all = positives("pyannot.pkl", &[]);
    assert_eq!((all.len(), all.iter().map(|(_, boxes)| boxes).sum::<u64>()), (24, 573_862));
    assert_eq!(positives("pyannot_with_class_names.pkl", &[]), all);
    let list = folder.join("testlist01.txt");
    let tested = positives("pyannot.pkl", &["--videos", list.to_str().unwrap()]);
    assert!(tested.len() == 24 && tested.iter().zip(&all).all(|(some, all)| some.1 > 0 && some.1 < all.1));
}

#[test]
fn a_pickle_that_would_run_something_runs_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let nothing = write(folder, "nothing.json", r#"{"frames": []}"#);
    let trace = folder.join("ran");
    let command = format!("touch {}", trace.display());
    let by_line = format!("(dp0\nVgttubes\ncposix\nsystem\n(V{command}\ntRs.");
    let mut by_stack = b"\x80\x04}\x8c\x07gttubes\x8c\x02os\x8c\x06system\x93\x8c".to_vec();
    by_stack.push(u8::try_from(command.len()).unwrap());
    by_stack.extend(command.as_bytes());
    by_stack.extend(b"\x85Rs.");
    for (content, name) in [(by_line.as_bytes(), "posix.system"), (&by_stack[..], "os.system")] {
        let pickle = write(folder, "JHMDB-GT.pkl", content);
        for format in [&[][..], &["--format", "tubes"], &["--format", "ucf101"]] {
            let error = refused(&pickle, &nothing, format);
            assert!(
                error.contains("JHMDB-GT.pkl") && error.contains(&format!("wants to run {name}")),
                "{error}"
            );
        }
        let truth = write(
            folder,
            "truth.json",
            r#"{"labels": ["a"], "tubes": [{"video": "v", "label": "a", "boxes": [[1, 0, 0, 9, 9]]}]}"#,
        );
        let error = refused(&truth, &pickle, &["--detection-format", "tubes"]);
        assert!(error.contains(&format!("wants to run {name}")), "{error}");
    }
    // A name that is known does nothing here, whatever it is called with.
    let array = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncposix\nsystem\n\x85R.";
    assert!(refused(&write(folder, "a.pkl", array), &nothing, &[]).contains("posix.system"));
    assert!(!trace.exists());
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let tube = |boxes: &str| {
        format!(r#"{{"labels": ["sit"], "tubes": [{{"video": "v", "label": "sit", "boxes": {boxes}}}]}}"#)
    };
    let good = write(folder, "good.json", tube("[[1, 0, 0, 9, 9], [2, 0, 0, 9, 9]]"));
    let nothing = write(folder, "nothing.json", r#"{"frames": []}"#);
    let wrong = |truth: bool, name: &str, content: &str, parts: &[&str], arguments: &[&str]| {
        let file = write(folder, name, content);
        let error =
            if truth { refused(&file, &nothing, arguments) } else { refused(&good, &file, arguments) };
        for part in [&[name][..], parts].concat() {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    };
    wrong(
        true,
        "t.json",
        &tube("[[1, 0, 0, 9, 9], [3, 0, 0, 9, 9]]"),
        &["tubes[0] (v)", "frame 3, after frame 1"],
        &[],
    );
    wrong(
        true,
        "t.json",
        &tube("[[1, 5, 5, 2, 9]]"),
        &["tubes[0] (v)", "box 0", "is this x, y, width, height?"],
        &[],
    );
    wrong(true, "t.json", &tube("[]"), &["tubes[0] (v)", "no boxes"], &[]);
    wrong(true, "t.json", &tube("[[1, 0, 0, 9]]"), &["tubes[0].boxes[0]", "line 1"], &[]);
    wrong(true, "t.json", &tube("[[1, 0, 0, NaN, 9]]"), &["line 1"], &["--format", "reference"]);
    wrong(true, "t.json", &tube("[[1, 0, 0, 1e999, 9]]"), &["number out of range"], &[]);
    wrong(true, "t.json", r#"{"labels": ["a", "a"], "tubes": []}"#, &["label a is there twice"], &[]);
    wrong(true, "t.json", r#"{"labels": ["a"], "tubes": []}"#, &["nothing is annotated"], &[]);
    wrong(true, "t.json", r#"{"pictures": []}"#, &["neither images and annotations"], &[]);
    wrong(true, "t.txt", "hello", &["none that is known"], &[]);
    wrong(true, "t.txt", "", &["it is empty"], &[]);
    let found = |score: &str, corners: &str, frame: &str| {
        format!(
            r#"{{"frames": [{{"video": "v", "frame": {frame}, "label": "sit", "score": {score}, "box": {corners}}}]}}"#
        )
    };
    wrong(
        false,
        "d.json",
        &found("0.5", "[0, 0, 9, 9]", "1.5"),
        &["frames[0] (v)", "1.5 is not a whole number"],
        &[],
    );
    wrong(
        false,
        "d.json",
        &found("0.5", "[9, 0, 0, 9]", "1"),
        &["frames[0] (v)", "ends before it begins"],
        &[],
    );
    wrong(false, "d.json", &found("\"x\"", "[0, 0, 9, 9]", "1"), &["frames[0].score"], &[]);
    wrong(
        false,
        "d.csv",
        "v,1,0,0,9,9,1,0.5\nv,1,0,0,9,9,1,high\n",
        &["line 2", "score \"high\" is no number"],
        &[],
    );
    wrong(false, "d.csv", "v,1,0,0,9,9,1,nan\n", &["line 1", "score NaN is not finite"], &[]);
    wrong(false, "d.csv", "v,1,0,0,9,9,1\n", &["line 1", "7 columns, not 8"], &[]);
    wrong(false, "d.csv", "v,1,0,inf,9,9,1,0.5\n", &["line 1", "not of finite numbers"], &[]);
    let labels = write(folder, "labels.txt", "sitt\n");
    let error = refused(&good, &nothing, &["--labels", labels.to_str().unwrap()]);
    assert!(
        error.contains("labels.txt") && error.contains("sitt") && error.contains("nearest is sit"),
        "{error}"
    );
    let videos = write(folder, "videos.txt", "w\n");
    let error = refused(&good, &nothing, &["--videos", videos.to_str().unwrap()]);
    assert!(error.contains("videos.txt") && error.contains("none of its 1 videos"), "{error}");
    let error = refused(&good, &nothing, &["--iou", "1.5"]);
    assert!(error.contains("above 0 and at most 1"), "{error}");
    let error = refused(&good, &folder.join("absent"), &[]);
    assert!(error.contains("absent") && error.contains("No such file"), "{error}");
    let empty = folder.join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(refused(&good, &empty, &[]).contains("no file in it is named <video>_<frame>.txt"));
    write(&empty, "v_00001.txt", "1 0.5 0 0 9\n");
    let error = refused(&good, &empty, &[]);
    assert!(error.contains("v_00001.txt line 1") && error.contains("label score x1 y1 x2 y2"), "{error}");
}

#[test]
fn labels_that_nobody_knows_are_said_and_passed_over() {
    let temporary = tempfile::tempdir().unwrap();
    let truth =
        r#"{"labels": ["sit"], "tubes": [{"video": "v", "label": "sit", "boxes": [[1, 0, 0, 9, 9]]}]}"#;
    let truth = write(temporary.path(), "truth.json", truth);
    let found =
        write(temporary.path(), "d.csv", "v,1,0,0,9,9,1,0.5\nv,1,0,0,9,9,run,0.9\nv,1,0,0,9,9,2,0.9\n");
    let mut command = watchword();
    command.args(["lab", "map", "--truth"]).arg(&truth).arg("--detections").arg(&found);
    let run = output(&mut command);
    assert!(run.status.success(), "{}", complaint(&run));
    assert!(complaint(&run).contains("2 detections have labels that the ground truth does not list: 2, run"));
    let table = String::from_utf8(run.stdout).unwrap();
    assert!(table.contains("mean") && table.contains("100.0000"), "{table}");
}
