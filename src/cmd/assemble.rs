//! From a configuration to loaded networks and an embedded vocabulary: what `run`, `demo`, `detect` and `bench` share.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};
use tracing::info;

use crate::clip::{ClipError, Sight, TextTower};
use crate::config::{Config, Heads};
use crate::detect::Detector;
use crate::engine::{self, Engine, Options};
use crate::heads::{Interaction, Method, Scorer};
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
        let options = Options::of(config.pack.threads);
        Ok(Self { pack, engine: engine::engine(config.pack.engine), options })
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

    /// Embeds the words that `previous` does not hold; if there are any, the text tower is loaded for this and let go
    /// again.
    pub fn vocabulary(&self, config: &Config, previous: Option<&Vocabulary>) -> anyhow::Result<Vocabulary> {
        let embed = |phrases: &[String]| self.text_tower()?.embed(phrases);
        Ok(Vocabulary::build(config, &self.pack, previous, embed)?)
    }

    /// Loads what embeds phrases.
    pub fn text_tower(&self) -> Result<TextTower, ClipError> {
        TextTower::open(&self.pack, &*self.engine, self.options)
    }

    /// Loads what runs on every frame.
    pub fn networks(&self, config: &Config) -> anyhow::Result<Networks> {
        let detector = Detector::open(&self.pack, &*self.engine, self.options, config)?;
        let sight = Sight::open(config.scoring.regions, &self.pack, &*self.engine, self.options)?;
        Ok(Networks::new(detector, sight, self.scorer(config)?, &config.scoring))
    }

    /// Loads the heads, which must be made for the pack's encoder.
    pub fn scorer(&self, config: &Config) -> anyhow::Result<Scorer> {
        let embedding = &self.pack.manifest().embedding;
        let (bytes, name) = match &config.scoring.heads {
            Heads::None => return Ok(self.plain(config, Method::Fusion)),
            Heads::Baseline => return Ok(self.plain(config, Method::Baseline)),
            Heads::Pack => match self.pack.heads()? {
                None => return Ok(self.plain(config, Method::Fusion)),
                Some(bytes) => (bytes, format!("heads of pack {}", self.pack.identity())),
            },
            Heads::File(path) => {
                let name = format!("heads {}", path.display());
                (read_bounded(path).with_context(|| name.clone())?.into(), name)
            }
        };
        let heads = Interaction::read(&bytes).with_context(|| name.clone())?;
        heads
            .check(&config.scoring.regions.space(&embedding.space), embedding.width)
            .with_context(|| name.clone())?;
        let metadata = heads.metadata();
        info!(units = metadata.units.len(), tau = metadata.tau, "scoring with {name}");
        let scale = config.scoring.logit_scale.unwrap_or(metadata.tau.recip());
        Ok(Scorer::new(Method::Interaction(Box::new(heads)), scale))
    }

    fn plain(&self, config: &Config, method: Method) -> Scorer {
        Scorer::new(method, config.scoring.logit_scale.unwrap_or(self.pack.manifest().embedding.logit_scale))
    }
}

/// Larger than any heads could be.
const MOST_HEADS: u64 = 1 << 30;

/// The bytes of a heads file, if there are not absurdly many of them.
pub fn read_bounded(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_HEADS + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= MOST_HEADS, "larger than 1 GiB: this is no heads file");
    Ok(bytes)
}
