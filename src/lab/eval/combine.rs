//! What is made of scores once every person has them: another scorer's weighed in, and a vote along the track.

use crate::lab::link::{Sighting, chains};
use crate::lab::map::Region;
use crate::lab::tables::Vote;

/// The persons found in a frame, and what each does.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// As the annotation numbers it.
    pub frame: i64,
    pub persons: Vec<JudgedPerson>,
}

/// A person and a probability for each label; what is missing to 1 is "none of these".
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedPerson {
    pub region: Region,
    /// The detector's.
    pub score: f64,
    pub probabilities: Vec<f32>,
}

/// Two boxes of one person in frames after each other overlap by this, as tubes are linked.
const SAME_IOU: f64 = 0.2;
/// Looks that a person may be unseen for.
const PATIENCE: i64 = 5;

/// Overwrites `own` with the geometric mean of it and `other`, whose weight is `share`, renormalised: what averaging logits
/// is to one softmax. "None of these" takes part as a label would.
pub fn fuse(own: &mut [f32], other: &[f32], share: f32) {
    let rest = |row: &[f32]| (1.0 - row.iter().sum::<f32>()).max(0.0);
    let mean = |a: f32, b: f32| a.powf(1.0 - share) * b.powf(share);
    let none = mean(rest(own), rest(other));
    own.iter_mut().zip(other).for_each(|(own, other)| *own = mean(*own, *other));
    let sum = none + own.iter().sum::<f32>();
    if sum > 0.0 {
        own.iter_mut().for_each(|own| *own /= sum);
    }
}

/// Gives every person the mean of the probabilities along the track, all of it or what is past. `frames` are of one video;
/// `step` is how many of its frames are from one look to the next.
pub fn vote(frames: &mut [Judged], vote: Vote, step: i64) {
    let mut places = Vec::new();
    let mut sightings = Vec::new();
    for (at, judged) in frames.iter().enumerate() {
        for (index, person) in judged.persons.iter().enumerate() {
            places.push((at, index));
            sightings.push(Sighting { frame: judged.frame, region: person.region, score: person.score });
        }
    }
    for track in chains(&sightings, SAME_IOU, PATIENCE * step) {
        let places: Vec<(usize, usize)> = track.iter().filter_map(|one| places.get(*one)).copied().collect();
        let mut sum: Vec<f32> = Vec::new();
        let mut means: Vec<Vec<f32>> = Vec::new();
        for (count, (at, index)) in (1u32..).zip(&places) {
            let Some(person) = frames.get(*at).and_then(|frame| frame.persons.get(*index)) else { continue };
            sum.resize(person.probabilities.len(), 0.0);
            sum.iter_mut().zip(&person.probabilities).for_each(|(sum, p)| *sum += p);
            means.push(sum.iter().map(|sum| sum / count as f32).collect());
        }
        let whole = means.last().cloned().unwrap_or_default();
        for ((at, index), so_far) in places.iter().zip(means) {
            if let Some(person) = frames.get_mut(*at).and_then(|frame| frame.persons.get_mut(*index)) {
                person.probabilities = match vote {
                    Vote::Track => whole.clone(),
                    Vote::Past => so_far,
                };
            }
        }
    }
}
