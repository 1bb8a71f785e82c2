//! What every handler is given: the configuration in effect, a hold on the pipeline, how things went.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};

use super::auth::Auth;
use super::cameras::Cameras;
use super::events::Timeline;
use super::live::Live;
use super::orders::Orders;
use super::problem::Problem;
use super::samples::Samples;
use super::scores::Histograms;
use crate::clock::Clock;
use crate::config::Config;
use crate::mqtt::Publisher;
use crate::pipeline::Control;
use crate::vocabulary::Vocabulary;

/// Who may wait for a picture at a time; the threads for what takes its time are few.
const LOOKING: usize = 2;

/// What the page is made of when the daemon starts.
pub struct Parts {
    pub config: Config,
    pub vocabulary: Arc<Vocabulary>,
    /// What runs the networks, in a few words.
    pub engine: String,
    pub control: Control,
    pub publisher: Publisher,
    pub timeline: Timeline,
    pub orders: Orders,
    pub clock: Arc<dyn Clock>,
}

/// What handlers and the observer share. Cheap to clone.
#[derive(Clone)]
pub struct Page(Arc<Shared>);

/// See [`Page`].
pub struct Shared {
    in_effect: RwLock<InEffect>,
    /// Pictures and changes, between two frames.
    pub control: Control,
    /// How delivery goes.
    pub publisher: Publisher,
    pub timeline: Timeline,
    /// Changes that only the supervisor can make.
    pub(super) orders: Orders,
    pub(super) cameras: Cameras,
    pub(super) live: Live,
    pub(super) scores: Histograms,
    /// Held by the one whose words are being tried.
    pub(super) trying: Mutex<()>,
    /// For those who wait for a camera's next picture.
    pub(super) looking: Semaphore,
    pub clock: Arc<dyn Clock>,
    /// Who may look.
    pub(super) auth: Auth,
    pub(super) samples: Samples,
    /// Milliseconds on the clock, when a frame was analysed last; 0: none was.
    analysed: AtomicU64,
}

/// What the pipeline goes by now.
#[derive(Clone)]
pub struct InEffect {
    pub config: Arc<Config>,
    /// Content hash of the vocabulary.
    pub vocabulary: String,
    /// Name and version of the pack.
    pub pack: String,
    /// What runs the networks, in a few words.
    pub engine: String,
}

impl Page {
    pub fn new(parts: Parts) -> Self {
        let Parts { config, vocabulary, engine, control, publisher, timeline, orders, clock } = parts;
        let (cameras, live, scores) = (Cameras::default(), Live::default(), Histograms::default());
        cameras.reconfigure(&config);
        live.reconfigure(&config);
        scores.reconfigure(&config, &vocabulary);
        let in_effect = InEffect {
            config: Arc::new(config),
            vocabulary: vocabulary.id().to_owned(),
            pack: vocabulary.pack().to_owned(),
            engine,
        };
        let in_effect = RwLock::new(in_effect);
        Self(Arc::new(Shared {
            in_effect,
            control,
            publisher,
            timeline,
            orders,
            cameras,
            live,
            scores,
            trying: Mutex::default(),
            looking: Semaphore::new(LOOKING),
            clock,
            auth: Auth::new(),
            samples: Samples::default(),
            analysed: AtomicU64::new(0),
        }))
    }

    /// Does what takes its time on a thread for that.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let page = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&page)).await;
        done.map_err(|_| Problem::unavailable("something went wrong here; the log says what"))?
    }
}

impl Deref for Page {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// What the pipeline goes by now.
    pub fn in_effect(&self) -> InEffect {
        self.in_effect.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The configuration that the pipeline goes by now.
    pub fn config(&self) -> Arc<Config> {
        self.in_effect().config
    }

    /// The pipeline goes by another configuration from now on.
    pub(super) fn reconfigured(&self, config: &Config, vocabulary: &Vocabulary) {
        let mut in_effect = self.in_effect.write().unwrap_or_else(PoisonError::into_inner);
        in_effect.config = Arc::new(config.clone());
        vocabulary.id().clone_into(&mut in_effect.vocabulary);
        vocabulary.pack().clone_into(&mut in_effect.pack);
        drop(in_effect);
        self.cameras.reconfigure(config);
        self.live.reconfigure(config);
        self.scores.reconfigure(config, vocabulary);
    }

    /// A frame was analysed.
    pub(super) fn analysed(&self) {
        let now = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        self.analysed.store(now, Ordering::Relaxed);
    }

    /// How long ago a frame was analysed; `None`: none was.
    pub(super) fn since_analysed(&self) -> Option<Duration> {
        let then = Duration::from_millis(self.analysed.load(Ordering::Relaxed));
        (!then.is_zero()).then(|| self.clock.monotonic().saturating_sub(then))
    }

    /// Other networks are run, or by something else.
    pub fn runs_on(&self, engine: String) {
        self.in_effect.write().unwrap_or_else(PoisonError::into_inner).engine = engine;
    }
}
