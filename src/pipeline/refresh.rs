//! What of a frame is encoded anew, and what is kept of the rest.
//!
//! The image tower costs more than everything else together, and people mostly look as they did a moment ago. A crop is
//! encoded if it is new, has moved, looks different or was encoded too long ago; if that is more than the frame may cost,
//! those that have waited longest come first, and the others keep what was last seen of them. So more people make each
//! a little less fresh, and no frame late. Knows boxes, brightness and times; has never heard of what an embedding means.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::time::Duration;

use super::look::Look;
use crate::clip::Embeddings;
use crate::config;
use crate::frame::{Picture, Rect};

/// Of a crop's look, across and down.
const CELLS: usize = 8;
/// Who is new comes before everybody but those who have waited longer than this: newcomers without end starve nobody.
const HEAD_START: Duration = Duration::from_secs(10);
/// Who is not seen for so long is forgotten.
const FORGET: Duration = Duration::from_secs(5);
/// A scene in which nothing changes is encoded again only after so many times as long as one in which something does.
const STILL: u32 = 10;
/// What was encoded this share of its time ago comes along when something is encoded anyway: several crops at once cost an
/// engine less than one after the other.
const COMPANY: f64 = 0.7;
/// An object that overlaps one of its class so much is the same.
const SAME_OBJECT: f32 = 0.5;

/// Whose embedding it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// A track's id.
    Person(u64),
    /// The detector's class.
    Object(u16),
    /// The whole frame.
    Context,
}

/// One camera's embeddings. Allocates only while there is more to remember than ever before.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    settings: config::Refresh,
    /// Crops that a frame may cost.
    allowance: Option<usize>,
    kept: Vec<Kept>,
    spare: Vec<Kept>,
    /// What is in the frame, in the order in which it was named.
    parts: Vec<Part>,
    /// Of `parts`, those to encode.
    due: Vec<Due>,
    counts: Counts,
}

/// What was done for a camera since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Crops encoded.
    pub encoded: u64,
    /// Crops for which an embedding was kept.
    pub kept: u64,
    /// The oldest embedding of a person or an object that the latest frame was judged by. That of the whole is as old as
    /// the scene.
    pub oldest: Duration,
}

#[derive(Debug)]
struct Kept {
    who: Who,
    /// As it was encoded.
    rect: Rect,
    look: Look<CELLS>,
    /// Monotonic; `None` before the first time.
    encoded: Option<Duration>,
    since: Duration,
    seen: Duration,
    embedding: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    rect: Rect,
    look: Look<CELLS>,
    /// Index of `kept`.
    kept: usize,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    part: usize,
    /// Since it was encoded; if it never was, since it came, and its head start.
    age: Duration,
    /// Without it nobody can be judged.
    vital: bool,
    /// Has a reason of its own; others only come along.
    urgent: bool,
}

impl Refresh {
    /// Goes by `settings`, and knows nothing.
    pub fn new(settings: config::Refresh) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Goes by other settings from now on.
    pub fn reconfigure(&mut self, settings: config::Refresh) {
        self.settings = settings;
    }

    /// Forgets everything: what was seen by another encoder says nothing to this one.
    pub fn clear(&mut self) {
        self.spare.append(&mut self.kept);
        self.parts.clear();
        self.due.clear();
    }

    /// At most so many crops are encoded at a frame, but always one; `None`: as many as are due.
    pub fn allow(&mut self, crops: Option<usize>) {
        self.allowance = crops;
    }

    /// Begins a frame of the monotonic time `now`.
    pub fn begin(&mut self, now: Duration) {
        self.parts.clear();
        self.due.clear();
        let gone = |kept: &mut Kept| kept.seen + FORGET < now || now < kept.seen;
        self.spare.extend(self.kept.extract_if(.., gone));
    }

    /// Names something that is in the frame `picture` of the time `now`; `rect` in pixels.
    pub fn add(&mut self, who: Who, rect: Rect, picture: &Picture, now: Duration) {
        let look = if self.settings.exact { Look::default() } else { Look::of(picture, rect) };
        let index = self.find(who, rect).unwrap_or_else(|| {
            let mut kept = self.spare.pop().unwrap_or_else(|| Kept {
                who,
                rect,
                look,
                encoded: None,
                since: now,
                seen: now,
                embedding: Vec::new(),
            });
            (kept.who, kept.encoded, kept.since) = (who, None, now);
            self.kept.push(kept);
            self.kept.len() - 1
        });
        let Some(kept) = self.kept.get_mut(index) else { return };
        kept.seen = now;
        let age = match kept.encoded {
            Some(at) => now.saturating_sub(at),
            None => now.saturating_sub(kept.since) + HEAD_START,
        };
        let settings = &self.settings;
        let limit = match who {
            Who::Context if look.has_changed(&kept.look) => settings.scene.into(),
            Who::Context => Duration::from(settings.scene) * STILL,
            _ => settings.age.into(),
        };
        let urgent = settings.exact
            || kept.encoded.is_none()
            || age >= limit
            || rect.shape_iou(&kept.rect) < settings.shape
            || look.difference(&kept.look) > settings.changed;
        if urgent || age >= limit.mul_f64(COMPANY) {
            let vital = who == Who::Context && kept.encoded.is_none();
            self.due.push(Due { part: self.parts.len(), age, vital, urgent });
        }
        self.parts.push(Part { rect, look, kept: index });
    }

    /// Who that is, if it is known: persons by their track, objects by where they are.
    fn find(&self, who: Who, rect: Rect) -> Option<usize> {
        let Who::Object(_) = who else {
            return self.kept.iter().position(|kept| kept.who == who);
        };
        let others = self.kept.iter().enumerate().filter(|(_, kept)| kept.who == who);
        let free = others.filter(|(index, _)| self.parts.iter().all(|part| part.kept != *index));
        let overlaps = free.map(|(index, kept)| (index, rect.iou(&kept.rect)));
        let best = overlaps.max_by(|a, b| a.1.total_cmp(&b.1))?;
        (best.1 >= SAME_OBJECT).then_some(best.0)
    }

    /// What to encode, in pixels, once everything is named: the order in which [`Refresh::store`] wants the rows.
    pub fn due(&mut self) -> impl ExactSizeIterator<Item = Rect> {
        if !self.due.iter().any(|due| due.urgent) {
            self.due.clear();
        }
        if let Some(allowance) = self.allowance.filter(|_| !self.settings.exact) {
            self.due.sort_unstable_by_key(|due| {
                (Reverse(due.vital), Reverse(due.urgent), Reverse(due.age), due.part)
            });
            self.due.truncate(allowance.max(1));
            self.due.sort_unstable_by_key(|due| due.part);
        }
        self.due.iter().map(|due| self.parts.get(due.part).map_or_else(Rect::default, |part| part.rect))
    }

    /// Takes in the embeddings of what was due, seen at `now`.
    pub fn store(&mut self, rows: &Embeddings, now: Duration) {
        for (due, row) in self.due.iter().zip(rows.rows()) {
            let Some(part) = self.parts.get(due.part) else { continue };
            let Some(kept) = self.kept.get_mut(part.kept) else { continue };
            (kept.rect, kept.look, kept.encoded) = (part.rect, part.look, Some(now));
            kept.embedding.clear();
            kept.embedding.extend_from_slice(row);
        }
        let encoded = self.due.len().min(rows.len());
        self.counts.encoded += encoded as u64;
        self.counts.kept += (self.parts.len() - encoded) as u64;
        let kept = self.parts.iter().filter_map(|part| self.kept.get(part.kept));
        let ages = kept.filter(|kept| kept.who != Who::Context).filter_map(|kept| kept.encoded);
        self.counts.oldest = ages.map(|at| now.saturating_sub(at)).max().unwrap_or_default();
    }

    /// What is known of everything that was named, in that order; `None` for what has not had its turn yet.
    pub fn embeddings(&self) -> impl Iterator<Item = Option<(&[f32], Duration)>> {
        self.parts.iter().map(|part| {
            let kept = self.kept.get(part.kept)?;
            Some((&kept.embedding[..], kept.encoded?))
        })
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }
}
