//! A recording in its own time, as if it were a camera.

use std::sync::Arc;
use std::time::Duration;

use super::{CameraError, SLICE, Source, SourceInfo, Stop};
use crate::clock::Clock;
use crate::config;
use crate::frame::Frame;

/// Hands out a recording's frames when the clock reaches their times. A live source passes through.
pub struct Paced<S> {
    source: S,
    /// On the recording's own time; infinite: it is not waited for.
    speed: f64,
    /// The first frame's time.
    start: Option<Duration>,
    clock: Arc<dyn Clock>,
    stop: Stop,
}

impl<S: Source> Paced<S> {
    /// `clock` is the one that the source was opened with.
    pub fn new(source: S, clock: Arc<dyn Clock>, stop: Stop) -> Self {
        Self { source, speed: 1.0, start: None, clock, stop }
    }

    /// `speed` times as fast. Frames keep their times, which then run ahead of the clock or fall behind it.
    #[must_use]
    pub fn at(self, speed: config::Speed) -> Self {
        Self { speed: speed.factor(), ..self }
    }
}

impl<S: Source> Source for Paced<S> {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        if !self.source.read(frame)? {
            return Ok(false);
        }
        if self.source.info().live {
            return Ok(true);
        }
        let start = *self.start.get_or_insert(frame.time.monotonic);
        let since = frame.time.monotonic.saturating_sub(start).as_secs_f64() / self.speed;
        let due = start + Duration::try_from_secs_f64(since).unwrap_or(Duration::ZERO);
        loop {
            self.stop.check()?;
            match due.checked_sub(self.clock.monotonic()) {
                Some(early) if !early.is_zero() => std::thread::sleep(early.min(SLICE)),
                _ => return Ok(true),
            }
        }
    }

    fn info(&self) -> &SourceInfo {
        self.source.info()
    }

    fn corrupted(&self) -> u64 {
        self.source.corrupted()
    }
}
