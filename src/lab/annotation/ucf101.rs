//! `pyannot.pkl` of the corrected UCF101-24: `{video: {"annotations": [{"label", "sf", "ef", "boxes"}], ..}}`, with
//! `boxes` of x, y, width, height from frame `sf` (from 0) to before `ef`. The variant with class names has that below
//! `db`, and the labels in `classes`.
//!
//! Frames are counted from 1 here, as those who made tubes of it do (`UCF101v2-GT.pkl`).

use anyhow::{Context, bail};

use super::numpy::{self, Budget, Name, Pickle};
use crate::lab::map::{Action, Catalogue, Class, Truth, Tube};
use crate::pickle::Value;

/// In the order of their numbers, from 0.
const LABELS: [&str; 24] = [
    "Basketball",
    "BasketballDunk",
    "Biking",
    "CliffDiving",
    "CricketBowling",
    "Diving",
    "Fencing",
    "FloorGymnastics",
    "GolfSwing",
    "HorseRiding",
    "IceDancing",
    "LongJump",
    "PoleVault",
    "RopeClimbing",
    "SalsaSpin",
    "SkateBoarding",
    "Skiing",
    "Skijet",
    "SoccerJuggling",
    "Surfing",
    "TennisSwing",
    "TrampolineJumping",
    "VolleyballSpiking",
    "WalkingWithDog",
];

pub fn truth(bytes: &[u8], classes: Option<&[Class]>) -> anyhow::Result<(Catalogue, Truth)> {
    let pickle = numpy::read(bytes).map_err(anyhow::Error::msg).context("pickle")?;
    let root = pickle.root();
    let videos = pickle.entry(root, "db").unwrap_or(root);
    let own = pickle.entry(root, "classes").and_then(|names| pickle.sequence(names));
    let catalogue = match (classes, own) {
        (Some(classes), _) => Catalogue::new(classes.to_vec()),
        (None, Some(names)) => {
            let names: Option<Vec<String>> = names.iter().map(|name| numpy::text(&pickle, name)).collect();
            Catalogue::numbered(1, names.context("classes: a name that is no text")?)
        }
        (None, None) => Catalogue::numbered(1, LABELS.map(str::to_owned)),
    };
    let mut catalogue = catalogue.map_err(anyhow::Error::msg)?;
    let entries = pickle.dict(videos).context("it is no dictionary of videos")?;
    let (mut tubes, mut budget) = (Vec::new(), Budget::of(bytes));
    for (name, entry) in entries {
        let name = numpy::text(&pickle, name).context("a video whose name is no text")?;
        let annotations = pickle.entry(entry, "annotations").and_then(|list| pickle.sequence(list));
        let annotations = annotations.with_context(|| format!("video {name}: it has no annotations"))?;
        for (index, annotation) in annotations.iter().enumerate() {
            let place = || format!("video {name}, annotation {index}");
            let (id, rows) = rows(&pickle, annotation).with_context(place)?;
            budget.spend(rows.len()).map_err(anyhow::Error::msg)?;
            // Everyone else counts labels from 1.
            let label = catalogue
                .label_by_id(id.saturating_add(1))
                .with_context(|| format!("label {id} has no name"));
            let label = label.with_context(place)?;
            let tube = Tube::of_rows(rows).with_context(place)?;
            tubes.push(Action { video: catalogue.video(&name), label, tube });
        }
    }
    Ok((catalogue, Truth::of_tubes(tubes)))
}

fn rows(pickle: &Pickle, annotation: &Value<Name>) -> anyhow::Result<(i64, Vec<[f64; 5]>)> {
    let field = |key: &str| {
        let value = pickle.entry(annotation, key).and_then(|value| numpy::integer(pickle, value));
        value.with_context(|| format!("{key} is no number"))
    };
    let (label, first, end) = (field("label")?, field("sf")?, field("ef")?);
    let boxes = pickle.entry(annotation, "boxes").context("no boxes")?;
    let array = numpy::array(pickle, boxes).map_err(anyhow::Error::msg).context("boxes")?;
    let boxes = array.rows::<4>().map_err(anyhow::Error::msg).context("boxes")?;
    if end.checked_sub(first) != i64::try_from(boxes.len()).ok() {
        bail!("{} boxes for frames {first} to before {end}", boxes.len());
    }
    let rows = (1..).zip(boxes).map(|(count, [x, y, w, h])| [(first + count) as f64, *x, *y, x + w, y + h]);
    Ok((label, rows.collect()))
}
