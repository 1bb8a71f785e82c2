//! The memory ring: the frames around the one that is judged, by time and not by arrival.
//!
//! Knows frame times and what was projected of each frame; not what the projections mean.

use std::time::Duration;

use heapless::{Deque, Vec as Fixed};

use super::metadata::MOST_SLOTS;
use super::unit::Recalled;

/// Frames that are remembered at most, as many as there may be slots and some more.
const CAPACITY: usize = 256;
const _: () = assert!(MOST_SLOTS < CAPACITY);

/// How far the memory reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    /// Slots before the judged frame.
    pub before: usize,
    /// Slots after it.
    pub after: usize,
    /// Slots in a second.
    pub rate: f32,
}

impl Reach {
    /// The time that `slots` take.
    pub fn span(&self, slots: f64) -> Duration {
        Duration::try_from_secs_f64(slots / f64::from(self.rate)).unwrap_or(Duration::MAX)
    }

    /// The slot of a frame at `time` for a judged frame at `now`: `round(Δt × rate)` slots away. `None` for what is
    /// nearer than half a slot, the judged frame itself above all, and for what is out of reach.
    pub fn slot(&self, now: Duration, time: Duration) -> Option<usize> {
        let distance = (now.abs_diff(time).as_secs_f64() * f64::from(self.rate)).round() as usize;
        if time < now {
            (1..=self.before).contains(&distance).then(|| self.before - distance)
        } else {
            (1..=self.after).contains(&distance).then(|| self.before + distance - 1)
        }
    }

    /// When the middle of `slot` is, in seconds from the judged frame.
    pub fn seconds(&self, slot: usize) -> f64 {
        let slots = if slot < self.before {
            slot as f64 - self.before as f64
        } else {
            (slot + 1 - self.before) as f64
        };
        slots / f64::from(self.rate)
    }

    /// How far from the middle of its slot a frame is, in slots.
    pub fn error(&self, now: Duration, time: Duration) -> f64 {
        let distance = now.abs_diff(time).as_secs_f64() * f64::from(self.rate);
        (distance - distance.round()).abs()
    }

    /// Frames older than this, counted from the newest, cannot be in reach of any frame that is still to be judged.
    fn window(&self) -> Duration {
        self.span((self.before + self.after + 1) as f64)
    }

    /// Frames closer together are not both remembered, so that the ring holds a whole window.
    pub fn spacing(&self) -> Duration {
        self.window() / (CAPACITY as u32 - 1)
    }
}

/// The frames of one camera. Once full it allocates nothing.
pub struct Memory {
    reach: Reach,
    /// In the order of their times.
    frames: Box<Deque<Remembered, CAPACITY>>,
    /// Buffers of forgotten frames.
    spare: Vec<Vec<f32>>,
}

#[derive(Debug, Default)]
struct Remembered {
    time: Duration,
    projected: Vec<f32>,
}

impl Memory {
    /// Nothing yet.
    pub fn new(reach: Reach) -> Self {
        Self { reach, frames: Box::default(), spare: Vec::new() }
    }

    /// How far it reaches.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.frames.iter().count()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        while let Some(frame) = self.frames.pop_back() {
            self.spare.push(frame.projected);
        }
    }

    /// Whether a frame of `time` would be remembered, and is worth encoding for that alone: a quarter of a slot after
    /// the last.
    pub fn wants(&self, time: Duration) -> bool {
        let due = |newest: &Remembered| newest.time.abs_diff(time) >= self.reach.span(0.25);
        self.frames.back().is_none_or(due)
    }

    /// Remembers the frame of `time`, whose projections `project` appends to an empty buffer.
    ///
    /// A frame that comes late is put in its place. One that is older than the newest by more than a slot did not come
    /// late: the clock was set back, and what was remembered is forgotten. One closer than [`Reach::spacing`] to
    /// another is not remembered, and `project` is not called.
    pub fn insert(&mut self, time: Duration, project: impl FnOnce(&mut Vec<f32>)) {
        if self.frames.back().is_some_and(|newest| time + self.reach.span(1.0) < newest.time) {
            self.clear();
        }
        let newest = self.frames.back().map_or(time, |newest| newest.time.max(time));
        let window = self.reach.window();
        while let Some(frame) = self.frames.pop_front_if(|oldest| oldest.time + window < newest) {
            self.spare.push(frame.projected);
        }
        let spacing = self.reach.spacing();
        if self.frames.iter().rev().any(|frame| frame.time.abs_diff(time) < spacing) {
            return;
        }
        if self.frames.is_full()
            && let Some(oldest) = self.frames.pop_front()
        {
            self.spare.push(oldest.projected);
        }
        let mut projected = self.spare.pop().unwrap_or_default();
        projected.clear();
        project(&mut projected);
        if let Err(frame) = self.frames.push_back(Remembered { time, projected }) {
            self.spare.push(frame.projected); // cannot be: there is room by now
            return;
        }
        let mut place = self.len() - 1;
        while place > 0 && self.frames.get(place - 1).is_some_and(|before| before.time > time) {
            self.frames.swap(place - 1, place);
            place -= 1;
        }
    }

    /// What the frame of `now` remembers: for each slot the frame nearest to its middle, if there is one; of two
    /// equally near the later. Slots after the frame are filled as far as their frames have come.
    pub fn recall(&self, now: Duration) -> Fixed<Recalled<'_>, MOST_SLOTS> {
        let mut recalled: Fixed<Recalled<'_>, MOST_SLOTS> = Fixed::new();
        let mut last_error = f64::INFINITY;
        // Slots follow each other as times do.
        for frame in self.frames.iter() {
            let Some(slot) = self.reach.slot(now, frame.time) else { continue };
            let error = self.reach.error(now, frame.time);
            let candidate = Recalled { slot, projected: &frame.projected };
            match recalled.last_mut().filter(|last| last.slot == slot) {
                Some(last) if error <= last_error => *last = candidate,
                Some(_) => continue,
                // There are never more slots than fit.
                None => drop(recalled.push(candidate)),
            }
            last_error = error;
        }
        recalled
    }
}
