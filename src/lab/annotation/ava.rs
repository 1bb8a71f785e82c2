//! CSV as of AVA, and as iCLIP writes its results:
//!
//! - ground truth: `video,timestamp,x1,y1,x2,y2,action[,person]`; a row without a box says that nobody acts
//! - detections: `video,timestamp,x1,y1,x2,y2,action,score`; a row without an action is of a person alone
//!
//! The timestamp is a second in AVA, and a frame elsewhere. Boxes are in any one unit, in both files the same. A row of
//! an action that a given list of labels does not have is passed over, as AVA's own script does with its label map.

use anyhow::{Context, ensure};
use csv::StringRecord;

use super::Names;
use super::labels::called;
use crate::lab::map::{Actor, Catalogue, Class, Found, FoundActor, Region, Truth};

/// AVA has a million rows of ground truth, and detectors write 80 for each person.
const MOST_ROWS: usize = 1 << 25;

pub fn truth(bytes: &[u8], classes: Option<&[Class]>) -> anyhow::Result<(Catalogue, Truth)> {
    let mut rows = Vec::new();
    each_row(bytes, 7, |row| {
        if [2, 3, 4, 5, 6].into_iter().all(|column| at(row, column).is_empty()) {
            return Ok(());
        }
        let action = at(row, 6);
        ensure!(!action.is_empty(), "a box without an action");
        rows.push((at(row, 0).to_owned(), frame(row)?, action.to_owned(), region(row)?));
        Ok(())
    })?;
    let mut catalogue = called(classes, rows.iter().map(|row| row.2.as_str()))?;
    let mut frames = Vec::new();
    for (name, frame, action, region) in rows {
        if let Some(label) = catalogue.label_called(&action) {
            frames.push(Actor { video: catalogue.video(&name), frame, label, region });
        }
    }
    Ok((catalogue, Truth { frames, tubes: Vec::new() }))
}

pub fn found(bytes: &[u8], names: &mut Names<'_>) -> anyhow::Result<Found> {
    let mut frames = Vec::new();
    each_row(bytes, 8, |row| {
        let score = super::score(number(row, 7, "score")?)?;
        let (frame, region) = (frame(row)?, region(row)?);
        let label = match at(row, 6) {
            "" => None,
            action => match names.label_called(action) {
                None => return Ok(()),
                label => label,
            },
        };
        frames.push(FoundActor { video: names.video(at(row, 0)), frame, label, score, region });
        Ok(())
    })?;
    Ok(Found { frames: Some(frames), tubes: None })
}

/// Calls `row` with every row but a heading.
fn each_row(
    bytes: &[u8],
    columns: usize,
    mut row: impl FnMut(&StringRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let mut record = StringRecord::new();
    let mut count = 0;
    while reader.read_record(&mut record)? {
        count += 1;
        ensure!(count <= MOST_ROWS, "more than {MOST_ROWS} rows");
        if count == 1 && at(&record, 1).parse::<f64>().is_err() {
            continue;
        }
        let place = || format!("line {}", record.position().map_or(0, csv::Position::line));
        let has = record.len();
        let form = "video,timestamp,x1,y1,x2,y2,action,score";
        let enough = has >= columns;
        let complaint =
            || format!("{has} columns, not {columns}: detections are {form}, ground truth ends before score");
        enough.then_some(()).with_context(complaint).and_then(|()| row(&record)).with_context(place)?;
    }
    Ok(())
}

fn at(row: &StringRecord, column: usize) -> &str {
    row.get(column).unwrap_or_default()
}

fn number(row: &StringRecord, column: usize, name: &str) -> anyhow::Result<f64> {
    let text = at(row, column);
    text.parse().with_context(|| format!("{name} {text:?} is no number"))
}

fn frame(row: &StringRecord) -> anyhow::Result<i64> {
    super::frame(number(row, 1, "timestamp")?)
}

fn region(row: &StringRecord) -> anyhow::Result<Region> {
    let corner = |column, name| number(row, column, name);
    Ok(Region::new([corner(2, "x1")?, corner(3, "y1")?, corner(4, "x2")?, corner(5, "y2")?])?)
}
