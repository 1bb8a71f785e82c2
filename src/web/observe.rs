//! What the page hears of the pipeline. Called on the analysis thread: it takes note, and waits for nobody.

use super::state::Page;
use crate::config::Config;
use crate::pipeline::{Observer, Report, Seen, Status, View};
use crate::vocabulary::Vocabulary;

/// Hands all that is observed on to `inner`, and takes note of what the page shows.
pub struct Observing<O> {
    inner: O,
    page: Page,
}

impl<O: Observer> Observing<O> {
    pub fn new(inner: O, page: Page) -> Self {
        Self { inner, page }
    }
}

impl<O: Observer> Observer for Observing<O> {
    fn analysed(&mut self, seen: &Seen<'_>) {
        self.inner.analysed(seen);
        self.page.analysed();
    }

    fn closed(&mut self, view: &View) {
        self.inner.closed(view);
    }

    fn status(&mut self, camera: &str, status: Status) {
        self.inner.status(camera, status);
    }

    fn reconfigured(&mut self, config: &Config, vocabulary: &Vocabulary) {
        self.inner.reconfigured(config, vocabulary);
        self.page.reconfigured(config, vocabulary);
    }

    fn report(&mut self, report: &Report) {
        self.inner.report(report);
    }

    fn progress(&mut self) {
        self.inner.progress();
    }
}
