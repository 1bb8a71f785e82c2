//! Explanations as they are drawn.

use crate::frame::Rect;
use crate::heads::Reach;
use crate::pipeline::{Judged, Seen};

/// Remembered frames that are named.
const RECOLLECTIONS: usize = 3;

/// The best action of `track` after each step of the heads, if the frame is explained.
pub fn steps(frame: &Judged, track: u64) -> impl Iterator<Item = (&'static str, f32)> {
    let mut persons = frame.scored().enumerate();
    let person = persons.find_map(|(person, (t, scores))| (t.id == track).then_some((person, scores)));
    person.into_iter().flat_map(move |(person, scores)| {
        let best =
            scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(action, _)| action);
        let steps = frame.explanation.iter().flat_map(|explanation| explanation.steps());
        steps.filter_map(move |step| Some((step.after, *step.scores.row(person)?.get(best)?)))
    })
}

/// The objects that were looked at: where they are, and the class with the mean attention of all persons.
pub fn objects<'a>(frame: &'a Judged, seen: &Seen<'_>) -> impl Iterator<Item = (Rect, String)> + use<'a> {
    let (classes, weights) = (seen.networks.class_names(), mean(frame, |explanation| &explanation.objects));
    frame.near.iter().zip(weights).filter_map(move |(&index, weight)| {
        let object = frame.objects.get(index)?;
        let class = classes.get(usize::from(object.class)).copied().unwrap_or("?");
        Some((object.rect, format!("{class} {:.0}%", weight * 100.0)))
    })
}

/// The remembered frames that were looked at most, as in `-3 s 28%`.
pub fn recollections(frame: &Judged, reach: Option<Reach>) -> String {
    let Some(reach) = reach else { return String::new() };
    let mut slots: Vec<_> = mean(frame, |explanation| &explanation.slots).into_iter().enumerate().collect();
    slots.retain(|(_, weight)| *weight > 0.0);
    slots.sort_by(|a, b| b.1.total_cmp(&a.1));
    slots.truncate(RECOLLECTIONS);
    let name = |(slot, weight): (usize, f32)| format!("{:+} s {:.0}%", reach.seconds(slot), weight * 100.0);
    slots.into_iter().map(name).collect::<Vec<_>>().join("  ")
}

/// The mean over the persons of one kind of attention.
fn mean(frame: &Judged, of: impl Fn(&crate::heads::Explanation) -> &Vec<Vec<f32>>) -> Vec<f32> {
    let rows = frame.explanation.as_ref().map_or(&[][..], |explanation| of(explanation).as_slice());
    let mut sum = vec![0.0; rows.first().map_or(0, Vec::len)];
    for row in rows {
        sum.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight / rows.len() as f32);
    }
    sum
}
