//! The pickles of ACT, MOC and YOWO (`JHMDB-GT.pkl`, `UCF101v2-GT.pkl`), and detections as ACT's scripts write them.
//!
//! - ground truth: a dictionary of `labels`, `gttubes` (video → label from 0 → arrays of frame from 1, x1, y1, x2, y2)
//!   and `test_videos` (a list for each split)
//! - frames found: an array of video (its place in `test_videos`), frame, label from 0, score, x1, y1, x2, y2
//! - tubes found: a dictionary of label from 0 → (video, score, array of frame, x1, y1, x2, y2)

use anyhow::{Context, bail, ensure};

use super::Names;
use super::numpy::{self, Budget, Name, Pickle};
use crate::lab::map::{Action, Catalogue, Found, FoundAction, FoundActor, Region, Truth, Tube};
use crate::pickle::Value;

/// Whether a file is one of these: all name `gttubes`, or begin with an array or with a number for a label.
pub fn is(bytes: &[u8]) -> bool {
    let Ok(pickle) = numpy::read(bytes) else { return false };
    let root = pickle.root();
    let numbered = |entries: &[(Value<Name>, Value<Name>)]| {
        entries.iter().all(|(key, _)| numpy::integer(&pickle, key).is_some())
    };
    pickle.entry(root, "gttubes").is_some()
        || pickle.call(root).is_some()
        || pickle.dict(root).is_some_and(numbered)
}

pub fn truth(bytes: &[u8], split: usize) -> anyhow::Result<(Catalogue, Truth)> {
    let pickle = numpy::read(bytes).map_err(anyhow::Error::msg).context("pickle")?;
    let field = |key: &str| pickle.entry(pickle.root(), key).with_context(|| format!("it has no {key}"));
    let labels = texts(&pickle, field("labels")?).context("labels")?;
    let mut catalogue = Catalogue::numbered(1, labels).map_err(anyhow::Error::msg)?;
    let splits = pickle.sequence(field("test_videos")?).context("test_videos is no list")?;
    let videos = split.checked_sub(1).and_then(|index| splits.get(index));
    let videos = videos.with_context(|| format!("there is no split {split}; it has {}", splits.len()))?;
    let videos = texts(&pickle, videos).with_context(|| format!("test_videos, split {split}"))?;
    catalogue.test = videos.iter().map(|name| catalogue.video(name)).collect();
    let all = pickle.dict(field("gttubes")?).context("gttubes is no dictionary")?;
    let (mut tubes, mut budget) = (Vec::new(), Budget::of(bytes));
    for (name, by_label) in all {
        let name = numpy::text(&pickle, name).context("gttubes: a video whose name is no text")?;
        let Some(video) = catalogue.known_video(&name) else { continue };
        let by_label = pickle.dict(by_label).with_context(|| format!("gttubes of {name}: no dictionary"))?;
        for (id, arrays) in by_label {
            let label =
                numpy::integer(&pickle, id).and_then(|id| catalogue.label_by_id(id.saturating_add(1)));
            let label = label.with_context(|| format!("gttubes of {name}: a label that is not in labels"))?;
            let arrays = pickle.sequence(arrays).with_context(|| format!("gttubes of {name}: no list"))?;
            for (index, array) in arrays.iter().enumerate() {
                let place = || format!("gttubes of {name}, {}, tube {index}", catalogue.name(label));
                let tube = tube(&pickle, array, &mut budget).with_context(place)?;
                tubes.push(Action { video, label, tube });
            }
        }
    }
    Ok((catalogue, Truth::of_tubes(tubes)))
}

pub fn found(bytes: &[u8], names: &mut Names<'_>) -> anyhow::Result<Found> {
    let pickle = numpy::read(bytes).map_err(anyhow::Error::msg).context("pickle")?;
    if let Some(by_label) = pickle.dict(pickle.root()) {
        return tubes_found(&pickle, by_label, Budget::of(bytes), names);
    }
    let array = numpy::array(&pickle, pickle.root()).map_err(anyhow::Error::msg)?;
    let rows = array.rows::<8>().map_err(anyhow::Error::msg)?;
    ensure!(
        !names.catalogue.test.is_empty(),
        "it calls its videos by their place in test_videos, which only ground truth in this format has"
    );
    let mut frames = Vec::new();
    for (index, [video, frame, id, score, x1, y1, x2, y2]) in rows.iter().enumerate() {
        let mut read = || {
            let place = super::frame(*video).context("video")?;
            let video =
                usize::try_from(place).ok().and_then(|place| names.catalogue.test.get(place).copied());
            let video = video.with_context(|| format!("there is no video {place} in test_videos"))?;
            let (frame, score) = (super::frame(*frame)?, super::score(*score)?);
            let region = Region::new([*x1, *y1, *x2, *y2])?;
            let label = names.label_by_id(super::frame(*id).context("label")?.saturating_add(1));
            Ok(label.map(|label| FoundActor { video, frame, label: Some(label), score, region }))
        };
        let actor: anyhow::Result<_> = read();
        frames.extend(actor.with_context(|| format!("row {index}"))?);
    }
    Ok(Found { frames: Some(frames), tubes: None })
}

fn tubes_found(
    pickle: &Pickle,
    by_label: &[(Value<Name>, Value<Name>)],
    mut budget: Budget,
    names: &mut Names<'_>,
) -> anyhow::Result<Found> {
    let mut tubes = Vec::new();
    for (id, list) in by_label {
        let id = numpy::integer(pickle, id).context("a label that is no number")?;
        for (index, entry) in pickle.sequence(list).context("no list of tubes")?.iter().enumerate() {
            let place = || format!("label {id}, tube {index}");
            let Some([video, score, array]) = pickle.sequence(entry) else {
                bail!("{}: not video, score and boxes", place());
            };
            let video =
                numpy::text(pickle, video).context("a video whose name is no text").with_context(place)?;
            let score = numpy::number(pickle, score).context("a score that is no number");
            let score = score.and_then(super::score).with_context(place)?;
            let tube = tube(pickle, array, &mut budget).with_context(place)?;
            if let Some(label) = names.label_by_id(id.saturating_add(1)) {
                tubes.push(FoundAction { video: names.video(&video), label, score, tube });
            }
        }
    }
    Ok(Found { frames: None, tubes: Some(tubes) })
}

fn tube(pickle: &Pickle, value: &Value<Name>, budget: &mut Budget) -> anyhow::Result<Tube> {
    let array = numpy::array(pickle, value).map_err(anyhow::Error::msg)?;
    // Tubes found may carry the score of each frame in a sixth column.
    let rows: Vec<[f64; 5]> = match array.shape[..] {
        [_, 6] => {
            let rows = array.rows::<6>().map_err(anyhow::Error::msg)?;
            rows.iter().map(|[frame, x1, y1, x2, y2, _]| [*frame, *x1, *y1, *x2, *y2]).collect()
        }
        _ => array.rows().map_err(anyhow::Error::msg)?.to_vec(),
    };
    budget.spend(rows.len()).map_err(anyhow::Error::msg)?;
    Ok(Tube::of_rows(rows)?)
}

fn texts(pickle: &Pickle, value: &Value<Name>) -> anyhow::Result<Vec<String>> {
    let items = pickle.sequence(value).context("no list")?;
    items.iter().map(|item| numpy::text(pickle, item).context("a name that is no text")).collect()
}
