//! What every handler is given: the configuration in effect, a hold on the pipeline, how things went.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::auth::Auth;
use super::samples::Samples;
use crate::clock::Clock;
use crate::config::Config;
use crate::mqtt::Publisher;
use crate::pipeline::Control;
use crate::vocabulary::Vocabulary;

/// What the page is made of when the daemon starts.
pub struct Parts {
    pub config: Config,
    pub vocabulary: Arc<Vocabulary>,
    /// What runs the networks, in a few words.
    pub engine: String,
    pub control: Control,
    pub publisher: Publisher,
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
        let Parts { config, vocabulary, engine, control, publisher, clock } = parts;
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
            clock,
            auth: Auth::new(),
            samples: Samples::default(),
            analysed: AtomicU64::new(0),
        }))
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
