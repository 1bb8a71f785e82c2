//! Non-maximum suppression: of boxes of one class that overlap too much, the best stays.

use super::Detection;

/// How many of a frame's boxes are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub person_class: u16,
    pub persons: usize,
    /// Of all other classes together.
    pub objects: usize,
}

/// Keeps of `found` what is not suppressed, in `kept`, best first (equal ones by class and place: the order that they
/// come in does not matter). A box is suppressed by a better one of its class that it overlaps more than `iou`, and
/// when `room` is used up. `found` is sorted on the way.
pub(super) fn suppress(found: &mut [Detection], iou: f32, mut room: Room, kept: &mut Vec<Detection>) {
    kept.clear();
    found.sort_unstable_by(Detection::best_first);
    for candidate in found.iter() {
        let left = if candidate.class == room.person_class { &mut room.persons } else { &mut room.objects };
        let overlaps = |k: &Detection| k.class == candidate.class && k.rect.iou(&candidate.rect) > iou;
        if *left > 0 && !kept.iter().any(overlaps) {
            *left -= 1;
            kept.push(*candidate);
        }
    }
}
