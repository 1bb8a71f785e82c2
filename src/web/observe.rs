//! What the page hears of the pipeline. Called on the analysis thread: it takes note, and waits for nobody.

use std::sync::Arc;

use super::state::Page;
use crate::config::Config;
use crate::event::Change;
use crate::pipeline::{Observer, Report, Seen, Status, View};
use crate::vocabulary::Vocabulary;

/// Hands all that is observed on to `inner`, and takes note of what the page shows.
pub struct Observing<O> {
    inner: O,
    page: Page,
    /// Of the actions, in the order of scores.
    names: Arc<[String]>,
    /// Pictures of people are kept.
    snapshots: bool,
}

impl<O: Observer> Observing<O> {
    pub fn new(inner: O, page: Page) -> Self {
        let config = page.config();
        let mut this = Self { inner, page, names: Arc::default(), snapshots: false };
        this.configure(&config);
        this
    }

    fn configure(&mut self, config: &Config) {
        self.names = config.actions.iter().map(|action| action.name.clone()).collect();
        self.snapshots = config.mqtt.snapshots;
    }
}

impl<O: Observer> Observer for Observing<O> {
    fn analysed(&mut self, seen: &Seen<'_>) {
        self.inner.analysed(seen);
        self.page.analysed();
        let picture = &seen.frame.picture;
        self.page.cameras.size(seen.camera, [picture.width, picture.height]);
        self.page.scores.count(seen, self.page.clock.monotonic());
        self.page.live.offer(seen, &self.names);
        for event in seen.view.events().iter().filter(|event| !event.provisional) {
            let keeps = self.snapshots && event.change == Change::Begin;
            self.page.timeline.note(event, keeps.then_some(picture));
        }
    }

    fn closed(&mut self, view: &View) {
        self.inner.closed(view);
        let events = view.events().iter().filter(|event| !event.provisional);
        events.for_each(|event| self.page.timeline.note(event, None));
    }

    fn status(&mut self, camera: &str, status: Status) {
        self.inner.status(camera, status);
        self.page.cameras.status(camera, status);
    }

    fn reconfigured(&mut self, config: &Config, vocabulary: &Vocabulary) {
        self.inner.reconfigured(config, vocabulary);
        self.page.reconfigured(config, vocabulary);
        self.configure(config);
    }

    fn report(&mut self, report: &Report) {
        self.inner.report(report);
    }

    fn progress(&mut self) {
        self.inner.progress();
    }
}
