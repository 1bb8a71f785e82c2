//! `lab ablate` on a world made here, with heads hardly trained: the tables are filled, and nothing is trained twice.
#![cfg(feature = "lab")]

mod common;
#[path = "common/lab.rs"]
mod lab;

use std::path::{Path, PathBuf};

use common::shared;
use lab::{refused, said, text};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use watchword::pack::architecture::{CLIP_VIT_B32, Clip, Precision, Recipe, Tower};
use watchword::pack::{RandomPack, make_random};

#[test]
fn tables_are_filled_and_nothing_is_trained_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (world, out) = (folder.path().join("world"), folder.path().join("out"));
    said(&["make-synthetic", text(&world), "--seed", "1", "--families", "4"]);
    let ablate = |tables: &str, more: &[&str]| {
        let arguments =
            ["ablate", text(&world), "--split", text(&world), "--out", text(&out), "--tables", tables];
        said(&[&arguments[..], &["--iterations", "2", "--rounds", "1"], more].concat())
    };
    let first = ablate("zero-shot", &[]);
    assert!(first.contains("3 heads trained, 0 from before"), "{first}");
    let again = ablate("zero-shot", &[]);
    assert!(again.contains("0 heads trained, 3 from before"), "{again}");
    assert_eq!(
        first.replace("3 heads trained, 0", "0 heads trained, 3"),
        again,
        "the same heads score the same"
    );
    // One of its heads is there by now: all units, without prompting, with the first seed.
    let more = ablate("units", &["--seeds", "2"]);
    assert!(more.contains("7 heads trained, 1 from before"), "{more}");

    let sheet: Value = serde_json::from_slice(&std::fs::read(out.join("units.json")).unwrap()).unwrap();
    let rows = sheet["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let ours = &row["cells"][0]["ours"];
        assert_eq!(ours["runs"].as_array().unwrap().len(), 2, "{row}");
        assert!((0.0..=100.0).contains(&ours["mean"].as_f64().unwrap()));
        assert_eq!(row["cells"][0]["published"], Value::Null, "nothing is published of a world");
        assert_eq!(row["labels"].as_array().unwrap().len(), 5, "the unseen family");
    }
    let markdown = std::fs::read_to_string(out.join("units.md")).unwrap();
    assert!(more.contains(&markdown), "{markdown}");

    // What iCLIP is compared with, as far as the features go.
    let compared = ablate("compared", &[]);
    assert!(compared.contains("2 heads trained, 2 from before"), "{compared}");
    assert!(compared.contains("Efficient-Prompting, with its prompts: no --pack is given"), "{compared}");
    assert!(compared.contains("ActionCLIP, with its prompts: the features hold one phrasing"), "{compared}");
    let figure = |name: &str| {
        let line = compared.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap();
        line.split('|').nth(3).unwrap().trim().parse::<f64>()
    };
    assert!(figure("ActionCLIP, without its prompts").is_ok_and(|figure| figure > 0.0));
    assert!(figure("Efficient-Prompting, without its prompts").is_ok_and(|figure| figure > 0.0));
    assert!(figure("SiA-B16 (2025)").is_err());

    // What a row lacks is said in its place; a variant is a row more.
    let variant = format!("the same={}", text(&world));
    let beyond = ablate("beyond", &["--variant", &variant]);
    for line in [
        "explicit background: no --background is given.",
        "averaged phrasings: the features hold one phrasing",
    ] {
        assert!(beyond.contains(line), "{line} is not in {beyond}");
    }
    let same = |name: &str| {
        let line = beyond.lines().find(|line| line.starts_with(&format!("| {name} |")));
        line.unwrap_or_else(|| panic!("{name} is not in {beyond}")).split('|').nth(3).unwrap().to_owned()
    };
    assert_eq!(same("iCLIP + prompting"), same("iCLIP + prompting, the same"));
    assert_ne!(same("iCLIP + prompting"), same("voting along the track"));

    let truth = world.join("truth.json");
    let video = ablate("video", &["--truth", text(&truth), "--shortest-tube", "5"]);
    let baseline = video.lines().find(|line| line.starts_with("| baseline")).unwrap();
    let figures: Vec<f64> = baseline.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
    assert!(figures.len() == 5 && figures[0] > 0.0 && figures.is_sorted_by(|a, b| a >= b), "{baseline}");
}

#[test]
fn what_cannot_be_made_is_said_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let (world, out) = (folder.path().join("world"), folder.path().join("out"));
    said(&["make-synthetic", text(&world), "--families", "4"]);
    let ablate = |more: &[&str]| refused(&[&["ablate", text(&world), "--out", text(&out)], more].concat());
    let error = ablate(&["--tables", "unit"]);
    assert!(error.contains("there is no table unit"), "{error}");
    let error = ablate(&["--tables", "supervised"]);
    assert!(error.contains("--videos lists the test videos"), "{error}");
    let error = ablate(&["--tables", "video", "--split", text(&world)]);
    assert!(error.contains("table video") && error.contains("--truth"), "{error}");
    let error = ablate(&["--tables", "units", "--split", text(&world), "--iterations", "0"]);
    assert!(error.contains("iterations"), "{error}");
    assert!(!out.join("runs").exists());
}

/// Clips that are there, and what is done in them.
const CLIPS: [(&str, &str); 4] = [
    ("v_SoccerJuggling_g23_c01", "juggling"),
    ("hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6", "cartwheel"),
    ("SchoolRulesHowTheyHelpUs_wave_f_nm_np1_ba_med_0", "wave"),
    ("drink_water", "drink"),
];

/// The features of the clips, made with these options besides; whom the detector finds is taken for annotated, and does
/// what the clip shows.
fn looked(folder: &Path, more: &[&str]) -> Option<PathBuf> {
    let videos = shared("videos")?;
    let (truth, features) = (folder.join("truth.json"), folder.join("features"));
    let labels = CLIPS.map(|(_, label)| label);
    let look = |tubes: Vec<Value>| {
        std::fs::write(&truth, json!({"labels": labels, "tubes": tubes}).to_string()).unwrap();
        let arguments = ["features", text(&videos), "--truth", text(&truth), "--out", text(&features)];
        said(&[&arguments[..], &["--every", "25"], more].concat());
    };
    look(
        CLIPS
            .map(|(video, label)| json!({"video": video, "label": label, "boxes": [[1, 0, 0, 99, 99]]}))
            .into(),
    );
    let mut tubes = Vec::new();
    for (video, label) in CLIPS {
        let bytes = std::fs::read(features.join(format!("{video}.safetensors"))).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let data = |name: &str| file.tensor(name).unwrap().data().to_vec();
        let integers = |name: &str| -> Vec<i64> {
            data(name).as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
        };
        let corners: Vec<f32> =
            data("person.box").as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let frames = integers("frame");
        for (row, corners) in integers("person.frame").iter().zip(corners.as_chunks::<4>().0) {
            let [x1, y1, x2, y2] = corners;
            tubes.push(
                json!({"video": video, "label": label, "boxes": [[frames[*row as usize], x1, y1, x2, y2]]}),
            );
        }
        assert!(!frames.is_empty() && tubes.iter().any(|tube| tube["label"] == label), "nobody in {video}");
    }
    look(tubes);
    Some(features)
}

/// A smoke test: the figures say nothing of accuracy.
#[test]
fn real_clips_are_trained_on_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let Some(features) = looked(folder.path(), &[]) else { return };
    let (unseen, recipe) = (at("unseen.txt"), at("recipe.toml"));
    std::fs::write(&unseen, "wave\ndrink\n").unwrap();
    std::fs::write(&recipe, "hold_out = 0.0\nframes = 2\n").unwrap();
    let out = at("out");
    let arguments = ["ablate", text(&features), "--split", text(&unseen), "--out", text(&out), "--json"];
    let more = ["--tables", "zero-shot", "--iterations", "2", "--recipe", text(&recipe)];
    let sheets: Value = serde_json::from_str(&said(&[&arguments[..], &more].concat())).unwrap();
    let rows = sheets[0]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let judged: Vec<&str> =
            row["labels"].as_array().unwrap().iter().map(|l| l["label"].as_str().unwrap()).collect();
        assert_eq!(judged, ["wave", "drink"]);
        // Every person found is where one is annotated: ranked anyhow, some are right.
        let map = row["cells"][0]["ours"]["mean"].as_f64().unwrap();
        assert!(map > 0.0 && map <= 100.0, "{row}");
    }
}

/// From footage to all rows of the table: features read off one encoding of the frame, several phrasings, and words that
/// are learned through the text tower. Towers are small and know nothing: the figures say as little.
#[test]
fn what_is_compared_is_trained_and_judged_from_footage_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let tower = Tower { width: 64, layers: 2, heads: 2 };
    let clip = Clip { image: tower, text: tower, embedding: 64, ..CLIP_VIT_B32 };
    let recipe = Recipe { clip, precision: Precision::F32, seed: 1 };
    make_random(&RandomPack { name: "small".into(), recipe }, &at("pack")).unwrap();
    let pack = at("pack");
    let more = ["--pack", text(&pack), "--regions", "one-pass"];
    let templates = ["--template", "a photo of a person {}.", "--template", "{}"];
    let Some(features) = looked(folder.path(), &[more, templates].concat()) else { return };
    let (unseen, recipe, out) = (at("unseen.txt"), at("recipe.toml"), at("out"));
    std::fs::write(&unseen, "wave\ndrink\n").unwrap();
    std::fs::write(&recipe, "hold_out = 0.0\nframes = 2\n").unwrap();
    let arguments = ["ablate", text(&features), "--split", text(&unseen), "--out", text(&out), "--json"];
    let more = ["--tables", "compared", "--iterations", "2", "--recipe", text(&recipe)];
    let sheets =
        |more: &[&str]| -> Value { serde_json::from_str(&said(&[&arguments[..], more].concat())).unwrap() };
    let sheet = &sheets(&[&more[..], &["--pack", text(&pack)]].concat())[0];
    let rows = sheet["rows"].as_array().unwrap();
    let figure = |row: &Value| row["cells"][0]["ours"]["mean"].as_f64();
    for row in &rows[..6] {
        assert!(figure(row).is_some_and(|map| map > 0.0 && map <= 100.0), "{row}");
    }
    assert_eq!(rows[6..].iter().map(figure).collect::<Vec<_>>(), [None; 3]);
    let sheet = &sheets(&more)[0];
    assert!(sheet["rows"][3]["missing"].as_str().unwrap().contains("--pack"), "{sheet}");

    // The same by hand: what has learned words is judged with the pack, or not at all.
    let words = at("words");
    let (features, pack) = (text(&features), text(&pack));
    let arguments = ["train", features, "--out", text(&words), "--iterations", "2", "--hold-out", "0"];
    let method = ["--method", "efficient-prompting", "--blocks", "1", "--vectors", "3"];
    said(&[&arguments[..], &method, &["--pack", pack]].concat());
    let error = refused(&[&arguments[..], &method].concat());
    assert!(error.contains("--pack"), "{error}");
    let heads = words.join("heads.safetensors");
    let arguments = ["eval", features, "--split", text(&unseen), "--heads", text(&heads)];
    let judged = said(&[&arguments[..], &["--pack", pack]].concat());
    assert!(judged.contains("| wave |") && judged.contains("| drink |"), "{judged}");
    let error = refused(&arguments);
    assert!(error.contains("learned words") && error.contains("--pack"), "{error}");
    // A board's loader refuses it.
    let case = at("case.safetensors");
    let error =
        refused(&["heads", "--weights", text(&heads), "--case", text(&case), "--out", text(&at("answer"))]);
    assert!(error.contains("watchword temporal 1") && error.contains("iclip"), "{error}");
}
