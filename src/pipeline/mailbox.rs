//! Where cameras leave frames and the analysis picks them up: one slot a camera, the newest frame wins.
//! Slots come and go with their cameras; a camera names its slot by the number that [`Mailbox::add`] gave it.
//!
//! Frames are swapped, never copied: a camera hands in a full frame and goes on with the buffer that lay in the
//! slot. Nothing is allocated once each buffer has seen a frame.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::Reason;
use crate::frame::Frame;

/// What happens to a frame that nobody has picked up when the next one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is replaced and counted: a live camera never waits.
    Latest,
    /// The camera waits: a recording is analysed whole. What goes wrong with it ends the pipeline.
    Every,
    /// The camera waits, and as a live one is opened again when it breaks.
    Replay,
}

/// What the analysis finds in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A frame, now in the caller's buffer.
    Frame,
    /// The camera stopped delivering for now (it broke, or is not to be watched): what is open must be closed.
    Lost(Reason),
    /// There will be no more frames from this camera.
    Ended,
}

/// A slot for each camera.
pub struct Mailbox {
    slots: Mutex<Slots>,
    filled: Condvar,
    emptied: Condvar,
}

struct Slots {
    slots: Vec<Slot>,
    /// The number of the next new slot. None is given twice, so that a camera on its way out cannot disturb another.
    unused: usize,
    /// Where the search for the next filled slot starts, so that no camera starves another.
    next: usize,
    closed: bool,
}

#[derive(Default)]
struct Slot {
    number: usize,
    frame: Frame,
    /// `frame` is unread.
    waiting: bool,
    lost: Option<Reason>,
    ended: bool,
    replaced: u64,
}

impl Mailbox {
    /// Slots for `cameras` cameras, numbered from 0.
    pub fn new(cameras: usize) -> Self {
        let slots = (0..cameras).map(|number| Slot { number, ..Slot::default() }).collect();
        Self {
            slots: Mutex::new(Slots { slots, unused: cameras, next: 0, closed: false }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    /// Adds a slot; its number.
    pub fn add(&self) -> usize {
        let mut slots = self.lock();
        let number = slots.unused;
        slots.unused += 1;
        slots.slots.push(Slot { number, ..Slot::default() });
        number
    }

    /// Takes a slot away with what lies in it. Its camera, if it still delivers, is told that the mailbox is closed.
    pub fn remove(&self, camera: usize) {
        self.lock().slots.retain(|slot| slot.number != camera);
        self.emptied.notify_all();
    }

    /// Leaves `frame` in the slot of `camera` and takes the buffer that lay there. Returns `false` when the
    /// mailbox is closed or has no such slot.
    pub fn put(&self, camera: usize, frame: &mut Frame, delivery: Delivery) -> bool {
        let mut slots = self.lock();
        loop {
            if slots.closed {
                return false;
            }
            let Some(slot) = slots.of(camera) else { return false };
            if slot.waiting && delivery != Delivery::Latest {
                slots = self.emptied.wait(slots).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            slot.replaced += u64::from(slot.waiting);
            std::mem::swap(&mut slot.frame, frame);
            slot.waiting = true;
            self.filled.notify_one();
            return true;
        }
    }

    /// Says that `camera` stopped delivering, and why. A frame still unread is given up, so that the loss stands between
    /// the frames before it and those after it.
    pub fn lost(&self, camera: usize, reason: Reason) {
        if let Some(slot) = self.lock().of(camera) {
            slot.replaced += u64::from(std::mem::take(&mut slot.waiting));
            slot.lost.get_or_insert(reason);
        }
        self.emptied.notify_all();
        self.filled.notify_one();
    }

    /// Says that `camera` will deliver no more; a frame still waiting is delivered first.
    pub fn ended(&self, camera: usize) {
        if let Some(slot) = self.lock().of(camera) {
            slot.ended = true;
        }
        self.filled.notify_one();
    }

    /// Waits up to `timeout` for an arrival from any camera, in turn; swaps a frame into `frame`.
    pub fn take(&self, frame: &mut Frame, timeout: Duration) -> Option<(usize, Arrival)> {
        let slots = self.lock();
        let (mut slots, _) = self
            .filled
            .wait_timeout_while(slots, timeout, |s| !s.closed && !s.slots.iter().any(Slot::has_news))
            .unwrap_or_else(PoisonError::into_inner);
        let count = slots.slots.len();
        let first = slots.next;
        let first = first.min(count);
        for index in (first..count).chain(0..first) {
            let slot = slots.slots.get_mut(index);
            let Some((camera, arrival)) = slot.and_then(|slot| Some((slot.number, slot.take(frame)?))) else {
                continue;
            };
            slots.next = index + 1;
            self.emptied.notify_all();
            return Some((camera, arrival));
        }
        None
    }

    /// Wakes everyone; cameras are told to stop, what waits may still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Frames of `camera` that were replaced unread.
    pub fn replaced(&self, camera: usize) -> u64 {
        self.lock().of(camera).map_or(0, |slot| slot.replaced)
    }

    /// Frames unread now.
    pub fn waiting(&self) -> u64 {
        self.lock().slots.iter().map(|slot| u64::from(slot.waiting)).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn of(&mut self, camera: usize) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.number == camera)
    }
}

impl Slot {
    fn has_news(&self) -> bool {
        self.waiting || self.lost.is_some() || self.ended
    }

    fn take(&mut self, frame: &mut Frame) -> Option<Arrival> {
        if let Some(reason) = self.lost.take() {
            Some(Arrival::Lost(reason))
        } else if std::mem::take(&mut self.waiting) {
            std::mem::swap(&mut self.frame, frame);
            Some(Arrival::Frame)
        } else {
            std::mem::take(&mut self.ended).then_some(Arrival::Ended)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbered(sequence: u64) -> Frame {
        Frame { sequence, ..Frame::default() }
    }

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn the_newest_frame_wins_and_what_it_replaced_is_counted() {
        let mailbox = Mailbox::new(1);
        for n in 1..=3 {
            assert!(mailbox.put(0, &mut numbered(n), Delivery::Latest));
        }
        let mut frame = Frame::default();
        assert_eq!(mailbox.take(&mut frame, SOON), Some((0, Arrival::Frame)));
        assert_eq!((frame.sequence, mailbox.replaced(0)), (3, 2));
        assert_eq!(mailbox.take(&mut frame, SOON), None);
    }

    #[test]
    fn a_recording_waits_until_its_frame_is_taken() {
        let mailbox = Mailbox::new(1);
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=50 {
                    mailbox.put(0, &mut numbered(n), Delivery::Every);
                }
                mailbox.ended(0);
            });
            let (mut seen, mut frame) = (Vec::new(), Frame::default());
            loop {
                match mailbox.take(&mut frame, Duration::from_secs(5)) {
                    Some((_, Arrival::Frame)) => seen.push(frame.sequence),
                    other => break assert_eq!(other, Some((0, Arrival::Ended))),
                }
            }
            seen
        });
        assert_eq!(seen, (1..=50).collect::<Vec<_>>());
        assert_eq!(mailbox.replaced(0), 0);
    }

    #[test]
    fn cameras_take_turns() {
        let mailbox = Mailbox::new(3);
        let mut frame = Frame::default();
        let mut order = Vec::new();
        for _ in 0..6 {
            for camera in 0..3 {
                mailbox.put(camera, &mut Frame::default(), Delivery::Latest);
            }
            order.extend(mailbox.take(&mut frame, SOON).map(|(camera, _)| camera));
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }

    proptest! {
        /// However others hurry: a frame that waits is taken before any other camera has had two turns.
        #[test]
        fn no_camera_starves_another(
            cameras in 2usize..6, steps in prop::collection::vec((0usize..6, 0u8..4), 1..200),
        ) {
            let mailbox = Mailbox::new(cameras);
            // Turns of others since the frame came, by the camera that has one waiting.
            let mut waiting: Vec<Option<Vec<u32>>> = vec![None; cameras];
            let mut frame = Frame::default();
            for (camera, kind) in steps {
                let camera = camera % cameras;
                if kind > 0 {
                    mailbox.put(camera, &mut numbered(0), Delivery::Latest);
                    waiting[camera].get_or_insert_with(|| vec![0; cameras]);
                } else if let Some((taken, Arrival::Frame)) = mailbox.take(&mut frame, Duration::ZERO) {
                    prop_assert!(waiting[taken].take().is_some());
                    for turns in waiting.iter_mut().flatten() {
                        turns[taken] += 1;
                        prop_assert!(turns[taken] < 2, "camera {} had two turns", taken);
                    }
                }
            }
        }
    }

    #[test]
    fn a_loss_stands_between_the_frames_before_and_after_it() {
        let mailbox = Mailbox::new(1);
        let mut frame = Frame::default();
        mailbox.put(0, &mut numbered(1), Delivery::Latest);
        mailbox.lost(0, Reason::Paused);
        mailbox.put(0, &mut numbered(2), Delivery::Latest);
        mailbox.ended(0);
        assert_eq!(mailbox.take(&mut frame, SOON), Some((0, Arrival::Lost(Reason::Paused))));
        assert_eq!(mailbox.take(&mut frame, SOON), Some((0, Arrival::Frame)));
        assert_eq!(frame.sequence, 2);
        assert_eq!(mailbox.take(&mut frame, SOON), Some((0, Arrival::Ended)));
    }

    #[test]
    fn slots_come_and_go_and_no_number_comes_back() {
        let mailbox = Mailbox::new(2);
        let mut frame = Frame::default();
        mailbox.put(0, &mut numbered(1), Delivery::Latest);
        mailbox.put(1, &mut numbered(2), Delivery::Latest);
        mailbox.remove(0);
        assert!(!mailbox.put(0, &mut numbered(3), Delivery::Latest), "its camera is told to stop");
        mailbox.lost(0, Reason::SourceEnded);
        mailbox.ended(0);
        assert_eq!(mailbox.take(&mut frame, SOON), Some((1, Arrival::Frame)));
        assert_eq!(mailbox.take(&mut frame, SOON), None);
        assert_eq!(mailbox.add(), 2);
        assert!(mailbox.put(2, &mut numbered(4), Delivery::Latest));
        mailbox.remove(1);
        assert_eq!((mailbox.take(&mut frame, SOON), frame.sequence), (Some((2, Arrival::Frame)), 4));
        mailbox.remove(2);
        assert_eq!((mailbox.take(&mut frame, SOON), mailbox.add()), (None, 3));
    }

    #[test]
    fn removing_its_slot_frees_a_waiting_recording() {
        let mailbox = Mailbox::new(1);
        mailbox.put(0, &mut numbered(1), Delivery::Every);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| mailbox.put(0, &mut numbered(2), Delivery::Every));
            mailbox.remove(0);
            assert!(!waiting.join().unwrap());
        });
    }

    #[test]
    fn closing_frees_a_waiting_recording() {
        let mailbox = Mailbox::new(1);
        mailbox.put(0, &mut numbered(1), Delivery::Every);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| mailbox.put(0, &mut numbered(2), Delivery::Every));
            mailbox.close();
            assert!(!waiting.join().unwrap());
        });
    }
}
