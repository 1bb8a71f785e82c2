//! Who in the next frame is the person of this one.

use std::cmp::Ordering;

use crate::lab::map::Region;

/// A box with a score in one frame of one video.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting {
    pub frame: i64,
    pub region: Region,
    pub score: f64,
}

/// Boxes of one person, by their places in the list, in order of frames.
struct Chain {
    sightings: Vec<usize>,
    sum: f64,
}

impl Chain {
    fn mean(&self) -> f64 {
        self.sum / self.sightings.len().max(1) as f64
    }
}

/// Chains of `sightings`, each one in exactly one chain: frame by frame, the chain with the best mean score first takes
/// the best box that overlaps its last by `iou`; one that has found nothing for `patience` frames is closed, and what
/// nobody took begins a new one. Of equals the first counts first.
pub fn chains(sightings: &[Sighting], iou: f64, patience: i64) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, &Sighting)> = sightings.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| a.frame.cmp(&b.frame).then(falling(a.score, b.score)));
    let (mut open, mut closed): (Vec<Chain>, Vec<Chain>) = (Vec::new(), Vec::new());
    for here in order.chunk_by(|(_, a), (_, b)| a.frame == b.frame) {
        let frame = here.first().map_or(0, |(_, sighting)| sighting.frame);
        let last = |chain: &Chain| chain.sightings.last().and_then(|last| sightings.get(*last));
        let waits = |chain: &Chain| last(chain).is_some_and(|last| frame - last.frame <= patience);
        closed.extend(open.extract_if(.., |chain| !waits(chain)));
        open.sort_by(|a, b| falling(a.mean(), b.mean()));
        let mut free = here.to_vec();
        for chain in &mut open {
            let Some(end) = last(chain) else { continue };
            // The best is the first that will do.
            if let Some(next) = free.iter().position(|(_, s)| s.region.iou(&end.region) >= iou) {
                let (index, sighting) = free.remove(next);
                chain.sightings.push(index);
                chain.sum += sighting.score;
            }
        }
        open.extend(free.into_iter().map(|(index, s)| Chain { sightings: vec![index], sum: s.score }));
    }
    closed.extend(open);
    closed.into_iter().map(|chain| chain.sightings).collect()
}

/// Scores are finite.
pub fn falling(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}
