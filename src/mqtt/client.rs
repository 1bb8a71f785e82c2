//! The client: a thread that keeps a session with the broker, whatever happens to it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rumqttc::{ConnectReturnCode, LastWill, MqttOptions, QoS};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio::{runtime, select};
use tracing::{debug, error, info, warn};

use super::outbox::{Outbox, Shared};
use super::payload::Origin;
use super::publisher::Publisher;
use super::session::{self, Ended};
use super::topic::Topics;
use crate::clock::Clock;
use crate::config;

/// The longest password that MQTT can carry, bytes.
const MAX_PASSWORD: u64 = 65_535;
/// Broker to us: acknowledgements only.
const MAX_INCOMING: usize = 64 * 1024;
/// Us to broker: more than any payload of ours; `rumqttc` would end the connection over a larger one.
const MAX_OUTGOING: usize = 16 * 1024 * 1024;

/// Why the client could not start.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    #[error("mqtt.password_file {path}: {source}")]
    PasswordFile { path: PathBuf, source: io::Error },
    #[error(
        "mqtt.password_file {path} is empty; write the password into it, or take both it and mqtt.username out"
    )]
    NoPassword { path: PathBuf },
    #[error("mqtt.password_file is set but mqtt.username is not; MQTT has no password without a user name")]
    NoUsername,
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
    shared: Arc<Shared>,
}

impl Mqtt {
    /// Starts the client. It returns at once and connects behind; what is published meanwhile waits.
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
        let topics = Topics::new(&settings.base_topic, &origin.node);
        let topic = topics.availability();
        if topic.contains(['+', '#']) || settings.base_topic.is_empty() || origin.node.is_empty() {
            return Err(MqttError::Topic { topic });
        }
        let dialler = Dialler {
            options: options(settings, &origin.node, &topics)?,
            broker: format!("{}:{}", bracketed(&settings.host), settings.port),
            reconnect,
            log: Log::Nothing,
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared::new(Outbox::new(topics, origin, settings.queue), clock));
        let (closing, closed) = watch::channel(None);
        let thread = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("mqtt".into()).spawn(move || {
                runtime.block_on(async {
                    select! {
                        () = deadline(closed.clone()) => {}
                        () = dialler.keep_connected(&shared, closed.clone()) => {}
                    }
                });
                // A name look-up may hang for longer than anybody wants to wait.
                runtime.shutdown_background();
            })?
        };
        Ok((Publisher(Arc::clone(&shared)), Self { closing, thread, shared }))
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
    Away,
    Refused(ConnectReturnCode),
}

struct Dialler {
    options: MqttOptions,
    broker: String,
    reconnect: Reconnect,
    log: Log,
}

impl Dialler {
    /// One session after another, until we are closing and all is delivered.
    async fn keep_connected(mut self, shared: &Shared, mut closing: watch::Receiver<Option<Instant>>) {
        let mut failures: u32 = 0;
        loop {
            let (options, broker, log) = (self.options.clone(), &self.broker, &mut self.log);
            let on_connected = || {
                info!(broker, "connected to the MQTT broker");
                *log = Log::Connected;
            };
            match session::run(options, shared, &closing, on_connected).await {
                Ended::Farewell => return,
                Ended::Refused(code) => self.refused(code),
                Ended::Unreachable(error) => self.away(&error.to_string()),
                Ended::Lost { error, lasted } => {
                    self.away(&error);
                    if lasted >= self.reconnect.stable {
                        failures = 0;
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

    fn away(&mut self, error: &str) {
        let broker = &self.broker;
        match self.log {
            Log::Connected => warn!(broker, error, "lost the MQTT broker; events wait until it is back"),
            Log::Nothing | Log::Refused(_) => warn!(
                broker,
                error,
                "cannot reach the MQTT broker; is it running, and are mqtt.host and mqtt.port right? Trying on"
            ),
            Log::Away => debug!(broker, error, "the MQTT broker is still away"),
        }
        self.log = Log::Away;
    }

    fn refused(&mut self, code: ConnectReturnCode) {
        let broker = &self.broker;
        let remedy = match code {
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                "check mqtt.username and mqtt.password_file, then restart"
            }
            ConnectReturnCode::BadClientId => "set another mqtt.client_id",
            ConnectReturnCode::RefusedProtocolVersion => "the broker must speak MQTT 3.1.1",
            ConnectReturnCode::ServiceUnavailable | ConnectReturnCode::Success => {
                "look into the broker's log"
            }
        };
        if self.log == Log::Refused(code) {
            debug!(broker, ?code, "the MQTT broker still refuses");
        } else {
            error!(broker, ?code, "the MQTT broker refuses the connection: {remedy}. Trying on; events wait");
        }
        self.log = Log::Refused(code);
    }
}

fn options(settings: &config::Mqtt, node: &str, topics: &Topics) -> Result<MqttOptions, MqttError> {
    let client_id = settings.client_id.clone().unwrap_or_else(|| format!("watchword-{node}"));
    let mut options = MqttOptions::new(client_id, bracketed(&settings.host), settings.port);
    if let Some((username, password)) = credentials(settings)? {
        options.set_credentials(username, password);
    }
    let will = LastWill::new(topics.availability(), "offline", QoS::AtLeastOnce, true);
    // MQTT counts keep-alive in whole seconds, in 16 bits; `rumqttc` wants at least one.
    let keep_alive = Duration::from(settings.keep_alive)
        .clamp(Duration::from_secs(1), Duration::from_secs(u16::MAX.into()));
    options
        .set_last_will(will)
        .set_clean_session(true)
        .set_keep_alive(keep_alive)
        .set_inflight(session::PACKET_IDS)
        .set_max_packet_size(MAX_INCOMING, MAX_OUTGOING);
    Ok(options)
}

/// User name and password, the latter empty where only the former is set.
pub(super) fn credentials(settings: &config::Mqtt) -> Result<Option<(String, String)>, MqttError> {
    match (&settings.username, &settings.password_file) {
        (Some(username), Some(path)) => Ok(Some((username.clone(), read_password(path)?))),
        (Some(username), None) => Ok(Some((username.clone(), String::new()))),
        (None, Some(_)) => Err(MqttError::NoUsername),
        (None, None) => Ok(None),
    }
}

/// The file's text without the newline that editors put at its end.
fn read_password(path: &Path) -> Result<String, MqttError> {
    let failed = |source| MqttError::PasswordFile { path: path.to_owned(), source };
    let mut text = String::new();
    let mut file = std::fs::File::open(path).map_err(failed)?.take(MAX_PASSWORD + 2);
    file.read_to_string(&mut text).map_err(failed)?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(MqttError::NoPassword { path: path.to_owned() });
    }
    if password.len() as u64 > MAX_PASSWORD {
        return Err(failed(io::Error::other(
            "longer than a password can be, 65535 bytes; is it the right file?",
        )));
    }
    Ok(password.to_owned())
}

/// An IPv6 address needs brackets before a port.
fn bracketed(host: &str) -> String {
    if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() }
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

    #[test]
    fn passwords_lose_the_newline_and_bad_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "pass word \r\n").unwrap();
        assert_eq!(read_password(&path).unwrap(), "pass word ");
        std::fs::write(&path, "\n").unwrap();
        assert!(read_password(&path).unwrap_err().to_string().contains("secret is empty"));
        std::fs::write(&path, vec![b'x'; 70_000]).unwrap();
        assert!(read_password(&path).unwrap_err().to_string().contains("right file?"));
        let missing = read_password(&dir.path().join("missing")).unwrap_err().to_string();
        assert!(missing.contains("missing: No such file"), "{missing}");
    }

    #[test]
    fn a_password_needs_a_user() {
        let settings = config::Mqtt { password_file: Some("x".into()), ..config::Mqtt::default() };
        assert!(matches!(credentials(&settings), Err(MqttError::NoUsername)));
    }

    #[test]
    fn addresses_of_both_families_take_a_port() {
        assert_eq!(bracketed("::1"), "[::1]");
        assert_eq!(bracketed("10.0.0.1"), "10.0.0.1");
        assert_eq!(bracketed("broker.lan"), "broker.lan");
    }
}
