//! The client: a thread that keeps a session with the broker, whatever happens to it.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rumqttc::ConnectReturnCode;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio::{runtime, select};
use tracing::{debug, error, info, warn};

use super::credentials::CredentialsError;
use super::dial::Dial;
use super::fault::{self, Fault};
use super::outbox::{Outbox, Shared};
use super::payload::Origin;
use super::publisher::Publisher;
use super::queue::Limits;
use super::session::{self, Ended};
use super::spool::Spool;
use super::tls::TlsError;
use super::topic::Topics;
use crate::clock::Clock;
use crate::config;

/// Why the client could not start.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("topic {topic}: mqtt.base_topic and node.name must not be empty or contain + or #")]
    Topic { topic: String },
    #[error("the MQTT thread did not start: {0}")]
    Thread(#[from] io::Error),
}

/// How long to wait before the next attempt to reach a broker that is away: twice as long each time, each time a
/// random half less at most, so that many boxes do not return to a restarted broker all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    /// Before the second attempt.
    pub first: Duration,
    /// At most.
    pub cap: Duration,
    /// A connection that lasted this long makes the next wait start over at `first`.
    pub stable: Duration,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), cap: Duration::from_secs(60), stable: Duration::from_secs(10) }
    }
}

impl Reconnect {
    /// After `failures` failed attempts in a row, at least one. `jitter` is in 0..1.
    fn delay(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.cap);
        full.mul_f64(1.0 - jitter / 2.0)
    }
}

/// The thread that talks to the broker. Dropped without [`Mqtt::shutdown`] it breaks the connection off as a crash
/// would, and the broker announces the last will.
pub struct Mqtt {
    /// When to give up, once shutting down has begun.
    closing: watch::Sender<Option<Instant>>,
    thread: JoinHandle<()>,
    redial: Redial,
    shared: Arc<Shared>,
    _spool: Option<Spool>,
}

/// Has the client connect in another way.
#[derive(Clone)]
pub struct Redial {
    dial: watch::Sender<Arc<Dial>>,
    shared: Arc<Shared>,
}

impl Redial {
    /// Breaks the connection off, if there is one, and connects as `settings` have it; nothing that waits is lost.
    ///
    /// # Errors
    /// As [`Mqtt::start`]; nothing is changed then.
    pub fn redial(&self, settings: &config::Mqtt) -> Result<(), MqttError> {
        let node = self.shared.outbox().origin.node.clone();
        let topics = topics(settings, &node)?;
        let dial = Dial::new(settings, &node, &topics);
        dial.options()?;
        self.shared.outbox().topics = topics;
        self.dial.send_replace(Arc::new(dial));
        Ok(())
    }
}

impl Mqtt {
    /// Starts the client, with a spool if `mqtt.spool.path` is set. It returns at once and connects behind; what is
    /// published meanwhile waits.
    pub fn start(
        settings: &config::Mqtt,
        origin: Origin,
        clock: Arc<dyn Clock>,
    ) -> Result<(Publisher, Self), MqttError> {
        Self::start_with(settings, origin, clock, Reconnect::default())
    }

    /// As [`Mqtt::start`], with waits of one's own.
    pub fn start_with(
        settings: &config::Mqtt,
        origin: Origin,
        clock: Arc<dyn Clock>,
        reconnect: Reconnect,
    ) -> Result<(Publisher, Self), MqttError> {
        let topics = topics(settings, &origin.node)?;
        let dial = Dial::new(settings, &origin.node, &topics);
        dial.options()?;
        let (dial, dials) = watch::channel(Arc::new(dial));
        let dialler = Dialler::new(dials, reconnect);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared::new(Outbox::new(topics, origin, limits(settings)), clock));
        let spool = spool(settings, &shared)?;
        let (closing, closed) = watch::channel(None);
        let thread = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("mqtt".into()).spawn(move || {
                runtime.block_on(async {
                    select! {
                        () = deadline(closed.clone()) => {}
                        () = dialler.run(&shared, closed.clone()) => {}
                    }
                });
                // A name look-up may hang for longer than anybody wants to wait.
                runtime.shutdown_background();
            })?
        };
        let redial = Redial { dial, shared: Arc::clone(&shared) };
        Ok((Publisher(Arc::clone(&shared)), Self { closing, thread, redial, shared, _spool: spool }))
    }

    /// By which the way to the broker can be changed from another thread.
    pub fn redial(&self) -> Redial {
        self.redial.clone()
    }

    /// Delivers what is queued, says `offline` and disconnects; gives up after `patience`, and then the broker announces
    /// the last will. Returns how many events were left unacknowledged.
    pub fn shutdown(self, patience: Duration) -> usize {
        self.closing.send_replace(Some(Instant::now() + patience));
        self.shared.bell.notify_one();
        if self.thread.join().is_err() {
            error!("the MQTT thread panicked");
        }
        self.shared.outbox().unsent()
    }
}

fn limits(settings: &config::Mqtt) -> Limits {
    let config::Spool { max_events, max_bytes, max_age, .. } = settings.spool;
    let volatile = settings.queue;
    Limits { volatile, events: max_events, bytes: max_bytes, age: max_age.into() }
}

fn spool(settings: &config::Mqtt, shared: &Arc<Shared>) -> io::Result<Option<Spool>> {
    let path = settings.spool.path.clone().filter(|_| settings.spool.enabled);
    path.map(|path| Spool::start(path, Arc::clone(shared))).transpose()
}

fn topics(settings: &config::Mqtt, node: &str) -> Result<Topics, MqttError> {
    let topics = Topics::new(&settings.base_topic, node);
    let topic = topics.availability();
    if topic.contains(['+', '#']) || settings.base_topic.is_empty() || node.is_empty() {
        return Err(MqttError::Topic { topic });
    }
    Ok(topics)
}

/// Returns when time is up, or when nobody is left to set it.
async fn deadline(mut closing: watch::Receiver<Option<Instant>>) {
    let at = closing.wait_for(Option::is_some).await.map_or(None, |at| *at);
    if let Some(at) = at {
        sleep_until(at).await;
    }
}

/// What was last said about the connection, so that it is said once and not at every attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Nothing,
    Connected,
    /// It cannot be reached, which this may remedy.
    Away(&'static str),
    /// There is nothing to connect with.
    Unprepared,
    Refused(ConnectReturnCode),
}

struct Dialler {
    dial: Arc<Dial>,
    broker: String,
    dials: watch::Receiver<Arc<Dial>>,
    reconnect: Reconnect,
    log: Log,
}

impl Dialler {
    fn new(dials: watch::Receiver<Arc<Dial>>, reconnect: Reconnect) -> Self {
        let dial = Arc::clone(&dials.borrow());
        Self { broker: dial.broker(), dial, dials, reconnect, log: Log::Nothing }
    }

    /// Connected by the latest settings, until we are closing and all is delivered.
    async fn run(mut self, shared: &Shared, closing: watch::Receiver<Option<Instant>>) {
        let mut dials = self.dials.clone();
        loop {
            self.dial = Arc::clone(&dials.borrow_and_update());
            (self.broker, self.log) = (self.dial.broker(), Log::Nothing);
            select! {
                () = self.keep_connected(shared, closing.clone()) => return,
                Ok(()) = dials.changed() => info!("the settings of MQTT have changed; connecting anew"),
            }
        }
    }

    /// One session after another, until we are closing and all is delivered.
    async fn keep_connected(&mut self, shared: &Shared, mut closing: watch::Receiver<Option<Instant>>) {
        let mut failures: u32 = 0;
        loop {
            match self.dial.options() {
                Err(error) => self.unprepared(&error),
                Ok(options) => {
                    let (dial, broker, log) = (&self.dial, &self.broker, &mut self.log);
                    let on_connected = || {
                        info!(broker, "connected to the MQTT broker");
                        if dial.trusts_anybody() {
                            warn!(
                                broker,
                                "the MQTT broker's certificate was not looked at \
                                 (mqtt.tls.danger_accept_any_certificate): it may be anybody"
                            );
                        }
                        *log = Log::Connected;
                    };
                    match session::run(options, shared, &closing, on_connected).await {
                        Ended::Farewell => return,
                        Ended::Refused(code) => self.refused(code),
                        Ended::Unreachable(error) => self.away(&self.dial.fault(&error)),
                        Ended::Lost { error, lasted } => {
                            self.away(&Fault::lost(error));
                            if lasted >= self.reconnect.stable {
                                failures = 0;
                            }
                        }
                    }
                }
            }
            failures = failures.saturating_add(1);
            let pause = sleep(self.reconnect.delay(failures, rand::random()));
            let already_closing = closing.borrow().is_some();
            select! {
                () = pause => {}
                // Shutting down is the last chance to deliver, so it does not wait for a long pause to end.
                _ = closing.wait_for(Option::is_some), if !already_closing => failures = 0,
            }
        }
    }

    fn away(&mut self, fault: &Fault) {
        let (broker, Fault { error, remedy }) = (&self.broker, fault);
        match self.log {
            Log::Connected => warn!(broker, error, "lost the MQTT broker; events wait until it is back"),
            // It was said that it is gone, and nothing new is known.
            Log::Away(said) if said == *remedy || *remedy == fault::AWAY => {
                debug!(broker, error, "the MQTT broker is still away");
                return;
            }
            _ => warn!(broker, error, "cannot reach the MQTT broker; {remedy}. Trying on; events wait"),
        }
        self.log = Log::Away(remedy);
    }

    fn unprepared(&mut self, error: &MqttError) {
        let broker = &self.broker;
        if self.log == Log::Unprepared {
            debug!(broker, %error, "still nothing to connect to the MQTT broker with");
        } else {
            error!(broker, "cannot connect to the MQTT broker: {error}. Trying on; events wait");
        }
        self.log = Log::Unprepared;
    }

    fn refused(&mut self, code: ConnectReturnCode) {
        let broker = &self.broker;
        let remedy = fault::refusal(code);
        if self.log == Log::Refused(code) {
            debug!(broker, ?code, "the MQTT broker still refuses");
        } else {
            error!(broker, ?code, "the MQTT broker refuses the connection: {remedy}. Trying on; events wait");
        }
        self.log = Log::Refused(code);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_double_up_to_the_cap_and_never_vanish(failures in 1_u32..10_000, jitter in 0.0..1.0_f64) {
            let reconnect = Reconnect::default();
            let full = (1_u64 << (failures - 1).min(10)).min(60);
            let delay = reconnect.delay(failures, jitter).as_secs_f64();
            prop_assert!(delay <= full as f64 + 1e-9 && delay >= full as f64 / 2.0 - 1e-9, "{delay} of {full}");
        }
    }
}
