//! A recording in its own time, as if it were a camera.

use std::sync::Arc;

use super::{CameraError, SLICE, Source, SourceInfo, Stop};
use crate::clock::Clock;
use crate::frame::Frame;

/// Hands out a recording's frames when the clock reaches their times. A live source passes through.
pub struct Paced<S> {
    source: S,
    clock: Arc<dyn Clock>,
    stop: Stop,
}

impl<S: Source> Paced<S> {
    /// `clock` is the one that the source was opened with.
    pub fn new(source: S, clock: Arc<dyn Clock>, stop: Stop) -> Self {
        Self { source, clock, stop }
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
        loop {
            self.stop.check()?;
            match frame.time.monotonic.checked_sub(self.clock.monotonic()) {
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
