//! The cached features of one video: what is small is held, the features stay in the file until a frame is asked for.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::file::{Source, Table};
use crate::frame::Rect;

/// What `lab features` calls its format.
pub const FORMAT: &str = "watchword features 1";

/// A video's file, as src/lab/README.md describes it.
#[derive(Debug, Clone)]
pub struct Video {
    path: PathBuf,
    /// As the annotation calls it.
    pub name: String,
    /// What people in it may do, in the order of the columns of the annotation.
    pub labels: Vec<String>,
    /// The encoder's space.
    pub embedding: String,
    /// What the file depends on, hashed.
    pub key: String,
    /// Elements of a feature.
    pub width: usize,
    /// Frames in ascending order, as the annotation numbers them.
    pub frames: Vec<i64>,
    context: Table,
    truth: Regions,
    /// A row for each person annotated, a column for each label.
    does: Vec<u8>,
    persons: Regions,
    person_scores: Vec<f32>,
    objects: Regions,
    object_scores: Vec<f32>,
}

/// Features of parts of frames, and where each part is.
#[derive(Debug, Clone)]
struct Regions {
    features: Table,
    boxes: Vec<Rect>,
    /// The rows of frame `i` are `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
}

/// Parts of one frame.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    pub boxes: &'a [Rect],
    /// The detector's; empty for what is annotated.
    pub scores: &'a [f32],
    /// Rows of the table of their kind.
    pub(super) rows: (usize, usize),
}

impl Video {
    /// Reads all but the features.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Source::open(path).and_then(Self::read).with_context(|| format!("features {}", path.display()))
    }

    fn read(mut source: Source) -> anyhow::Result<Self> {
        source.expect_format(FORMAT)?;
        let labels = source.labels()?;
        let frames = source.integers("frame", None)?;
        ensure!(!frames.is_empty(), "there are no frames in it");
        ensure!(frames.is_sorted_by(|a, b| a < b), "its frames are not in ascending order");
        let width = source.shape("context")?.last().copied().unwrap_or_default();
        ensure!(width > 0, "its features have no width");
        let count = frames.len();
        let truth = Regions::read(&mut source, "truth", count, width)?;
        let does = source.flags("truth.label", &[truth.boxes.len(), labels.len()])?;
        let persons = Regions::read(&mut source, "person", count, width)?;
        let person_scores = source.floats("person.score", &[persons.boxes.len()])?;
        let objects = Regions::read(&mut source, "object", count, width)?;
        let object_scores = source.floats("object.score", &[objects.boxes.len()])?;
        Ok(Self {
            name: source.about("video")?.to_owned(),
            embedding: source.about("embedding")?.to_owned(),
            key: source.about("key")?.to_owned(),
            context: source.table("context", Some(count), width)?,
            path: source.path().to_owned(),
            labels,
            width,
            frames,
            truth,
            does,
            persons,
            person_scores,
            objects,
            object_scores,
        })
    }

    /// People annotated in the frame of this row of `frames`.
    pub fn truth(&self, row: usize) -> Parts<'_> {
        self.truth.parts(row, &[])
    }

    /// Whether `person`, a row of all people annotated, does what `label` says.
    fn does(&self, person: usize, label: usize) -> bool {
        self.does.get(person * self.labels.len() + label) == Some(&1)
    }

    /// The labels of each of the people annotated in the frame of this row.
    pub fn actions(&self, row: usize) -> Vec<Vec<usize>> {
        let (first, end) = self.truth(row).rows;
        let labels = 0..self.labels.len();
        (first..end)
            .map(|person| labels.clone().filter(|label| self.does(person, *label)).collect())
            .collect()
    }

    /// Persons found in the frame of this row.
    pub fn persons(&self, row: usize) -> Parts<'_> {
        self.persons.parts(row, &self.person_scores)
    }

    /// Objects found in the frame of this row, near people annotated or found.
    pub fn objects(&self, row: usize) -> Parts<'_> {
        self.objects.parts(row, &self.object_scores)
    }

    /// Opens the file for its features.
    pub fn features(&self) -> anyhow::Result<Features<'_>> {
        let file = File::open(&self.path).with_context(|| format!("features {}", self.path.display()))?;
        Ok(Features { video: self, file })
    }
}

/// The features of a video, read as they are asked for.
pub struct Features<'a> {
    video: &'a Video,
    file: File,
}

impl Features<'_> {
    /// Appends the context of the frame of this row.
    pub fn context(&mut self, row: usize, out: &mut Vec<f32>) -> anyhow::Result<()> {
        self.read(self.video.context, row..row + 1, out)
    }

    /// Appends the features of these rows of all people annotated.
    pub(super) fn truth(&mut self, rows: Range<usize>, out: &mut Vec<f32>) -> anyhow::Result<()> {
        self.read(self.video.truth.features, rows, out)
    }

    /// Appends the features of these rows of all persons found.
    pub(super) fn persons(&mut self, rows: Range<usize>, out: &mut Vec<f32>) -> anyhow::Result<()> {
        self.read(self.video.persons.features, rows, out)
    }

    /// Appends the features of these rows of all objects.
    pub(super) fn objects(&mut self, rows: Range<usize>, out: &mut Vec<f32>) -> anyhow::Result<()> {
        self.read(self.video.objects.features, rows, out)
    }

    fn read(&mut self, table: Table, rows: Range<usize>, out: &mut Vec<f32>) -> anyhow::Result<()> {
        let place = || format!("features {}", self.video.path.display());
        table.read(&mut self.file, rows, out).with_context(place)
    }
}

impl Regions {
    fn read(source: &mut Source, name: &str, frames: usize, width: usize) -> anyhow::Result<Self> {
        let features = source.table(name, None, width)?;
        let count = features.rows();
        let corners = source.floats(&format!("{name}.box"), &[count, 4])?;
        let of_frame = source.integers(&format!("{name}.frame"), Some(count))?;
        let place = || format!("tensor {name}.frame: each must be a row of `frame`, in its order");
        let mut starts = vec![0; frames + 1];
        let mut last = 0;
        for row in of_frame {
            let row =
                usize::try_from(row).ok().filter(|row| (last..frames).contains(row)).with_context(place)?;
            last = row;
            if let Some(after) = starts.get_mut(row + 1) {
                *after += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let boxes =
            corners.as_chunks().0.iter().map(|[x1, y1, x2, y2]| Rect::new(*x1, *y1, *x2, *y2)).collect();
        Ok(Self { features, boxes, starts })
    }

    fn parts<'a>(&'a self, row: usize, scores: &'a [f32]) -> Parts<'a> {
        let start = |row: usize| self.starts.get(row).copied().unwrap_or(self.boxes.len());
        let rows = start(row)..start(row + 1);
        Parts {
            boxes: self.boxes.get(rows.clone()).unwrap_or_default(),
            scores: scores.get(rows.clone()).unwrap_or_default(),
            rows: (rows.start, rows.end),
        }
    }
}
