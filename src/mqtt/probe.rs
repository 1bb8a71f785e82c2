//! One attempt to get in at the broker, to see whether the configuration is right.

use std::fmt;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, ConnectionError, Event, Packet};
use tokio::runtime;
use tokio::time::timeout;

use super::dial::Dial;
use super::fault::{AWAY, refusal};
use crate::config;

/// The broker let us in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// `mqtts://broker.lan:8883`
    pub broker: String,
    /// From dialling to the broker's word.
    pub took: Duration,
    /// TLS was used, and whoever answered was taken for the broker.
    pub unproven: bool,
}

/// It did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeError {
    reason: String,
    remedy: String,
}

impl ProbeError {
    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ProbeError {}

impl Probe {
    /// Connects, and leaves again. It says nothing on any topic, and goes by another client's name than the daemon of
    /// `node`, whose connection the broker would end otherwise.
    ///
    /// # Errors
    /// If `patience` ends first, or the broker cannot be reached, does not prove who it is, or does not want us.
    pub fn run(settings: &config::Mqtt, node: &str, patience: Duration) -> Result<Self, ProbeError> {
        let dial = Dial::probe(settings, node);
        let failed = |reason: String, remedy: &str| ProbeError {
            reason: format!("{}: {reason}", dial.broker()),
            remedy: remedy.into(),
        };
        let options = dial
            .options()
            .map_err(|error| failed(error.to_string(), "correct the file or the setting that it names"))?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string(), "free some memory or descriptors"))?;
        let start = Instant::now();
        let answered = runtime.block_on(async {
            let (client, mut events) = AsyncClient::new(options, 1);
            let answer = timeout(patience, async {
                loop {
                    match events.poll().await {
                        Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok(()),
                        Ok(_) => {}
                        Err(error) => return Err(error),
                    }
                }
            })
            .await;
            // Good manners; a broker that does not hear of it loses nothing.
            if matches!(answer, Ok(Ok(()))) && client.try_disconnect().is_ok() {
                _ = timeout(Duration::from_secs(1), events.poll()).await;
            }
            answer
        });
        match answered {
            Ok(Ok(())) => {
                Ok(Self { broker: dial.broker(), took: start.elapsed(), unproven: dial.trusts_anybody() })
            }
            Ok(Err(ConnectionError::ConnectionRefused(code))) => {
                Err(failed(format!("it refuses us: {code:?}"), refusal(code)))
            }
            Ok(Err(error)) => {
                let fault = dial.fault(&error);
                Err(failed(fault.error, fault.remedy))
            }
            Err(_) => Err(failed(format!("no answer within {} s", patience.as_secs()), AWAY)),
        }
    }
}
