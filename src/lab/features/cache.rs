//! A video's features in a file, safetensors, whose layout src/lab/README.md describes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use safetensors::tensor::{Dtype, Metadata};

use super::extract::{Boxes, Seen};
use crate::frame::Rect;
use crate::heads::{Tensor, Tensors};

/// The header of a file of ours is smaller.
const MOST_HEADER: u64 = 1 << 20;

/// The features of one video, growing.
#[derive(Debug, Default)]
pub struct Clip {
    width: usize,
    labels: usize,
    frames: Vec<i64>,
    context: Vec<f32>,
    truth: Rows,
    truth_labels: Vec<u8>,
    persons: Rows,
    scores: Vec<f32>,
    objects: Rows,
    object_scores: Vec<f32>,
    classes: Vec<i64>,
}

/// Features, with the place of each.
#[derive(Debug, Default)]
struct Rows {
    features: Vec<f32>,
    frames: Vec<i64>,
    boxes: Vec<f32>,
}

impl Rows {
    fn extend<'a>(
        &mut self,
        frame: i64,
        rects: impl Iterator<Item = Rect>,
        features: impl Iterator<Item = &'a [f32]>,
    ) {
        for (rect, feature) in rects.zip(features) {
            self.frames.push(frame);
            self.boxes.extend([rect.x1, rect.y1, rect.x2, rect.y2]);
            self.features.extend_from_slice(feature);
        }
    }

    fn write(&self, name: &str, width: usize, out: &mut Tensors) {
        let count = self.frames.len();
        out.insert(name.to_owned(), Tensor::floats(&[count, width], &self.features));
        out.insert(format!("{name}.frame"), integers(&self.frames));
        out.insert(format!("{name}.box"), Tensor::floats(&[count, 4], &self.boxes));
    }
}

impl Clip {
    /// Empty: features `width` wide, of people who may do `labels` things.
    pub fn new(width: usize, labels: usize) -> Self {
        Self { width, labels, ..Self::default() }
    }

    /// Frames so far.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds a frame, as it is numbered in the annotation.
    pub fn push(&mut self, number: i64, boxes: &Boxes, seen: &Seen) {
        let row = self.frames.len() as i64;
        self.frames.push(number);
        self.context.extend_from_slice(seen.context.row(0).unwrap_or_default());
        self.truth.extend(row, boxes.truth.iter().map(|(rect, _)| *rect), seen.truth_features.rows());
        for (_, labels) in &boxes.truth {
            self.truth_labels.extend((0..self.labels).map(|label| u8::from(labels.contains(&label))));
        }
        self.persons.extend(row, seen.persons.iter().map(|person| person.rect), seen.person_features.rows());
        self.scores.extend(seen.persons.iter().map(|person| person.score));
        self.objects.extend(row, seen.objects.iter().map(|object| object.rect), seen.object_features.rows());
        self.object_scores.extend(seen.objects.iter().map(|object| object.score));
        self.classes.extend(seen.objects.iter().map(|object| i64::from(object.class)));
    }

    /// Writes the file, whole or not at all, with `metadata`.
    pub fn write(&self, path: &Path, metadata: HashMap<String, String>) -> anyhow::Result<()> {
        let mut tensors = Tensors::new();
        tensors.insert("frame".into(), integers(&self.frames));
        tensors.insert("context".into(), Tensor::floats(&[self.frames.len(), self.width], &self.context));
        self.truth.write("truth", self.width, &mut tensors);
        let shape = vec![self.truth.frames.len(), self.labels];
        let bytes = self.truth_labels.clone().into();
        tensors.insert("truth.label".into(), Tensor { dtype: Dtype::U8, shape, bytes });
        self.persons.write("person", self.width, &mut tensors);
        tensors.insert("person.score".into(), Tensor::floats(&[self.scores.len()], &self.scores));
        self.objects.write("object", self.width, &mut tensors);
        let scores = &self.object_scores;
        tensors.insert("object.score".into(), Tensor::floats(&[scores.len()], scores));
        tensors.insert("object.class".into(), integers(&self.classes));
        write_whole(path, &safetensors::serialize(&tensors, Some(metadata))?)
    }
}

/// Writes a file, whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let write = || {
        fs::write(&unfinished, bytes)?;
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, path)
    };
    let written = write();
    if written.is_err() {
        // On a full disk the rest of it takes room from others.
        let _ = fs::remove_file(&unfinished);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn integers(values: &[i64]) -> Tensor<'static> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { dtype: Dtype::I64, shape: vec![values.len()], bytes: bytes.into() }
}

/// Where a video's file is: the name with `/` made `_`. The error says that a name cannot be a file's.
pub fn path_of(folder: &Path, video: &str) -> anyhow::Result<PathBuf> {
    let name = video.replace('/', "_");
    ensure!(
        !name.is_empty() && !name.starts_with('.') && !name.contains('\0'),
        "video {video:?} names no file"
    );
    ensure!(name != "labels", "video {video:?} would take the place of the labels' file");
    Ok(folder.join(format!("{name}.safetensors")))
}

/// Whether there is a whole file with this key in its metadata.
pub fn is_current(path: &Path, key: &str) -> bool {
    let header = || {
        let mut file = File::open(path).ok()?;
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let length = u64::from_le_bytes(length);
        let mut header = Vec::new();
        file.by_ref().take(length.min(MOST_HEADER)).read_to_end(&mut header).ok()?;
        let metadata: Metadata = serde_json::from_slice(&header).ok()?;
        let end = metadata.tensors().values().map(|tensor| tensor.data_offsets.1).max()?;
        let whole = Some(file.metadata().ok()?.len()) == (8 + end as u64).checked_add(length);
        Some(whole && metadata.metadata().as_ref()?.get("key")? == key)
    };
    header().unwrap_or(false)
}
