//! What Home Assistant is told of this box: one retained message that describes all of it (MQTT device discovery).
//!
//! Home Assistant forgets a component only when it is told so by name, and what was described before this process
//! began nobody here knows: so the description that stands on the broker is read back, and what it holds too many is
//! told to be gone.

mod description;
mod discovery;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tracing::error;

use super::listeners::Incoming;
use super::outbox::Shared;
use super::publisher::Publisher;
use crate::config::Config;
use description::{Description, Told};

/// When Home Assistant has started, every box on its broker wants to describe itself: each within this time.
const REBIRTH: Duration = Duration::from_secs(5);
/// The largest description, bytes: a thousand actions. It comes back from the broker, so it must stay below what is
/// taken in from there.
const MOST_BYTES: usize = 960 * 1024;

/// Tells Home Assistant of the box.
pub struct HomeAssistant {
    publisher: Publisher,
    told: Arc<Mutex<Told>>,
}

impl HomeAssistant {
    /// Says nothing yet.
    pub fn new(publisher: Publisher) -> Self {
        Self { publisher, told: Arc::default() }
    }

    /// Describes the box as `config` has it, or takes the description back.
    pub fn describe(&self, config: &Config) {
        let topics = self.publisher.topics();
        let wanted = (config.homeassistant.enabled == Some(true)).then(|| Description::new(config, &topics));
        let mut told = lock(&self.told);
        if let Some(before) = told.replace(wanted) {
            self.publisher.ignore(before.topic());
            self.publisher.ignore(before.birth_topic());
            if told.topic() != Some(before.topic()) {
                self.publisher.stand(before.topic(), Vec::new());
            }
        }
        if config.homeassistant.enabled == Some(false) {
            self.publisher.stand(&discovery::topic(config), Vec::new());
        }
        if let Some(description) = told.description() {
            self.listen(description);
            stand(&self.publisher, &told);
        }
    }

    fn listen(&self, description: &Description) {
        // Whoever listens must not keep the connection's memory alive.
        let handler = |hear: fn(&Publisher, &Mutex<Told>, &Incoming)| {
            let (shared, told) = (Arc::downgrade(&self.publisher.0), Arc::clone(&self.told));
            move |message: Incoming| {
                if let Some(shared) = shared.upgrade() {
                    hear(&Publisher(shared), &told, &message);
                }
            }
        };
        let both = self.publisher.listen(description.topic(), handler(read_back))
            && self.publisher.listen(description.birth_topic(), handler(birth));
        if !both {
            error!("too many topics are listened to; Home Assistant's start will not be heard");
        }
    }
}

/// What stands on the broker, as we or an earlier process left it.
fn read_back(publisher: &Publisher, told: &Mutex<Told>, message: &Incoming) {
    let mut told = lock(told);
    if message.retained && told.topic() == Some(&message.topic) && told.learn(&message.payload) {
        stand(publisher, &told);
    }
}

/// A birth that is retained says only that there was one; a new connection is told everything as it is.
fn birth(publisher: &Publisher, told: &Mutex<Told>, message: &Incoming) {
    let topic = lock(told).topic().map(str::to_owned);
    if let (false, b"online", Some(topic)) = (message.retained, &message.payload[..], topic) {
        let shared: Weak<Shared> = Arc::downgrade(&publisher.0);
        // The connection's thread, which calls us, runs tasks.
        tokio::spawn(async move {
            tokio::time::sleep(REBIRTH.mul_f64(rand::random())).await;
            if let Some(shared) = shared.upgrade() {
                Publisher(shared).stand_again(&topic);
            }
        });
    }
}

fn stand(publisher: &Publisher, told: &Told) {
    let Some((topic, payload)) = told.message() else { return };
    if payload.len() > MOST_BYTES {
        let bytes = payload.len();
        error!(bytes, "too many cameras and actions to describe to Home Assistant; it is told nothing");
        return;
    }
    publisher.stand(topic, payload);
}

/// A panic elsewhere leaves it as usable as before: no method leaves it half changed.
fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
