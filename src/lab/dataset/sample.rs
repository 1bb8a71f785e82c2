//! A frame as heads see it: its persons, what they interact with, and what people in it do.

use std::time::Duration;

use super::video::Video;
use crate::frame::Rect;
use crate::heads::Reach;

/// Which persons of a frame are looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum People {
    /// Those annotated.
    Truth,
    /// Those found with a score above this.
    Found { min_score: f32 },
}

/// What is taken of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    pub people: People,
    /// At most so many persons, in the order of the file.
    pub most_persons: usize,
    /// At most so many objects, those with the highest scores of those that overlap one of the persons.
    pub most_objects: usize,
    /// How far the memory reaches; `None` for none.
    pub reach: Option<Reach>,
    /// Frame numbers in a second.
    pub fps: f32,
}

/// A frame. Features are raw encoder outputs, rows of one width after each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// As the annotation numbers it.
    pub frame: i64,
    /// Of the persons, in pixels.
    pub boxes: Vec<Rect>,
    /// The detector's, 1 for people annotated.
    pub scores: Vec<f32>,
    /// What each person does; nothing for persons found.
    pub labels: Vec<Vec<usize>>,
    /// `[N, width]`
    pub persons: Vec<f32>,
    /// `[O, width]`
    pub objects: Vec<f32>,
    /// `[width]`
    pub context: Vec<f32>,
    /// `[M, width]`: the contexts of frames around this one.
    pub memory: Vec<f32>,
    /// The slot of each of them, ascending; slots without a frame are left out.
    pub slots: Vec<usize>,
}

impl Video {
    /// The frame of this row of `frames`.
    pub fn sample(&self, row: usize, sampling: &Sampling) -> anyhow::Result<Sample> {
        let mut features = self.features()?;
        let mut sample =
            Sample { frame: self.frames.get(row).copied().unwrap_or_default(), ..Sample::default() };
        match sampling.people {
            People::Truth => {
                let people = self.truth(row);
                let count = people.boxes.len().min(sampling.most_persons);
                sample.boxes.extend_from_slice(people.boxes.get(..count).unwrap_or_default());
                sample.scores.resize(count, 1.0);
                sample.labels = self.actions(row);
                sample.labels.truncate(count);
                features.truth(people.rows.0..people.rows.0 + count, &mut sample.persons)?;
            }
            People::Found { min_score } => {
                let people = self.persons(row);
                let found = people.boxes.iter().zip(people.scores).enumerate();
                let found = found.filter(|(_, (_, score))| **score > min_score);
                for (index, (rect, score)) in found.take(sampling.most_persons) {
                    sample.boxes.push(*rect);
                    sample.scores.push(*score);
                    let row = people.rows.0 + index;
                    features.persons(row..row + 1, &mut sample.persons)?;
                }
                sample.labels.resize(sample.boxes.len(), Vec::new());
            }
        }
        let objects = self.objects(row);
        let near = |rect: &Rect| sample.boxes.iter().any(|person| person.intersection(rect).area() > 0.0);
        let near = objects.boxes.iter().zip(objects.scores).enumerate().filter(|(_, (rect, _))| near(rect));
        let mut near: Vec<(usize, f32)> = near.map(|(index, (_, score))| (index, *score)).collect();
        near.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (index, _) in near.into_iter().take(sampling.most_objects) {
            let row = objects.rows.0 + index;
            features.objects(row..row + 1, &mut sample.objects)?;
        }
        features.context(row, &mut sample.context)?;
        if let Some(reach) = &sampling.reach {
            for (slot, row) in recall(&self.frames, row, reach, sampling.fps) {
                sample.slots.push(slot);
                features.context(row, &mut sample.memory)?;
            }
        }
        Ok(sample)
    }
}

/// For each slot around the frame of `row` the row of the frame nearest to its middle, if there is one; of two equally
/// near the later: as the live memory recalls. A gap between frames is a gap in the slots.
pub fn recall(frames: &[i64], row: usize, reach: &Reach, fps: f32) -> Vec<(usize, usize)> {
    let (Some(first), Some(judged)) = (frames.first(), frames.get(row)) else { return Vec::new() };
    let time = |frame: i64| {
        let seconds = frame.abs_diff(*first) as f64 / f64::from(fps);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    };
    let now = time(*judged);
    let span =
        (reach.span(reach.before.max(reach.after) as f64 + 1.0).as_secs_f64() * f64::from(fps)).ceil() as i64;
    let start = frames.partition_point(|frame| *frame < judged.saturating_sub(span));
    let mut recalled: Vec<(usize, usize)> = Vec::new();
    let mut last_error = f64::INFINITY;
    for (row, frame) in frames.iter().enumerate().skip(start) {
        if *frame > judged.saturating_add(span) {
            break;
        }
        let Some(slot) = reach.slot(now, time(*frame)) else { continue };
        let error = reach.error(now, time(*frame));
        match recalled.last_mut().filter(|last| last.0 == slot) {
            Some(last) if error <= last_error => *last = (slot, row),
            Some(_) => continue,
            None => recalled.push((slot, row)),
        }
        last_error = error;
    }
    recalled
}
