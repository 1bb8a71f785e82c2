//! A recogniser that is never wrong, which shows what the detector leaves to be had.

use std::collections::HashMap;

use super::matching::most;
use super::{Actor, Found, FoundActor, Truth, Video};

/// Gives every person found the action of the person there whom it overlaps most, and keeps its score. A person in a
/// frame where nobody is annotated does nothing that has a name, and is dropped.
///
/// Where two find the same person, both get the action: the second costs precision, as with any recogniser.
pub fn oracle(truth: &Truth, found: Found) -> Found {
    let mut there: HashMap<(Video, i64), Vec<&Actor>> = HashMap::new();
    for actor in &truth.frames {
        there.entry((actor.video, actor.frame)).or_default().push(actor);
    }
    let mut frames = Vec::new();
    for person in persons(found.frames.unwrap_or_default()) {
        let Some(actors) = there.get(&(person.video, person.frame)) else { continue };
        let Some((best, _)) = most(actors.iter().map(|actor| actor.region.iou(&person.region))) else {
            continue;
        };
        let Some(nearest) = actors.get(best).map(|actor| actor.region) else { continue };
        // One who does several things at once is there once for each.
        let same = actors.iter().filter(|actor| actor.region == nearest);
        frames.extend(same.map(|actor| FoundActor { label: Some(actor.label), ..person.clone() }));
    }
    Found { frames: Some(frames), tubes: None }
}

/// Each box once, where a file has it once for each label, with the best of its scores.
pub fn persons(found: Vec<FoundActor>) -> Vec<FoundActor> {
    let mut persons: Vec<FoundActor> = Vec::with_capacity(found.len());
    let mut seen = HashMap::new();
    for actor in found {
        let place = (actor.video, actor.frame, actor.region.corners().map(f64::to_bits));
        let index = *seen.entry(place).or_insert(persons.len());
        match persons.get_mut(index) {
            Some(person) => person.score = person.score.max(actor.score),
            None => persons.push(actor),
        }
    }
    persons
}
