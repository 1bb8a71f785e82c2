//! J-HMDB as iCLIP and ST-CLIP keep it, JSON in the manner of COCO:
//!
//! - ground truth: `images` with `id`, `movie` and `timestamp` (the frame), `annotations` with `image_id`, `action_ids`
//!   (from 1, in alphabetical order) and `bbox` (x1, y1, x2, y2)
//! - persons: a list of `image_id`, `category_id`, `bbox` and `score`, which may be a text; the same for objects

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::Names;
use super::reference::json;
use crate::lab::map::{
    Action, Actor, Catalogue, Class, Found, FoundActor, Label, Region, Truth, Tube, Video,
};

/// In the order of their numbers.
const LABELS: [&str; 21] = [
    "brush_hair",
    "catch",
    "clap",
    "climb_stairs",
    "golf",
    "jump",
    "kick_ball",
    "pick",
    "pour",
    "pullup",
    "push",
    "run",
    "shoot_ball",
    "shoot_bow",
    "shoot_gun",
    "sit",
    "stand",
    "swing_baseball",
    "throw",
    "walk",
    "wave",
];

#[derive(Deserialize)]
struct TruthFile {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    movie: String,
    timestamp: Number,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: i64,
    action_ids: Vec<i64>,
    bbox: [f64; 4],
    #[serde(default)]
    person_id: i64,
}

#[derive(Deserialize)]
struct Person {
    image_id: i64,
    #[serde(default)]
    category_id: i64,
    bbox: [f64; 4],
    score: Number,
}

/// A number, which the authors' tools sometimes write as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(f64),
    Text(String),
}

impl Number {
    fn value(&self) -> anyhow::Result<f64> {
        match self {
            Self::Number(value) => Ok(*value),
            Self::Text(text) => text.parse().with_context(|| format!("{text:?} is no number")),
        }
    }
}

pub fn truth(bytes: &[u8], classes: Option<&[Class]>) -> anyhow::Result<(Catalogue, Truth)> {
    let file: TruthFile = json(bytes)?;
    let catalogue = match classes {
        Some(classes) => Catalogue::new(classes.to_vec()),
        None => Catalogue::numbered(1, LABELS.map(str::to_owned)),
    };
    let mut catalogue = catalogue.map_err(anyhow::Error::msg)?;
    for (index, image) in file.images.iter().enumerate() {
        let frame = image.timestamp.value().and_then(super::frame);
        let frame = frame.with_context(|| format!("images[{index}].timestamp"))?;
        let video = catalogue.video(&image.movie);
        if catalogue.images.insert(image.id, (video, frame)).is_some() {
            bail!("images[{index}]: number {} is there twice", image.id);
        }
    }
    let mut frames = Vec::new();
    let mut persons: BTreeMap<(Video, i64, Label), Vec<(i64, Region)>> = BTreeMap::new();
    for (index, annotation) in file.annotations.iter().enumerate() {
        let place = || format!("annotations[{index}] (image {})", annotation.image_id);
        let image = catalogue.images.get(&annotation.image_id).context("the image is not in images");
        let (video, frame) = *image.with_context(place)?;
        let region = Region::new(annotation.bbox).with_context(place)?;
        for id in &annotation.action_ids {
            let label =
                catalogue.label_by_id(*id).with_context(|| format!("action {id} is none of the labels"));
            let label = label.with_context(place)?;
            frames.push(Actor { video, frame, label, region });
            persons.entry((video, annotation.person_id, label)).or_default().push((frame, region));
        }
    }
    let tubes = tubes(persons);
    Ok((catalogue, Truth { frames, tubes }))
}

/// One for each person and label; none at all if one skips frames.
fn tubes(persons: BTreeMap<(Video, i64, Label), Vec<(i64, Region)>>) -> Vec<Action> {
    let tubes = persons.into_iter().map(|((video, _, label), mut rows)| {
        rows.sort_by_key(|(frame, _)| *frame);
        let rows = rows.into_iter().map(|(frame, region)| {
            let [x1, y1, x2, y2] = region.corners();
            [frame as f64, x1, y1, x2, y2]
        });
        Some(Action { video, label, tube: Tube::of_rows(rows).ok()? })
    });
    tubes.collect::<Option<_>>().unwrap_or_default()
}

pub fn found(bytes: &[u8], names: &Names<'_>) -> anyhow::Result<Found> {
    let persons: Vec<Person> = json(bytes)?;
    if names.catalogue.images.is_empty() {
        bail!("it calls its frames by number, which only the J-HMDB ground truth in JSON resolves");
    }
    // Of COCO's categories person is the first, counted from 0 or from 1.
    let categories: BTreeSet<i64> = persons.iter().map(|person| person.category_id).collect();
    let category = [0, 1].into_iter().find(|category| categories.contains(category));
    if category.is_none() && !persons.is_empty() {
        bail!("it holds no persons (category 0, or 1): is it the file of objects?");
    }
    let mut frames = Vec::new();
    for (index, person) in persons.iter().enumerate() {
        if Some(person.category_id) != category {
            continue;
        }
        let read = || {
            let image = names.catalogue.images.get(&person.image_id);
            let (video, frame) = *image.context("the ground truth has no such image")?;
            let (score, region) = (super::score(person.score.value()?)?, Region::new(person.bbox)?);
            Ok(FoundActor { video, frame, label: None, score, region })
        };
        let actor: anyhow::Result<_> = read();
        frames.push(actor.with_context(|| format!("[{index}] (image {})", person.image_id))?);
    }
    Ok(Found { frames: Some(frames), tubes: None })
}
