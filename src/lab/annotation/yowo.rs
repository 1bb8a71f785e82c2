//! YOWO's text files, one a frame in a folder, `<video>_<frame>.txt`:
//!
//! - ground truth: `label x1 y1 x2 y2` a line
//! - detections: `label score x1 y1 x2 y2` a line
//!
//! A label is its number from 1, or its name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};

use super::Names;
use super::labels::called;
use crate::lab::map::{Actor, Catalogue, Class, Found, FoundActor, Region, Truth};

/// UCF101-24 has half a million frames.
const MOST_FILES: usize = 1 << 22;
/// No frame has more to say.
const MOST_BYTES: u64 = 1 << 20;

pub fn truth(folder: &Path, classes: Option<&[Class]>) -> anyhow::Result<(Catalogue, Truth)> {
    let mut rows = Vec::new();
    each_line(folder, |video, frame, label, corners: [f64; 4]| {
        rows.push((video.to_owned(), frame, label.to_owned(), Region::new(corners)?));
        Ok(())
    })?;
    let mut catalogue = called(classes, rows.iter().map(|row| row.2.as_str()))?;
    let mut frames = Vec::new();
    for (name, frame, label, region) in rows {
        let label = catalogue.label_called(&label).with_context(|| format!("label {label} has no name"))?;
        frames.push(Actor { video: catalogue.video(&name), frame, label, region });
    }
    Ok((catalogue, Truth { frames, tubes: Vec::new() }))
}

pub fn found(folder: &Path, names: &mut Names<'_>) -> anyhow::Result<Found> {
    let mut frames = Vec::new();
    each_line(folder, |name, frame, label, [score, x1, y1, x2, y2]: [f64; 5]| {
        let (score, region) = (super::score(score)?, Region::new([x1, y1, x2, y2])?);
        if let Some(label) = names.label_called(label) {
            frames.push(FoundActor { video: names.video(name), frame, label: Some(label), score, region });
        }
        Ok(())
    })?;
    Ok(Found { frames: Some(frames), tubes: None })
}

/// Calls `row` with video, frame, label and numbers of every line, in the order of the files' names.
fn each_line<const NUMBERS: usize>(
    folder: &Path,
    mut row: impl FnMut(&str, i64, &str, [f64; NUMBERS]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let parts = name.to_str().and_then(|name| {
            let (video, frame) = name.strip_suffix(".txt")?.rsplit_once('_')?;
            Some((video.to_owned(), frame.parse::<u32>().ok()?))
        });
        files.extend(parts.map(|parts| (name, parts)));
        ensure!(files.len() <= MOST_FILES, "more than {MOST_FILES} files");
    }
    ensure!(!files.is_empty(), "no file in it is named <video>_<frame>.txt");
    files.sort_unstable();
    for (file, (video, frame)) in files {
        let mut text = String::new();
        let read =
            File::open(folder.join(&file)).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text));
        read.with_context(|| format!("{}", file.display()))?;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = || format!("{} line {}", file.display(), index + 1);
            let (label, numbers) = fields(line).with_context(place)?;
            row(&video, frame.into(), label, numbers).with_context(place)?;
        }
    }
    Ok(())
}

/// A label and as many numbers as there must be.
fn fields<const NUMBERS: usize>(line: &str) -> anyhow::Result<(&str, [f64; NUMBERS])> {
    let mut words = line.split_whitespace();
    let label = words.next().unwrap_or_default();
    let number = |word: &str| word.parse::<f64>().with_context(|| format!("{word:?} is no number"));
    let numbers = words.map(number).collect::<anyhow::Result<Vec<_>>>()?;
    let count = numbers.len();
    let numbers = numbers.try_into().ok();
    let form = if NUMBERS == 4 { "label x1 y1 x2 y2" } else { "label score x1 y1 x2 y2" };
    numbers
        .map(|numbers| (label, numbers))
        .with_context(|| format!("a label and {count} numbers; it must be {form}"))
}
