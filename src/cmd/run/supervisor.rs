//! Keeps the daemon as it is told to be: by its configuration file, while it changes, and by commands.
//!
//! A thread beside the pipeline. All that takes long (reading, embedding, loading models) happens here, the pipeline
//! swaps in what is ready. Whatever is wrong with what it is told changes nothing, and is reported.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tracing::{error, info, warn};

use super::feeds::Feeds;
use super::kept::Kept;
use super::watch::{ModelFiles, Watch};
use crate::camera::Stop;
use crate::clip::TextTower;
use crate::clock::Clock;
use crate::cmd::assemble::Loaded as Models;
use crate::cmd::state;
use crate::cmd::words::{self, Draft};
use crate::config::{Changes, Config, Loaded, Overlay};
use crate::mqtt::{Command, Publisher, Redial, Request};
use crate::pipeline::{Control, Update};
use crate::render::Canvas;
use crate::vocabulary::Vocabulary;
use crate::web::{Order, Page, Settings};

/// Commands and orders that may wait.
const WAITING: usize = 8;
/// At least so often the file, the signal and the stop are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A picture must come in this time.
const PICTURE: Duration = Duration::from_secs(5);

/// What is wrong, each thing by itself.
type Problems = Vec<String>;

/// What the supervisor is told.
pub(super) enum Message {
    /// Over MQTT.
    Command(Request),
    /// By the page.
    Order(Order),
}

/// A way to the supervisor, and its end of it.
pub(super) fn channel() -> (SyncSender<Message>, Receiver<Message>) {
    sync_channel(WAITING)
}

/// What runs, and by what it can be changed.
pub(super) struct Supervisor {
    pub sender: SyncSender<Message>,
    pub messages: Receiver<Message>,
    pub file: PathBuf,
    pub watch: Watch,
    /// As it was last read without an error.
    pub loaded: Loaded,
    /// In effect: as loaded, but for what waits for a restart.
    pub config: Config,
    /// When that was.
    pub since: Timestamp,
    pub models: Models,
    /// What `models` were loaded from.
    pub model_files: ModelFiles,
    pub vocabulary: Arc<Vocabulary>,
    /// Words that were tried last: as somebody types, most of them are the same.
    pub tried: Option<Arc<Vocabulary>>,
    /// Of `models`, while words are being tried.
    pub text_tower: Kept<TextTower>,
    pub feeds: Feeds,
    pub control: Control,
    pub publisher: Publisher,
    pub redial: Redial,
    pub page: Page,
    /// How the page is served.
    pub web: Settings,
    /// Where the vocabulary set over MQTT is kept; `None`: nowhere.
    pub words: Option<PathBuf>,
    pub clock: Arc<dyn Clock>,
    /// Set by SIGHUP.
    pub hangup: Arc<AtomicBool>,
}

impl Supervisor {
    /// Does what it is told until `stop` is set.
    pub fn run(mut self, stop: &Stop) {
        self.models.keep(&self.vocabulary);
        self.listen();
        self.report(&Ok(self.restart_needed()));
        while !stop.is_set() {
            self.look();
        }
    }

    fn look(&mut self) {
        let mqtt = self.config.mqtt.clone();
        match self.messages.recv_timeout(LOOK) {
            Ok(Message::Command(Request { name, id, command })) => {
                let result = self.obey(command).map_err(|problems| problems.join("\n"));
                match &result {
                    Ok(_) => info!(command = name, "obeyed"),
                    Err(error) => warn!(command = name, error, "not obeyed"),
                }
                self.publisher.answer(&name, id.as_ref(), result);
            }
            Ok(Message::Order(order)) => self.meet(order),
            Err(_) => {} // nothing in this time
        }
        if self.hangup.swap(false, Ordering::Relaxed) || self.watch.is_due(self.clock.monotonic()) {
            _ = self.reload(); // it is reported there
        }
        self.text_tower.look(self.clock.monotonic());
        if mqtt != self.config.mqtt {
            self.listen();
        }
    }

    /// Has commands come, if they are wanted.
    fn listen(&self) {
        let sender = self.sender.clone();
        let take = move |request| sender.try_send(Message::Command(request)).is_ok();
        self.publisher.obey(self.config.mqtt.commands.then_some(take));
    }

    fn obey(&mut self, command: Command) -> Result<Json, Problems> {
        match command {
            Command::Reload => self.reload().map(|changes| json!({"changes": changes.to_string()})),
            Command::Pause(camera) => self.pause(camera.as_deref(), true),
            Command::Resume(camera) => self.pause(camera.as_deref(), false),
            Command::Snapshot(camera) => self.snapshot(camera),
            Command::Vocabulary { actions, background } => {
                self.vocabulary(Some(Overlay { since: self.clock.utc(), actions, background }))
            }
            Command::FilesVocabulary => self.vocabulary(None),
        }
    }

    /// Reads the file again and goes by it.
    fn reload(&mut self) -> Result<Changes, Problems> {
        self.watch.reading(self.clock.monotonic());
        let overlay = self.loaded.overlay().cloned();
        let result = crate::cmd::config::read(&self.file, overlay)
            .map_err(|errors| errors.problems.iter().map(ToString::to_string).collect())
            .and_then(|loaded| self.apply(loaded));
        self.report(&result);
        result
    }

    /// Sets the vocabulary, or goes back to the file's.
    pub(super) fn vocabulary(&mut self, overlay: Option<Overlay>) -> Result<Json, Problems> {
        let loaded = self
            .loaded
            .overlaid(overlay)
            .map_err(|errors| errors.problems.iter().map(ToString::to_string).collect::<Problems>())?;
        // On disk before it is in effect, so that it is either both or neither.
        let draft = match (&self.words, loaded.overlay()) {
            (Some(path), Some(overlay)) => Some(Draft::write(path, overlay).map_err(one)?),
            _ => None,
        };
        let result = self.apply(loaded);
        match (draft, &result, &self.words) {
            (Some(draft), Ok(_), _) => draft.keep().map_err(one)?,
            (Some(draft), Err(_), _) => draft.discard(),
            (None, Ok(_), Some(path)) => words::forget(path).map_err(one)?,
            (None, ..) => {}
        }
        let changes = result?;
        self.report(&Ok(changes));
        Ok(json!({"vocabulary": self.vocabulary.id(), "persistent": self.words.is_some()}))
    }

    pub(super) fn pause(&self, camera: Option<&str>, pause: bool) -> Result<Json, Problems> {
        if let Some(name) = camera {
            self.known(name)?;
        }
        let names = self.config.cameras.iter().map(|known| known.name.as_str());
        let names: Vec<_> = names.filter(|name| camera.is_none_or(|camera| camera == *name)).collect();
        for gate in names.iter().filter_map(|name| self.feeds.gate(name)) {
            if pause { gate.pause() } else { gate.resume() }
        }
        Ok(json!({"cameras": names}))
    }

    fn snapshot(&self, camera: Option<String>) -> Result<Json, Problems> {
        if !self.config.mqtt.snapshots {
            return Err(one("snapshots are off; turn them on with mqtt.snapshots"));
        }
        let camera = match (camera, &self.config.cameras[..]) {
            (Some(name), _) => name,
            (None, [only]) => only.name.clone(),
            (None, _) => {
                return Err(one(format!("say which camera; there are {}", self.config.camera_names())));
            }
        };
        self.known(&camera)?;
        let picture = self.control.picture(&camera, PICTURE).map_err(one)?;
        let jpeg = Canvas::default().jpeg(&picture, usize::MAX).map_err(one)?;
        let bytes = jpeg.len();
        if !self.publisher.snapshot(&camera, jpeg) {
            return Err(one("the connection was lost"));
        }
        Ok(json!({"camera": camera, "bytes": bytes}))
    }

    pub(super) fn known(&self, camera: &str) -> Result<(), Problems> {
        self.config.known_camera(camera).map(drop).map_err(one)
    }

    /// Makes ready what `loaded` wants otherwise, and has the pipeline swap it in.
    pub(super) fn apply(&mut self, loaded: Loaded) -> Result<Changes, Problems> {
        let mut changes = Changes::between(&self.config, &loaded.config);
        let config = self.config.lasting(loaded.config.clone());
        // Before they are read: what is written meanwhile is news the next time.
        let model_files = ModelFiles::of(&config);
        let another_pack = model_files.pack != self.model_files.pack;
        changes.networks |= another_pack;
        changes.words |= another_pack;
        changes.scorer |= model_files != self.model_files;
        let open = || anyhow::Ok(Models::open(&config)?.keeping(state::folder()));
        let models = changes.networks.then(open).transpose().map_err(one)?;
        let used = models.as_ref().unwrap_or(&self.models);
        let vocabulary = if changes.words || changes.networks {
            let previous = (!another_pack).then_some(&*self.vocabulary);
            Arc::new(used.vocabulary(&config, previous).map_err(one)?)
        } else {
            Arc::clone(&self.vocabulary)
        };
        let networks = changes.networks.then(|| used.networks(&config)).transpose().map_err(one)?;
        let scorer = (changes.scorer && !changes.networks).then(|| used.scorer(&config));
        let scorer = scorer.transpose().map_err(one)?;
        if changes.mqtt {
            // Under the topic that it was asked for; `look` asks anew.
            self.publisher.obey(None::<fn(Request) -> bool>);
            self.redial.redial(&config.mqtt).map_err(one)?;
        }
        let open = changes.added.iter().chain(&changes.reopened).filter_map(|name| config.camera(name));
        let update = Update {
            vocabulary: Arc::clone(&vocabulary),
            networks,
            scorer,
            feeds: open.map(|camera| self.feeds.feed(camera, &config.node)).collect(),
            config: config.clone(),
        };
        self.control.update(update).map_err(one)?;
        changes.removed.iter().for_each(|camera| self.feeds.remove(camera));
        (self.loaded, self.config, self.vocabulary) = (loaded, config, vocabulary);
        self.model_files = model_files;
        if changes.web {
            self.web.set(&self.config.web);
        }
        if let Some(models) = models {
            self.page.runs_on(models.engine.describe(models.options));
            self.models = models;
            self.text_tower = Kept::default();
        }
        self.models.keep(&self.vocabulary);
        self.since = self.clock.utc();
        Ok(changes)
    }

    /// What of the configuration that was read is not in effect.
    fn restart_needed(&self) -> Changes {
        Changes::between(&self.config, &self.loaded.config)
    }

    /// Says in the log and on MQTT how the configuration stands. Holds no value of it but those in error messages.
    pub(super) fn report(&self, result: &Result<Changes, Problems>) {
        let mut status = json!({
            "schema": 1,
            "ok": result.is_ok(),
            "time": self.clock.utc().to_string(),
            "file": self.file.display().to_string(),
            // Of what is in effect.
            "hash": self.loaded.hash(),
            "loaded": self.since.to_string(),
            "vocabulary": self.vocabulary.id(),
            "vocabulary_set": self.loaded.overlay().map(|overlay| overlay.since.to_string()),
            "restart": self.restart_needed().restart,
        });
        match result {
            Ok(changes) => {
                info!(%changes, "the configuration is in effect");
                let warnings: Vec<_> = self.loaded.warnings.iter().map(ToString::to_string).collect();
                warnings.iter().for_each(|warning| warn!("{warning}"));
                status["warnings"] = json!(warnings);
            }
            Err(problems) => {
                error!(
                    since = %self.since, problems = problems.len(),
                    "the configuration cannot be used; the one before stays in effect"
                );
                problems.iter().for_each(|problem| error!("{problem}"));
                status["errors"] = json!(problems);
            }
        }
        self.publisher.configuration(&status);
    }
}

fn one(problem: impl std::fmt::Display) -> Problems {
    vec![format!("{problem:#}")]
}
