//! Which frames are trained on, in which order, and which judge the weights on the way.

use std::collections::HashSet;

use anyhow::ensure;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use super::{Recipe, mixed, sampling};
use crate::lab::dataset::{Dataset, Sample, Sampling};

/// A frame: the video and the row of its frames.
pub type Place = (usize, usize);

/// Frames in which somebody does one of some labels.
pub struct Frames<'a> {
    data: &'a Dataset,
    sampling: Sampling,
    /// Every person is seen as the whole frame.
    frame_alone: bool,
    /// Labels of the data set, in the order of the network's columns.
    labels: Vec<usize>,
    places: Vec<Place>,
    seed: u64,
    epoch: Option<u64>,
    order: Vec<usize>,
}

impl<'a> Frames<'a> {
    /// Those where one of `labels` is done and none of `without`.
    pub fn new(data: &'a Dataset, recipe: &Recipe, labels: &[usize], without: &[usize]) -> Self {
        let (wanted, unwanted): (HashSet<_>, HashSet<_>) =
            (labels.iter().collect(), without.iter().collect());
        let mut places = Vec::new();
        for (index, video) in data.videos.iter().enumerate() {
            for row in 0..video.frames.len() {
                let done = video.actions(row).concat();
                if done.iter().any(|label| wanted.contains(label))
                    && !done.iter().any(|label| unwanted.contains(label))
                {
                    places.push((index, row));
                }
            }
        }
        Self {
            data,
            sampling: sampling(recipe),
            frame_alone: recipe.frame_alone,
            labels: labels.to_vec(),
            places,
            seed: recipe.seed,
            epoch: None,
            order: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The labels of the network's columns.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// At most `count` of them, evenly apart.
    pub fn thinned(mut self, count: usize) -> Self {
        let all = self.places.len();
        if all > count {
            self.places = (0..count).filter_map(|i| self.places.get(i * all / count).copied()).collect();
        }
        self
    }

    /// The frames of a step of `count`: every frame once before any comes again, in an order drawn anew each time.
    pub fn of_step(&mut self, step: usize, count: usize) -> anyhow::Result<Vec<Sample>> {
        ensure!(!self.places.is_empty(), "there are no frames to train on");
        let mut samples = Vec::with_capacity(count);
        for position in step * count..(step + 1) * count {
            let epoch = (position / self.places.len()) as u64;
            if self.epoch != Some(epoch) {
                self.epoch = Some(epoch);
                self.order = (0..self.places.len()).collect();
                self.order.shuffle(&mut SmallRng::seed_from_u64(mixed(!self.seed, epoch)));
            }
            let place =
                self.order.get(position % self.places.len()).and_then(|index| self.places.get(*index));
            if let Some(place) = place {
                samples.push(self.sample(*place)?);
            }
        }
        Ok(samples)
    }

    /// All of them, `count` at a time.
    pub fn all(&self, count: usize) -> impl Iterator<Item = anyhow::Result<Vec<Sample>>> {
        self.places.chunks(count).map(|places| places.iter().map(|place| self.sample(*place)).collect())
    }

    /// A frame; what is done in it by the columns.
    fn sample(&self, (video, row): Place) -> anyhow::Result<Sample> {
        let Some(video) = self.data.videos.get(video) else { return Ok(Sample::default()) };
        let mut sample = video.sample(row, &self.sampling)?;
        if self.frame_alone {
            sample.persons = sample.context.repeat(sample.boxes.len());
        }
        let column = |label: &usize| self.labels.iter().position(|known| known == label);
        for labels in &mut sample.labels {
            *labels = labels.iter().filter_map(column).collect();
        }
        Ok(sample)
    }
}

/// Divides `labels` into those that are trained on and those held out, a `share` of them, two at least.
pub fn hold_out(labels: &[usize], share: f32, seed: u64) -> anyhow::Result<(Vec<usize>, Vec<usize>)> {
    if share <= 0.0 {
        return Ok((labels.to_vec(), Vec::new()));
    }
    let count = ((labels.len() as f32 * share).round() as usize).max(2);
    ensure!(
        labels.len() >= count + 2,
        "{} labels are too few to hold some out: set hold-out to 0, and the last weights are taken",
        labels.len()
    );
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut SmallRng::seed_from_u64(mixed(seed, u64::MAX)));
    let held: HashSet<usize> = order.into_iter().take(count).collect();
    let part = |inside: bool| {
        let labels = labels.iter().enumerate().filter(|(index, _)| held.contains(index) == inside);
        labels.map(|(_, label)| *label).collect()
    };
    Ok((part(false), part(true)))
}
