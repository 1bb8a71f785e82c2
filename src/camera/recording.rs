//! Recordings: what gives them times, repeats them, and passes over pictures that cannot be decoded.

use std::sync::Arc;
use std::time::Duration;

use super::{ASSUMED_FPS, CameraError, Source, SourceInfo, Stop};
use crate::clock::{Clock, FrameTime};
use crate::frame::{Frame, Picture};

/// What came of asking a recording for its next picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Picture,
    /// The recording has a frame here without a picture: the one before stands on.
    Nothing,
    End,
}

/// A finite run of pictures without times.
pub(super) trait Recording: Send {
    fn info(&self) -> &SourceInfo;

    /// Decodes the next picture into `picture`. After a [`CameraError::Picture`], the one behind it may be asked for.
    fn next(&mut self, picture: &mut Picture) -> Result<Next, CameraError>;

    /// Back to the first picture.
    fn rewind(&mut self) -> Result<(), CameraError>;
}

/// A recording as a source.
pub(super) fn play<R: Recording + 'static>(
    recording: R,
    repeat: bool,
    clock: Arc<dyn Clock>,
    stop: Stop,
) -> Box<dyn Source> {
    Box::new(Player { recording, repeat, clock, stop, start: None, count: 0, good: 0, skipped: 0 })
}

struct Player<R> {
    recording: R,
    repeat: bool,
    clock: Arc<dyn Clock>,
    stop: Stop,
    /// The clock's reading at the first frame.
    start: Option<FrameTime>,
    /// Frames passed, with or without a picture, over all repetitions.
    count: u64,
    /// Pictures in this repetition.
    good: u64,
    /// Pictures that could not be decoded, in all repetitions.
    skipped: u64,
}

impl<R: Recording> Source for Player<R> {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        loop {
            self.stop.check()?;
            match self.recording.next(&mut frame.picture) {
                Ok(Next::Picture) => {
                    self.good += 1;
                    frame.sequence = self.count;
                    frame.time = self.time();
                    self.count += 1;
                    return Ok(true);
                }
                Ok(Next::Nothing) => self.count += 1,
                // One bad picture among many costs that picture; if the first is bad, they likely all are.
                Err(error @ CameraError::Picture { .. }) if self.good > 0 => {
                    self.count += 1;
                    self.skipped += 1;
                    if self.skipped.is_power_of_two() {
                        tracing::warn!(%error, skipped = self.skipped, "picture skipped");
                    }
                }
                Err(error) => return Err(error),
                // A pass without a picture would repeat without an end.
                Ok(Next::End) if self.repeat && self.good > 0 => {
                    self.recording.rewind()?;
                    self.good = 0;
                }
                Ok(Next::End) => {
                    if self.skipped > 0 {
                        let source = &self.recording.info().description;
                        tracing::warn!(
                            source,
                            skipped = self.skipped,
                            "recording ended; pictures were skipped"
                        );
                    }
                    return Ok(false);
                }
            }
        }
    }

    fn info(&self) -> &SourceInfo {
        self.recording.info()
    }

    fn corrupted(&self) -> u64 {
        self.skipped
    }
}

impl<R: Recording> Player<R> {
    /// The time of frame `count`.
    fn time(&mut self) -> FrameTime {
        let start = *self.start.get_or_insert_with(|| self.clock.now());
        let fps = self.recording.info().fps.unwrap_or(ASSUMED_FPS);
        let since = Duration::try_from_secs_f64(self.count as f64 / fps).unwrap_or_default();
        let utc = start.utc.saturating_add(since).unwrap_or(jiff::Timestamp::MAX);
        FrameTime { monotonic: start.monotonic + since, utc }
    }
}
