//! `lab eval` from footage to figures: a smoke test on a real clip, whose figures say nothing of accuracy.
#![cfg(feature = "lab")]

mod common;
#[path = "common/lab.rs"]
mod lab;

use std::path::{Path, PathBuf};

use common::shared;
use lab::{refused, said, text};
use serde_json::{Value, json};

/// The features of the clip of UCF101-24 that is there, every twentieth frame; its annotation, and the folder.
fn juggling(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let (videos, truth) = (shared("videos")?, shared("annotations/ucf101_24/pyannot.pkl")?);
    let (list, out) = (folder.join("videos.txt"), folder.join("features"));
    std::fs::write(&list, "SoccerJuggling/v_SoccerJuggling_g23_c01\n").unwrap();
    let arguments = ["features", text(&videos), "--truth", text(&truth), "--videos", text(&list)];
    said(&[&arguments[..], &["--out", text(&out), "--every", "20"]].concat());
    Some((out, truth))
}

#[test]
fn a_real_clip_is_judged_from_footage_to_tubes() {
    let folder = tempfile::tempdir().unwrap();
    let Some((features, truth)) = juggling(folder.path()) else { return };
    let heads = folder.path().join("heads.safetensors");
    said(&["init", "--out", text(&heads), "--random"]);
    let metrics = ["--truth", text(&truth), "--metrics", "frame@0.5,video@0.2"];
    let judge = |more: &[&str]| -> Value {
        let arguments =
            ["eval", text(&features), "--split", "ucf-75", "--json", "--heads", "baseline", "fusion"];
        serde_json::from_str(&said(&[&arguments[..], &[text(&heads)], &metrics, more].concat())).unwrap()
    };
    let sheet = judge(&[]);
    assert_eq!(sheet["benchmark"], "ucf-75");
    assert_eq!(sheet["metrics"], json!(["frame@0.5", "video@0.2"]));
    assert_eq!(sheet["splits"][0]["unseen"].as_array().unwrap().len(), 6);
    let rows = sheet["rows"].as_array().unwrap();
    assert_eq!(rows[0]["cells"][0]["published"], 66.34);
    for row in rows {
        assert_eq!(row["labels"][0]["label"], "SoccerJuggling", "no other label is there to be found");
        for cell in row["cells"].as_array().unwrap() {
            let map = cell["ours"]["mean"].as_f64().unwrap();
            assert!((0.0..=100.0).contains(&map), "{row}");
        }
    }
    // Untrained heads of this kind have no published row of their own.
    assert_eq!(rows[2]["cells"][0]["published"], Value::Null);
    let more = [
        "--vote",
        "track",
        "--fuse",
        "0.5",
        "--blind",
        "--background",
        "a person standing still",
        "--min-score",
        "0.3",
    ];
    let other = judge(&more);
    assert_ne!(other["rows"][2]["cells"], Value::Null);
    let table = said(&["eval", text(&features), "--heads", "baseline", "--split", "ucf-75"]);
    assert!(table.lines().any(|line| line.starts_with("| baseline | 66.34 | ")), "{table}");
    let error = refused(&["eval", text(&features), "--heads", "baseline", "--split", "75/25"]);
    assert!(error.contains("split 75/25 #0: no video shows an unseen label"), "{error}");
}

#[test]
fn what_cannot_be_judged_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let Some((features, _)) = juggling(folder.path()) else { return };
    let eval = |more: &[&str]| refused(&[&["eval", text(&features), "--heads", "baseline"], more].concat());
    let error = eval(&["--metrics", "video@0.5"]);
    assert!(error.contains("--truth"), "{error}");
    let error = eval(&["--split", "jhmdb-75"]);
    assert!(error.contains("catch is not in the data set"), "{error}");
    let error = eval(&["--metrics", "box@0.5"]);
    assert!(error.contains("neither frame@ nor video@"), "{error}");
    let list = folder.path().join("videos.txt");
    std::fs::write(&list, "Biking/v_Biking_g01_c01\n").unwrap();
    let error = eval(&["--videos", text(&list)]);
    assert!(error.contains("none of its videos is among the features"), "{error}");
    let error = refused(&["eval", text(&features), "--heads", text(&list)]);
    assert!(error.contains("heads") && error.contains("videos.txt"), "{error}");
    let heads = folder.path().join("heads.safetensors");
    let error = refused(&["eval", text(&features), "--heads", text(&heads)]);
    assert!(error.contains("No such file"), "{error}");
}
