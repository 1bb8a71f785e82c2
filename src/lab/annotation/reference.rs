//! The format of the metric's reference, JSON:
//!
//! - ground truth: `{"labels": [..], "tubes": [{"video", "label", "boxes": [[frame, x1, y1, x2, y2], ..]}]}`
//! - detections: `{"frames": [{"video", "frame", "label", "score", "box": [x1, y1, x2, y2]}],
//!   "tubes": [{"video", "label", "score", "boxes": [[frame, x1, y1, x2, y2], ..]}]}`
//!
//! The labels are those that count: a tube of another is passed over.

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Names;
use crate::lab::map::{Action, Catalogue, Found, FoundAction, FoundActor, Region, Truth, Tube};

#[derive(Deserialize)]
struct TruthFile {
    labels: Vec<String>,
    tubes: Vec<TruthTube>,
}

#[derive(Deserialize)]
struct TruthTube {
    video: String,
    label: String,
    boxes: Vec<[f64; 5]>,
}

#[derive(Deserialize)]
struct FoundFile {
    frames: Option<Vec<FoundBox>>,
    tubes: Option<Vec<FoundTube>>,
}

#[derive(Deserialize)]
struct FoundBox {
    video: String,
    frame: f64,
    label: String,
    score: f64,
    #[serde(rename = "box")]
    corners: [f64; 4],
}

#[derive(Deserialize)]
struct FoundTube {
    video: String,
    label: String,
    score: f64,
    boxes: Vec<[f64; 5]>,
}

pub fn truth(bytes: &[u8]) -> anyhow::Result<(Catalogue, Truth)> {
    let file: TruthFile = json(bytes)?;
    let mut catalogue = Catalogue::numbered(1, file.labels).map_err(anyhow::Error::msg)?;
    let mut tubes = Vec::new();
    for (index, tube) in file.tubes.into_iter().enumerate() {
        let Some(label) = catalogue.label(&tube.label) else { continue };
        let video = catalogue.video(&tube.video);
        let tube = Tube::of_rows(tube.boxes).with_context(|| format!("tubes[{index}] ({})", tube.video))?;
        tubes.push(Action { video, label, tube });
    }
    Ok((catalogue, Truth::of_tubes(tubes)))
}

pub fn found(bytes: &[u8], names: &mut Names<'_>) -> anyhow::Result<Found> {
    let file: FoundFile = json(bytes)?;
    let frames = file.frames.map(|frames| boxes(frames, names)).transpose()?;
    let tubes = file.tubes.map(|tubes| self::tubes(tubes, names)).transpose()?;
    Ok(Found { frames, tubes })
}

fn boxes(file: Vec<FoundBox>, names: &mut Names<'_>) -> anyhow::Result<Vec<FoundActor>> {
    let mut found = Vec::new();
    for (index, each) in file.into_iter().enumerate() {
        let place = || format!("frames[{index}] ({})", each.video);
        let frame = super::frame(each.frame).with_context(place)?;
        let score = super::score(each.score).with_context(place)?;
        let region = Region::new(each.corners).with_context(place)?;
        if let Some(label) = names.label(&each.label) {
            let video = names.video(&each.video);
            found.push(FoundActor { video, frame, label: Some(label), score, region });
        }
    }
    Ok(found)
}

fn tubes(file: Vec<FoundTube>, names: &mut Names<'_>) -> anyhow::Result<Vec<FoundAction>> {
    let mut found = Vec::new();
    for (index, each) in file.into_iter().enumerate() {
        let place = || format!("tubes[{index}] ({})", each.video);
        let score = super::score(each.score).with_context(place)?;
        let tube = Tube::of_rows(each.boxes.iter().copied()).with_context(place)?;
        if let Some(label) = names.label(&each.label) {
            found.push(FoundAction { video: names.video(&each.video), label, score, tube });
        }
    }
    Ok(found)
}

/// JSON whose error names the field besides line and column.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> anyhow::Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}
