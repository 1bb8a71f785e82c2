//! What scores there were in the last hour, as histograms: where to put a threshold.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Query;
use super::problem::Problem;
use super::state::Page;
use crate::config::Config;
use crate::pipeline::Seen;
use crate::vocabulary::Vocabulary;

/// Of equal width, from 0 to 1.
const BINS: usize = 20;
/// The hour is counted in parts, of which the oldest is forgotten as the newest begins.
const PARTS: usize = 12;
const PART: Duration = Duration::from_secs(300);

type Bins = [u32; BINS];

/// Smoothed probabilities, which are what a threshold is compared with, counted once for each person in each frame.
#[derive(Default)]
pub struct Histograms(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Of other words there is nothing to be learnt.
    vocabulary: String,
    cameras: Vec<(String, Vec<Part>)>,
}

/// A part of the hour.
#[derive(Clone)]
struct Part {
    /// How many parts there were before it.
    number: u64,
    /// By action.
    counts: Vec<Bins>,
}

impl Histograms {
    /// Goes by another configuration; what was counted of words that are the same stays.
    pub(super) fn reconfigure(&self, config: &Config, vocabulary: &Vocabulary) {
        let mut inner = self.lock();
        if inner.vocabulary != vocabulary.id() {
            vocabulary.id().clone_into(&mut inner.vocabulary);
            inner.cameras.clear();
        }
        inner.cameras.retain(|(name, _)| config.camera(name).is_some());
        for camera in &config.cameras {
            if !inner.cameras.iter().any(|(name, _)| *name == camera.name) {
                let part = Part { number: 0, counts: vec![[0; BINS]; vocabulary.len()] };
                inner.cameras.push((camera.name.clone(), vec![part; PARTS]));
            }
        }
    }

    /// Counts whoever got a score with this frame.
    pub(super) fn count(&self, seen: &Seen<'_>, now: Duration) {
        let Some(frame) = seen.view.judged().last() else { return };
        let mut inner = self.lock();
        for (track, _) in frame.scored() {
            if let Some(scores) = seen.view.smoothed(track.id) {
                inner.add(seen.camera, now, scores);
            }
        }
    }

    /// The last hour's, by action; of one camera or of all together.
    fn sum(&self, camera: Option<&str>, actions: usize, now: Duration) -> Vec<Bins> {
        let mut sum = vec![[0; BINS]; actions];
        let oldest = number(now).saturating_sub(PARTS as u64 - 1);
        let inner = self.lock();
        let cameras = inner.cameras.iter().filter(|(name, _)| camera.is_none_or(|camera| camera == name));
        for part in cameras.flat_map(|(_, parts)| parts).filter(|part| part.number >= oldest) {
            for (sum, counts) in sum.iter_mut().zip(&part.counts) {
                sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        sum
    }

    /// Held for as long as it takes to add a few numbers.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, camera: &str, now: Duration, scores: &[f32]) {
        let number = number(now);
        let parts = self.cameras.iter_mut().find(|(name, _)| name == camera).map(|(_, parts)| parts);
        let Some(part) = parts.and_then(|parts| parts.get_mut((number % PARTS as u64) as usize)) else {
            return;
        };
        if part.number != number {
            part.number = number;
            part.counts.iter_mut().for_each(|counts| *counts = [0; BINS]);
        }
        for (counts, score) in part.counts.iter_mut().zip(scores) {
            if let Some(count) = counts.get_mut(((score * BINS as f32) as usize).min(BINS - 1)) {
                *count += 1;
            }
        }
    }
}

fn number(now: Duration) -> u64 {
    now.as_secs() / PART.as_secs()
}

/// Whose scores.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Without it: those of all cameras together.
    camera: Option<String>,
}

/// The last hour's scores.
#[derive(Serialize, ToSchema)]
struct Scores {
    /// Between the bins, from 0 to 1: one more than there are counts.
    edges: Vec<f32>,
    actions: Vec<Histogram>,
}

/// Of one action.
#[derive(Serialize, ToSchema)]
struct Histogram {
    name: String,
    threshold: f32,
    /// Persons in frames.
    counts: Vec<u32>,
}

pub(super) fn routes() -> OpenApiRouter<Page> {
    OpenApiRouter::new().routes(routes!(scores))
}

/// Histograms of the last hour's scores.
#[utoipa::path(get, path = "/scores", tag = "words", params(Whose), responses(
    (status = 200, body = Scores), (status = 404, body = Problem)))]
async fn scores(State(page): State<Page>, Query(whose): Query<Whose>) -> Result<Json<Scores>, Problem> {
    let config = page.config();
    if let Some(camera) = &whose.camera {
        page.known(camera)?;
    }
    let sums = page.scores.sum(whose.camera.as_deref(), config.actions.len(), page.clock.monotonic());
    let actions = config.actions.iter().zip(sums).map(|(action, counts)| Histogram {
        name: action.name.clone(),
        threshold: action.threshold,
        counts: counts.to_vec(),
    });
    let edges = (0..=BINS).map(|edge| edge as f32 / BINS as f32).collect();
    Ok(Json(Scores { edges, actions: actions.collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_counted_and_what_is_older_is_not() {
        let part = Part { number: 0, counts: vec![[0; BINS]; 2] };
        let cameras = vec![("gate".into(), vec![part.clone(); PARTS]), ("yard".into(), vec![part; PARTS])];
        let histograms = Histograms(Mutex::new(Inner { vocabulary: String::new(), cameras }));
        let minute = |n: u64| Duration::from_secs(n * 60);
        let add = |camera, minutes, scores: &[f32]| histograms.lock().add(camera, minute(minutes), scores);
        add("gate", 100, &[0.0, 1.0]);
        add("gate", 130, &[0.049, 0.95]);
        add("yard", 150, &[0.05, f32::NAN]);
        add("roof", 150, &[0.5, 0.5]);
        let counts = |camera, minutes| {
            let sum = histograms.sum(camera, 2, minute(minutes));
            sum.iter()
                .map(|bins| bins.iter().copied().enumerate().filter(|(_, n)| *n > 0).collect())
                .collect::<Vec<Vec<_>>>()
        };
        assert_eq!(counts(Some("gate"), 150), [vec![(0, 2)], vec![(19, 2)]]);
        assert_eq!(counts(None, 150), [vec![(0, 2), (1, 1)], vec![(0, 1), (19, 2)]]);
        assert_eq!(counts(Some("gate"), 170), [vec![(0, 1)], vec![(19, 1)]], "an hour later");
        add("gate", 160, &[0.5, 0.5]);
        assert_eq!(
            counts(Some("gate"), 160),
            [vec![(0, 1), (10, 1)], vec![(10, 1), (19, 1)]],
            "its place was taken"
        );
    }
}
