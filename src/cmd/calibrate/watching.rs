//! From a recording to what everybody in it scored.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use indicatif::ProgressBar;

use crate::camera::Stop;
use crate::clock::Clock;
use crate::cmd::progress;
use crate::cmd::recording::{Recording, Screening};
use crate::config::{self, Config};
use crate::event::calibration::Tape;
use crate::pipeline::{Observer, Report, Seen, Status, View};

/// Takes recordings through the pipeline, one after another.
pub struct Watcher<'a> {
    pub config: &'a Config,
    pub camera: &'a config::Camera,
    pub clock: Arc<dyn Clock>,
    pub stop: Stop,
    pub screening: Screening,
}

impl Watcher<'_> {
    /// All scores in the recording at `path`.
    pub fn watch(&mut self, path: &Path) -> anyhow::Result<Tape> {
        let name = || format!("cannot watch {}", path.display());
        let recording = Recording::open(path, self.camera, &self.clock, &self.stop).with_context(name)?;
        let progress = progress::bar(recording.frames());
        let mut watching = Watching { tape: Tape::new(self.camera, self.config), progress };
        let result = self.screening.show(recording, &mut watching);
        watching.progress.finish_and_clear();
        result.with_context(name)?;
        ensure!(!self.stop.is_set(), "interrupted; nothing was changed");
        ensure!(!watching.tape.watched().is_zero(), "{}: fewer than two frames", path.display());
        Ok(watching.tape)
    }
}

struct Watching {
    tape: Tape,
    progress: ProgressBar,
}

impl Watching {
    fn keep(&mut self, view: &View) {
        for frame in view.judged() {
            let scores = frame.scored().map(|(_, scores)| scores);
            self.tape.observe(frame.time, frame.size, &frame.tracks, scores);
        }
    }
}

impl Observer for Watching {
    fn analysed(&mut self, seen: &Seen<'_>) {
        self.keep(seen.view);
        self.progress.set_position(seen.frame.sequence + 1);
    }

    fn closed(&mut self, view: &View) {
        self.keep(view);
    }

    fn status(&mut self, _: &str, _: Status) {}

    fn report(&mut self, _: &Report) {}
}
