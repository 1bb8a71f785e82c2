//! From a configuration to loaded networks and an embedded vocabulary: what `run`, `demo`, `detect` and `bench` share.

use std::fs::File;
use std::io::Read;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};
use tracing::{debug, info, warn};

use crate::clip::{ClipError, Sight, TextTower};
use crate::config::{Config, Heads, Scoring};
use crate::detect::Detector;
use crate::engine::{self, Engine, Options};
use crate::heads::{Interaction, Method, Scorer};
use crate::mqtt::Origin;
use crate::pack::Pack;
use crate::pipeline::Networks;
use crate::vocabulary::{Shelf, Vocabulary};

/// A pack and the engine that runs it.
pub struct Loaded {
    pub pack: Pack,
    pub engine: Box<dyn Engine>,
    pub options: Options,
    /// Where embedded words are kept from one start to the next.
    shelf: Option<Shelf>,
}

impl Loaded {
    /// Opens the configured pack and engine.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let pack = Pack::open(&config.pack.path)?.with_input(config.scoring.input);
        let options = Options { prepack: config.pack.prepack, ..Options::of(config.pack.threads) };
        Ok(Self { pack, engine: engine::engine(config.pack.engine), options, shelf: None })
    }

    /// With embedded words kept in `folder`.
    pub fn keeping(mut self, folder: Option<PathBuf>) -> Self {
        let encoder = self.pack.text_identity(self.engine.name());
        self.shelf = folder.zip(encoder).map(|(folder, encoder)| {
            // Kernels round differently, but threads do not.
            let encoder = format!("{encoder} on {}", self.engine.describe(Options::of(1)));
            Shelf::new(&folder.join("words.safetensors"), encoder)
        });
        self
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

    /// The words, and what runs on every frame. One after the other, so that there is never more in memory than while it
    /// runs.
    pub fn load(&self, config: &Config) -> anyhow::Result<(Networks, Vocabulary)> {
        let words = self.vocabulary(config, None)?;
        Ok((self.networks(config)?, words))
    }

    /// Embeds the words that `previous` does not hold, nor, without a previous, an earlier start has left; if there are
    /// any, the text tower is loaded for this and let go again.
    pub fn vocabulary(&self, config: &Config, previous: Option<&Vocabulary>) -> anyhow::Result<Vocabulary> {
        let shelf = self.shelf.as_ref().filter(|_| previous.is_none());
        let embed = |phrases: &[String]| {
            if let Some(rows) = shelf.and_then(|shelf| shelf.rows(phrases)) {
                debug!(phrases = phrases.len(), "embedded by an earlier start");
                return Ok(rows);
            }
            let mut tower = self.text_tower()?;
            let started = Instant::now();
            let rows = tower.embed(phrases);
            debug!(phrases = phrases.len(), took = ?started.elapsed(), "embedded");
            rows
        };
        Ok(Vocabulary::build(config, &self.pack, previous, embed)?)
    }

    /// Keeps embedded words for the next start.
    pub fn keep(&self, vocabulary: &Vocabulary) {
        if let Some(Err(error)) = self.shelf.as_ref().map(|shelf| shelf.keep(vocabulary)) {
            warn!(%error, "the embedded words cannot be kept in the state folder: the next start embeds them anew");
        }
    }

    /// Loads what embeds phrases.
    pub fn text_tower(&self) -> Result<TextTower, ClipError> {
        TextTower::open(&self.pack, &*self.engine, self.options)
    }

    /// Loads what runs on every frame.
    pub fn networks(&self, config: &Config) -> anyhow::Result<Networks> {
        let Scoring { regions, small, .. } = config.scoring;
        let [width, height] = self.pack.manifest().image.size;
        if let Some(side) = small {
            ensure!(
                side < width.min(height),
                "scoring.small = {side} is no smaller than the {width} × {height} px that the image tower reads anyway; lower \
                 it, or leave it out"
            );
        }
        let (detector, sight) = thread::scope(|scope| {
            let detector = scope.spawn(|| Detector::open(&self.pack, &*self.engine, self.options, config));
            let sight = Sight::open(regions, small, &self.pack, &*self.engine, self.options);
            (detector.join().unwrap_or_else(|panic| resume_unwind(panic)), sight)
        });
        Ok(Networks::new(detector?, sight?, self.scorer(config)?, &config.scoring))
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

#[cfg(all(test, feature = "nano"))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn words_that_an_earlier_start_has_left_need_no_text_tower() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::parse(crate::cmd::demo::CONFIG).unwrap();
        let open = |config: &Config| Loaded::open(config).unwrap().keeping(Some(folder.path().into()));
        let nano = open(&config);
        let words = nano.vocabulary(&config, None).unwrap();
        nano.keep(&words);
        // The same pack, of which nothing but the manifest is left.
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/models/nano/pack.toml");
        let pack = folder.path().join("pack");
        fs::create_dir(&pack).unwrap();
        fs::copy(manifest, pack.join("pack.toml")).unwrap();
        config.pack.path = pack.clone();
        let left = open(&config).vocabulary(&config, None).unwrap();
        assert_eq!((left.labels(), left.id()), (words.labels(), words.id()));
        let missing = |config: &Config| {
            let error = format!("{:#}", open(config).vocabulary(config, None).unwrap_err());
            assert!(error.contains("is missing"), "{error}");
        };
        // Another tokenizer makes other embeddings.
        let text = fs::read_to_string(manifest).unwrap();
        fs::write(pack.join("pack.toml"), text.replace("tokenizer.json\" = \"9", "tokenizer.json\" = \"8"))
            .unwrap();
        missing(&config);
        fs::write(pack.join("pack.toml"), text).unwrap();
        open(&config).vocabulary(&config, None).unwrap();
        config.actions[0].phrases.push("a person who does something else".into());
        missing(&config);
    }
}
