//! What every handler is given: the configuration in effect, a hold on the pipeline, how things went.

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

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
        Self(Arc::new(Shared { in_effect, control, publisher, clock }))
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

    /// Other networks are run, or by something else.
    pub fn runs_on(&self, engine: String) {
        self.in_effect.write().unwrap_or_else(PoisonError::into_inner).engine = engine;
    }
}
