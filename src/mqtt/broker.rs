//! A broker in this process, for boxes that have none.
//!
//! `rumqttd` behind a door of ours. It speaks MQTT 3.1.1, keeps everything in memory, and cannot be stopped: its
//! threads live as long as the process.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use rumqttd::{Config, ConnectionSettings, RouterConfig, ServerSettings};
use tracing::{error, info, warn};

use super::credentials::{CredentialsError, credentials};
use crate::config;

/// How long the broker may take to listen.
const START: Duration = Duration::from_secs(5);

/// Why the embedded broker could not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("embedded MQTT broker: mqtt.host {host}: {source}")]
    Host { host: String, source: io::Error },
    #[error(
        "embedded MQTT broker: cannot listen on {address}: {source}; another broker may be running there: \
         use it (mqtt.broker = \"external\"), or set another mqtt.port"
    )]
    Listen { address: SocketAddr, source: io::Error },
    #[error("embedded MQTT broker: {0}")]
    Credentials(#[source] CredentialsError),
    #[error("embedded MQTT broker: its thread did not start: {0}")]
    Thread(#[source] io::Error),
    #[error("embedded MQTT broker: did not begin to listen on {0}; try another mqtt.port")]
    Silent(SocketAddr),
}

/// A broker that runs until the process ends.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
}

impl Broker {
    /// Listens on `mqtt.host` and `mqtt.port`; port 0 takes a free one. With `mqtt.username` and `mqtt.password_file`
    /// set, every client must know them. Returns once it can be connected to.
    pub fn start(settings: &config::Mqtt) -> Result<Self, BrokerError> {
        let address = free_address(settings)?;
        let auth = credentials(settings).map_err(BrokerError::Credentials)?;
        if auth.is_none() && !address.ip().is_loopback() {
            warn!(%address, "the embedded MQTT broker is open to the network without a password; set mqtt.username");
        }
        let mut broker = rumqttd::Broker::new(configuration(address, auth));
        let server = thread::Builder::new()
            .name("broker".into())
            .spawn(move || {
                // While all is well it does not return.
                let reason = broker.start().err().map(|error| error.to_string());
                error!(%address, reason, "the embedded MQTT broker stopped");
            })
            .map_err(BrokerError::Thread)?;
        let started = Instant::now();
        while TcpStream::connect_timeout(&address, START).is_err() {
            if server.is_finished() || started.elapsed() > START {
                return Err(BrokerError::Silent(address));
            }
            thread::sleep(Duration::from_millis(5));
        }
        if server.is_finished() {
            return Err(BrokerError::Silent(address)); // it was somebody else who answered
        }
        info!(%address, "embedded MQTT broker listens");
        Ok(Self { address })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// By which a client of this process reaches it, where `settings` are those that it was started with.
    pub fn client(&self, settings: &config::Mqtt) -> config::Mqtt {
        config::Mqtt { port: Some(self.port()), ..settings.clone() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Where to listen. `rumqttd` only logs that an address is taken, and does not tell which port it got: so a socket of
/// ours tries first, and lets go.
fn free_address(settings: &config::Mqtt) -> Result<SocketAddr, BrokerError> {
    let host = &settings.host;
    let unknown = |source| BrokerError::Host { host: host.clone(), source };
    let address = (host.as_str(), settings.port())
        .to_socket_addrs()
        .map_err(unknown)?
        .next()
        .ok_or_else(|| unknown(io::Error::other("has no address")))?;
    TcpListener::bind(address)
        .and_then(|listener| listener.local_addr())
        .map_err(|source| BrokerError::Listen { address, source })
}

/// Limits for a small box. Memory is bounded per subscription filter: segments of messages, the oldest of which goes
/// when a subscriber is too slow for them.
fn configuration(address: SocketAddr, auth: Option<(String, String)>) -> Config {
    let server = ServerSettings {
        name: "mqtt".into(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: 1024 * 1024,
            max_inflight_count: 100,
            auth: auth.map(|pair| HashMap::from([pair])),
            external_auth: None,
            dynamic_filters: false,
        },
    };
    Config {
        router: RouterConfig {
            max_connections: 100,
            // Also how many retained messages a new subscriber gets at QoS 0.
            max_outgoing_packet_count: 1_000,
            max_segment_size: 256 * 1024,
            max_segment_count: 4,
            ..RouterConfig::default()
        },
        v4: Some(HashMap::from([("mqtt".into(), server)])),
        ..Config::default()
    }
}
