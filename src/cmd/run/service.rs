//! The daemon as the service manager sees it: when it is ready, that its analysis goes on, what it is doing.
//!
//! Ready is a daemon that has analysed a frame, or has no camera that could give one: all are lost, paused or off duty.
//! A camera that is away is no reason to start anew. An analysis that is stuck is: only [`Observer::progress`], which
//! comes from its thread, keeps the manager's watchdog quiet.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use super::notify::Notify;
use crate::clock::Clock;
use crate::config::Config;
use crate::pipeline::{Observer, Report, Seen, Status, View, age};
use crate::vocabulary::Vocabulary;

/// Hands all that is observed on to `inner`, and tells the manager of it.
pub(super) struct Service<O> {
    inner: O,
    manager: Notify,
    clock: Arc<dyn Clock>,
    cameras: Vec<(String, Status)>,
    analysed: bool,
    ready: bool,
    /// Signs of life are due this long after one another; `None`: the manager does not ask for any.
    interval: Option<Duration>,
    due: Duration,
}

impl<O: Observer> Service<O> {
    /// Before the cameras of `config` are opened.
    pub fn new(inner: O, manager: Notify, clock: Arc<dyn Clock>, config: &Config) -> Self {
        // The manager would be content with less than one a period; these may be dropped or late.
        let interval = manager.watchdog.map(|patience| patience / 4);
        let (cameras, due) = (opening(config), clock.monotonic());
        let this = Self { inner, manager, clock, cameras, analysed: false, ready: false, interval, due };
        this.tell();
        this
    }

    /// Tells that the end has begun.
    pub fn stopping(&self) {
        self.manager.stopping();
    }

    /// Nothing is left to wait for.
    fn is_settled(&self) -> bool {
        self.analysed || self.cameras.iter().all(|(_, status)| status.is_silent())
    }

    fn tell(&self) {
        if !self.manager.is_heard() {
            return;
        }
        let online = self.cameras.iter().filter(|(_, status)| *status == Status::Online).count();
        let others = self.cameras.iter().filter(|(_, status)| *status != Status::Online);
        let others: String = others.map(|(name, status)| format!(", {name} {}", status.name())).collect();
        self.manager.status(&format!("{online} of {} cameras online{others}", self.cameras.len()));
    }
}

fn opening(config: &Config) -> Vec<(String, Status)> {
    config.cameras.iter().map(|camera| (camera.name.clone(), Status::default())).collect()
}

impl<O: Observer> Observer for Service<O> {
    fn analysed(&mut self, seen: &Seen<'_>) {
        self.inner.analysed(seen);
        if !std::mem::replace(&mut self.analysed, true) {
            debug!(after = ?age().unwrap_or_default(), "first frame analysed");
        }
    }

    fn closed(&mut self, view: &View) {
        self.inner.closed(view);
    }

    fn status(&mut self, camera: &str, status: Status) {
        self.inner.status(camera, status);
        if let Some((_, known)) = self.cameras.iter_mut().find(|(name, _)| name == camera) {
            *known = status;
        }
        self.tell();
    }

    fn reconfigured(&mut self, config: &Config, vocabulary: &Vocabulary) {
        self.inner.reconfigured(config, vocabulary);
        let before = std::mem::replace(&mut self.cameras, opening(config));
        for (name, status) in &mut self.cameras {
            *status = before.iter().find(|(known, _)| known == name).map_or(*status, |(_, status)| *status);
        }
        self.tell();
    }

    fn report(&mut self, report: &Report) {
        self.inner.report(report);
    }

    fn progress(&mut self) {
        self.inner.progress();
        if !self.ready && self.is_settled() {
            self.ready = self.manager.ready();
        }
        let now = self.clock.monotonic();
        if let Some(interval) = self.interval.filter(|_| now >= self.due) {
            self.due = now + interval;
            self.manager.alive();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use jiff::Timestamp;

    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Camera;

    struct Nobody;

    impl Observer for Nobody {
        fn analysed(&mut self, _: &Seen<'_>) {}
        fn closed(&mut self, _: &View) {}
        fn status(&mut self, _: &str, _: Status) {}
        fn report(&mut self, _: &Report) {}
    }

    /// A service that watches `gate` and `yard` and gives a sign of life each 4 s, and what its manager has heard since it
    /// was asked last.
    fn service() -> (Service<Nobody>, Arc<ManualClock>, impl FnMut() -> Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let manager = Notify::new(path.as_os_str(), Some("16000000")).unwrap();
        let camera = |name: &str| Camera { name: name.into(), ..Camera::default() };
        let config = Config { cameras: vec![camera("gate"), camera("yard")], ..Config::default() };
        let clock = Arc::new(ManualClock::new(Duration::from_secs(100), Timestamp::UNIX_EPOCH));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let service = Service::new(Nobody, manager, shared, &config);
        let heard = move || {
            let mut buffer = [0; 256];
            let next = || {
                let length = listener.recv(&mut buffer).ok()?;
                Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
            };
            std::iter::from_fn(next).collect()
        };
        (service, clock, heard)
    }

    #[test]
    fn a_daemon_without_a_camera_that_could_deliver_is_ready() {
        let (mut service, _, mut heard) = service();
        service.progress();
        assert_eq!(heard(), ["STATUS=0 of 2 cameras online, gate opening, yard opening", "WATCHDOG=1"]);
        service.status("gate", Status::Lost);
        service.status("yard", Status::Online);
        service.progress();
        let heard_now = heard();
        assert_eq!(heard_now.last().unwrap(), "STATUS=1 of 2 cameras online, gate lost");
        assert!(!heard_now.contains(&"READY=1".into()), "the yard's first frame is still to come");
        service.status("yard", Status::ScheduledOff);
        service.progress();
        assert_eq!(heard(), ["STATUS=0 of 2 cameras online, gate lost, yard scheduled off", "READY=1"]);
        service.status("yard", Status::Opening);
        service.progress();
        assert!(!heard().contains(&"READY=1".into()), "once is enough");
    }

    #[test]
    fn signs_of_life_come_with_progress_and_no_oftener_than_is_due() {
        let (mut service, clock, mut heard) = service();
        let mut signs = |service: &mut Service<Nobody>, seconds: u64| {
            for _ in 0..seconds * 10 {
                clock.advance(Duration::from_millis(100));
                service.progress();
            }
            heard().iter().filter(|message| *message == "WATCHDOG=1").count()
        };
        assert_eq!(signs(&mut service, 30), 8);
        clock.advance(Duration::from_secs(100));
        assert_eq!(signs(&mut service, 1), 1, "missed ones are not made up for");
    }
}
