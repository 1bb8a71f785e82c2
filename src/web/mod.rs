//! The box's own page and the API beneath it: what the cameras see, what happened, words, zones, health, metrics.
//!
//! Knows the running pipeline by its [`crate::pipeline::Control`] and by what [`Observing`] hears; changes what runs only
//! as an operator could, through the supervisor. A runtime of its own with few threads serves it, so nothing here can
//! hold up a frame, and a page that cannot be served is a warning and never the end of the daemon.
//!
//! The way of a request: [`listener`] (connections, TLS, timeouts) → [`guard`] (host, origin, log-in) → [`router`] → a
//! module of handlers, which is given the [`Page`].

mod assets;
mod auth;
mod cameras;
mod events;
mod extract;
mod files;
mod guard;
mod health;
mod listener;
mod live;
mod metrics;
mod observe;
mod orders;
mod problem;
mod regions;
mod router;
mod samples;
mod scores;
mod state;
mod status;
mod wire;
mod words;

use std::io;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::watch;

use crate::config;

pub use auth::password;
pub use events::Timeline;
pub use observe::Observing;
pub use orders::{Order, Orders, Refusal, Reply, Saved, Words};
pub use state::{Page, Parts};

/// Threads that serve the page.
const WORKERS: usize = 2;
/// Threads for what takes its time: passwords, pictures, the timeline.
const BLOCKING: usize = 4;

/// How the page is to be served, from now on.
#[derive(Clone)]
pub struct Settings(watch::Sender<Option<config::Web>>);

impl Settings {
    /// Serves it so; connections end, and browsers come back by themselves.
    pub fn set(&self, settings: &config::Web) {
        self.0.send_replace(Some(settings.clone()));
    }
}

/// The page while it is served.
pub struct Web {
    runtime: Runtime,
    settings: Settings,
    serving: tokio::task::JoinHandle<()>,
}

impl Web {
    /// Serves `page` as `settings` have it, or tries to, until [`Web::shutdown`].
    ///
    /// # Errors
    /// If the threads do not start.
    pub fn start(settings: &config::Web, page: Page) -> io::Result<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(BLOCKING)
            .thread_name("web")
            .enable_all()
            .build()?;
        let (settings, watched) = watch::channel(Some(settings.clone()));
        runtime.spawn(samples::follow(page.clone()));
        let serving = runtime.spawn(listener::run(watched, page));
        Ok(Self { runtime, settings: Settings(settings), serving })
    }

    /// By which the settings can be changed from another thread.
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// Takes no more connections, and lets those that there are end.
    pub fn stop(&self) {
        self.settings.0.send_replace(None);
    }

    /// As [`Web::stop`]; connections that have not ended after `patience` are broken off.
    pub fn shutdown(self, patience: Duration) {
        self.stop();
        let Self { runtime, serving, .. } = self;
        _ = runtime.block_on(async { tokio::time::timeout(patience, serving).await });
        runtime.shutdown_background();
    }
}
