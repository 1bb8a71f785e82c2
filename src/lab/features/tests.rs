use std::collections::HashMap;

use super::*;
use crate::clip::Embeddings;
use crate::frame::Rect;

fn rows(values: &[f32]) -> Embeddings {
    let mut rows = Embeddings::new(2);
    assert!(values.chunks(2).all(|row| rows.push(row)));
    rows
}

/// A clip of two frames; in the second one person, who does two of three things.
fn clip() -> Clip {
    let mut clip = Clip::new(2, 3);
    let mut seen = extract::Seen { context: rows(&[1.0, 2.0]), ..Default::default() };
    clip.push(4, &Boxes::default(), &seen);
    seen.truth_features = rows(&[3.0, 4.0]);
    let boxes = Boxes { truth: vec![(Rect::new(0.0, 0.0, 5.0, 5.0), vec![0, 2])], persons: None };
    clip.push(6, &boxes, &seen);
    clip
}

#[test]
fn a_file_is_current_if_it_is_whole_and_its_key_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = path_of(folder.path(), "sit/one").unwrap();
    assert_eq!(path.file_name().unwrap(), "sit_one.safetensors");
    assert!(!is_current(&path, "k"));
    clip().write(&path, HashMap::from([("key".to_owned(), "k".to_owned())])).unwrap();
    assert!(is_current(&path, "k") && !is_current(&path, "other"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("context").unwrap().shape(), [2, 2]);
    assert_eq!(file.tensor("truth.label").unwrap().data(), [1, 0, 1]);
    assert_eq!(file.tensor("truth.frame").unwrap().data(), 1i64.to_le_bytes(), "a row of `frame`");
    for length in [0, 7, 8, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(!is_current(&path, "k"), "cut to {length}");
    }
    std::fs::write(&path, [255; 64]).unwrap();
    assert!(!is_current(&path, "k"));
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.safetensors");
    // A folder that is not empty cannot be replaced by a file.
    std::fs::create_dir_all(path.join("in the way")).unwrap();
    let error = clip().write(&path, HashMap::new()).unwrap_err();
    assert!(error.to_string().contains("cannot write") && error.to_string().contains("v.safetensors"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn footage_is_found_by_name_below_its_folder_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("sit/one")).unwrap();
    std::fs::write(root.join("two.mp4"), b"").unwrap();
    std::fs::write(root.join("v_three.avi"), b"").unwrap();
    std::fs::write(folder.path().join("secret.mp4"), b"").unwrap();
    assert_eq!(Footage::find(&root, "sit/one"), Some(Footage::Folder(root.join("sit/one"))));
    assert_eq!(Footage::find(&root, "two"), Some(Footage::File(root.join("two.mp4"))));
    assert_eq!(Footage::find(&root, "run/two"), Some(Footage::File(root.join("two.mp4"))));
    assert_eq!(Footage::find(&root, "v_three.avi"), Some(Footage::File(root.join("v_three.avi"))));
    for name in ["../secret", "/etc", "", "none", ".."] {
        assert_eq!(Footage::find(&root, name), None, "{name:?}");
    }
    assert!(path_of(&root, "../x").is_err() && path_of(&root, "").is_err());
}

#[test]
fn labels_are_read_as_words_in_a_sentence() {
    let labels = ["shoot_ball", "FloorGymnastics", "pullup"].map(str::to_owned);
    let read = |phrases: Option<&std::path::Path>, templates: &[&str]| {
        let templates: Vec<String> = templates.iter().map(|text| (*text).to_owned()).collect();
        sentences(&labels, phrases, &templates)
    };
    assert_eq!(read(None, &["{}"]).unwrap(), [["shoot ball"], ["floor gymnastics"], ["pullup"]]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phrases.toml");
    std::fs::write(&path, "pullup = 'doing a pull-up'\n").unwrap();
    let both = read(Some(&path), &["a photo of {}", "{}."]).unwrap();
    assert_eq!(both[0], ["a photo of shoot ball", "shoot ball."]);
    assert_eq!(both[2], ["a photo of doing a pull-up", "doing a pull-up."]);
    for (text, complaint) in [
        ("pulup = 'x'", "pulup is none of"),
        ("pullup = ['x', 'y']", "pullup has 2 sentences"),
        ("pullup = ' '", "blank"),
        ("pullup = 3", "neither a phrase"),
        ("pullup = ", "phrases.toml"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = format!("{:#}", read(Some(&path), &["{}"]).unwrap_err());
        assert!(error.contains(complaint), "{text}: {error}");
    }
    assert!(read(None, &["no place"]).unwrap_err().to_string().contains("once"));
}
