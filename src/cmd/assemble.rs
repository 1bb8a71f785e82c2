//! From a configuration to loaded networks and an embedded vocabulary: what `run`, `demo`, `detect` and `bench` share.

use crate::clip::{ImageTower, TextTower};
use crate::config::Config;
use crate::detect::Detector;
use crate::engine::{self, Engine, Options};
use crate::heads::Scorer;
use crate::mqtt::Origin;
use crate::pack::Pack;
use crate::pipeline::Networks;
use crate::vocabulary::Vocabulary;

/// A pack and the engine that runs it.
pub struct Loaded {
    pub pack: Pack,
    pub engine: Box<dyn Engine>,
    pub options: Options,
}

impl Loaded {
    /// Opens the configured pack and engine.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let pack = Pack::open(&config.pack.path)?;
        let threads = match config.pack.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        Ok(Self { pack, engine: engine::engine(config.pack.engine), options: Options { threads } })
    }

    /// One line about what will run where.
    pub fn describe(&self) -> String {
        format!("pack {} on {}", self.pack.identity(), self.engine.describe(self.options))
    }

    /// Who speaks, as events say it.
    pub fn origin(&self, config: &Config, vocabulary: &Vocabulary) -> Origin {
        Origin {
            node: config.node.name.clone(),
            pack: self.pack.identity(),
            vocabulary: vocabulary.id().to_owned(),
        }
    }

    /// Embeds the words; the text tower is loaded for this and let go again.
    pub fn vocabulary(&self, config: &Config) -> anyhow::Result<Vocabulary> {
        let mut tower = TextTower::open(&self.pack, &*self.engine, self.options)?;
        Ok(Vocabulary::build(config, &self.pack, |phrases| tower.embed(phrases))?)
    }

    /// Loads what runs on every frame.
    pub fn networks(&self, config: &Config) -> anyhow::Result<Networks> {
        let detector = Detector::open(&self.pack, &*self.engine, self.options, config)?;
        let tower = ImageTower::open(&self.pack, &*self.engine, self.options)?;
        let scale = config.scoring.logit_scale.unwrap_or(self.pack.manifest().embedding.logit_scale);
        Ok(Networks::new(detector, tower, Scorer::new(config.scoring.heads, scale), config.scoring.crop))
    }
}
