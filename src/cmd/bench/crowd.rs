//! People who are not there, and a camera that is not there either: what makes a run on one machine comparable with one
//! on another.

use std::f32::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use crate::camera::{CameraError, Source, SourceInfo, Stop, avi_bytes};
use crate::clock::Clock;
use crate::cmd::demo::CLIP;
use crate::detect::{Crowd, Detection};
use crate::frame::{Frame, Rect};

/// To one side and back. With [`REACH`] it makes one body's width a second at most: who paces, not who runs.
const PERIOD: f32 = 4.0;
/// Of a person's part of the picture, from the middle to either side.
const REACH: f32 = 0.28;

/// `count` people in rows, none overlapping another, who walk to and fro by `walking`; without it they stand still.
pub(super) fn crowd(count: usize, walking: Option<Arc<dyn Clock>>) -> Crowd {
    let columns = (count as f32).sqrt().ceil().max(1.0);
    Box::new(move |width, height, out| {
        let turn = walking
            .as_ref()
            .map(|clock| (clock.monotonic().as_secs_f64() % f64::from(PERIOD)) as f32 / PERIOD);
        let (w, h) = (width / columns, height / columns);
        out.extend((0..count).map(|n| {
            // Not in step: in every frame some turn around, and most walk.
            let aside = turn.map_or(0.0, |turn| REACH * (TAU * (turn + n as f32 * 0.382)).sin());
            let (x, y) = (((n as f32 % columns) + aside) * w, (n as f32 / columns).floor() * h);
            let rect = Rect::new(x + 0.3 * w, y + 0.05 * h, x + 0.7 * w, y + 0.95 * h);
            Detection { class: 0, score: 0.9, rect }
        }));
    })
}

/// The demo's clip, over and over, as a camera that sends JPEGs at a rate of its own and waits for nobody.
pub(super) struct Live {
    clip: Box<dyn Source>,
    info: SourceInfo,
    interval: Duration,
    due: Option<Duration>,
    sequence: u64,
    clock: Arc<dyn Clock>,
    stop: Stop,
}

impl Live {
    /// Gives a frame each `interval`.
    pub fn open(interval: Duration, clock: Arc<dyn Clock>, stop: Stop) -> Result<Self, CameraError> {
        let clip = avi_bytes("the demo's clip", CLIP, true, Arc::clone(&clock), stop.clone())?;
        let fps = Some(interval.as_secs_f64().recip());
        let info = SourceInfo { live: true, frames: None, fps, ..clip.info().clone() };
        Ok(Self { clip, info, interval, due: None, sequence: 0, clock, stop })
    }
}

impl Source for Live {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        let now = self.clock.monotonic();
        let mut due = self.due.map_or(now, |due| due + self.interval);
        while due + self.interval <= now {
            (due, self.sequence) = (due + self.interval, self.sequence + 1); // nobody was there to take it
        }
        if self.stop.wait(due.saturating_sub(now)) {
            return Err(CameraError::Stopped);
        }
        // Decoding comes after the capture and counts as latency, as it does with a real one.
        let time = self.clock.now();
        let read = self.clip.read(frame)?;
        (frame.time, frame.sequence) = (time, self.sequence);
        (self.due, self.sequence) = (Some(due), self.sequence + 1);
        Ok(read)
    }

    fn info(&self) -> &SourceInfo {
        &self.info
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn everybody_is_inside_and_nobody_overlaps_another_wherever_they_walk() {
        let clock = Arc::new(ManualClock::new(Duration::ZERO, Timestamp::UNIX_EPOCH));
        for count in [1, 5, 20, 50] {
            let mut crowd = crowd(count, Some(Arc::clone(&clock) as Arc<dyn Clock>));
            let (mut people, mut moved) = (Vec::new(), 0);
            for _ in 0..40 {
                let before = std::mem::take(&mut people);
                crowd(640.0, 480.0, &mut people);
                assert_eq!(people.len(), count);
                for (n, one) in people.iter().enumerate() {
                    assert_eq!(one.rect.clamped(640.0, 480.0), one.rect);
                    assert!(people[..n].iter().all(|other| one.rect.iou(&other.rect) == 0.0));
                }
                moved += people.iter().zip(&before).filter(|(a, b)| a.rect.iou(&b.rect) < 0.8).count();
                clock.advance(Duration::from_millis(200));
            }
            assert!(moved > 20 * count, "{moved} steps of {count} people in 40 frames");
        }
    }

    #[test]
    fn a_camera_gives_what_is_due_now_and_not_what_was_due_before() {
        let clock = Arc::new(ManualClock::new(Duration::from_secs(100), Timestamp::UNIX_EPOCH));
        let second = Duration::from_secs(1);
        let mut live = Live::open(second, Arc::clone(&clock) as Arc<dyn Clock>, Stop::new()).unwrap();
        let mut frame = Frame::default();
        let mut read = |advance| {
            clock.advance(advance);
            assert!(live.read(&mut frame).unwrap());
            (frame.sequence, frame.time.monotonic.as_secs())
        };
        assert_eq!(read(Duration::ZERO), (0, 100));
        assert_eq!(read(second), (1, 101));
        assert_eq!(read(5 * second), (6, 106), "those that nobody took are counted");
    }
}
