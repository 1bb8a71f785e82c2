//! From persons in frames to actions in tubes, as detectors on single frames link them.
//!
//! The greedy linking of ACT (Kalogeiton et al. 2017, section 3.3, and its published code, after Singh et al. 2017,
//! "Online real-time multiple spatiotemporal action localisation"), which MOC and YOWO took over, for boxes of one frame
//! each: every label on its own, with the same thresholds. Knows boxes and scores; has never heard of features.

mod chain;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use super::map::{FoundAction, FoundActor, Label, Region, Tube, TubeError, Video};
pub use chain::{Sighting, chains};

/// When boxes are one tube. The default is ACT's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linking {
    /// Of two boxes of a frame that overlap more, the worse is left out.
    pub suppress: f64,
    /// Boxes of a frame that are linked, the best.
    pub most: usize,
    /// The next box of a tube overlaps its last by this at least.
    pub iou: f64,
    /// Looks at the video that a tube survives without a box.
    pub patience: i64,
    /// Frames from one look to the next.
    pub step: i64,
    /// Shorter tubes are dropped; in frames.
    pub min_length: i64,
    /// So are tubes with a mean score below this,
    pub min_score: f64,
    /// and the worse of two tubes of a label that overlap more than this.
    pub suppress_tubes: f64,
}

impl Default for Linking {
    fn default() -> Self {
        Self {
            suppress: 0.3,
            most: 10,
            iou: 0.2,
            patience: 5,
            step: 1,
            min_length: 15,
            min_score: 0.01,
            suppress_tubes: 0.3,
        }
    }
}

/// The tubes of `found`, video by video and label by label, the best first. A tube's score is the mean of its boxes'; where it
/// has none, its box lies between those before and after. Persons without a label are passed over.
pub fn link(found: &[FoundActor], linking: &Linking) -> Result<Vec<FoundAction>, TubeError> {
    let mut cases: BTreeMap<(Video, Label), Vec<Sighting>> = BTreeMap::new();
    for actor in found {
        if let Some(label) = actor.label {
            let sighting = Sighting { frame: actor.frame, region: actor.region, score: actor.score };
            cases.entry((actor.video, label)).or_default().push(sighting);
        }
    }
    let mut tubes = Vec::new();
    for ((video, label), sightings) in cases {
        let sightings = thin(sightings, linking);
        let mut own: Vec<FoundAction> = Vec::new();
        for chain in chains(&sightings, linking.iou, linking.patience * linking.step) {
            let chain: Vec<&Sighting> = chain.iter().filter_map(|index| sightings.get(*index)).collect();
            let score = chain.iter().map(|s| s.score).sum::<f64>() / chain.len().max(1) as f64;
            let (Some(first), Some(last)) = (chain.first(), chain.last()) else { continue };
            if last.frame - first.frame + 1 >= linking.min_length && score >= linking.min_score {
                own.push(FoundAction { video, label, score, tube: Tube::of_rows(filled(&chain))? });
            }
        }
        own.sort_by(|a, b| chain::falling(a.score, b.score));
        let mut kept: Vec<FoundAction> = Vec::new();
        for action in own {
            if kept.iter().all(|better| better.tube.iou(&action.tube) <= linking.suppress_tubes) {
                kept.push(action);
            }
        }
        tubes.extend(kept);
    }
    Ok(tubes)
}

/// What non-maximum suppression leaves of each frame, at most `most` of it.
fn thin(mut sightings: Vec<Sighting>, linking: &Linking) -> Vec<Sighting> {
    sightings.sort_by(|a, b| chain::falling(a.score, b.score));
    let mut kept: HashMap<i64, Vec<Region>> = HashMap::new();
    sightings.retain(|sighting| {
        let here = kept.entry(sighting.frame).or_default();
        let keep = here.len() < linking.most
            && here.iter().all(|better| better.iou(&sighting.region) <= linking.suppress);
        if keep {
            here.push(sighting.region);
        }
        keep
    });
    sightings
}

/// Rows of frame and corners, one for each frame from the first to the last.
fn filled(chain: &[&Sighting]) -> Vec<[f64; 5]> {
    let row = |frame: i64, [x1, y1, x2, y2]: [f64; 4]| [frame as f64, x1, y1, x2, y2];
    let mut rows = Vec::new();
    for (a, b) in chain.iter().zip(chain.iter().skip(1)) {
        let (from, to) = (a.region.corners(), b.region.corners());
        for frame in a.frame..b.frame {
            let share = (frame - a.frame) as f64 / (b.frame - a.frame) as f64;
            rows.push(row(frame, std::array::from_fn(|side| from[side] + share * (to[side] - from[side]))));
        }
    }
    rows.extend(chain.last().map(|last| row(last.frame, last.region.corners())));
    rows
}
