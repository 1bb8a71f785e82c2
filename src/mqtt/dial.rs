//! How the broker is reached: all that a connection needs to begin, made anew for each, so that a certificate or a
//! password that was renewed on disk counts from the next connection on.

use std::net::Ipv6Addr;
use std::time::Duration;

use rumqttc::{ConnectionError, LastWill, MqttOptions, QoS, TlsConfiguration};

use super::client::MqttError;
use super::credentials::credentials;
use super::fault::Fault;
use super::session;
use super::tls;
use super::topic::Topics;
use crate::config::{self, Transport};

/// Broker to us: acknowledgements and commands. A larger packet ends the connection, which is made again; so this is far
/// above what is obeyed.
const MAX_INCOMING: usize = 1024 * 1024;
/// Us to broker: more than any payload of ours; `rumqttc` would end the connection over a larger one.
const MAX_OUTGOING: usize = 16 * 1024 * 1024;

/// The way to the broker.
pub(super) struct Dial {
    settings: config::Mqtt,
    client_id: String,
    will: Option<LastWill>,
}

impl Dial {
    pub fn new(settings: &config::Mqtt, node: &str, topics: &Topics) -> Self {
        let client_id = settings.client_id.clone().unwrap_or_else(|| format!("watchword-{node}"));
        let will = LastWill::new(topics.availability(), "offline", QoS::AtLeastOnce, true);
        Self { settings: settings.clone(), client_id, will: Some(will) }
    }

    /// The same way for somebody who only looks whether it is open: by another name, and leaving nothing behind.
    pub fn probe(settings: &config::Mqtt, node: &str) -> Self {
        let client_id = settings.client_id.clone().unwrap_or_else(|| format!("watchword-{node}"));
        Self { settings: settings.clone(), client_id: client_id + "-doctor", will: None }
    }

    /// What the broker is called in the log.
    pub fn broker(&self) -> String {
        let host = bracketed(&self.settings.host);
        match self.settings.transport {
            Transport::Tcp => format!("{host}:{}", self.settings.port()),
            Transport::Tls => format!("mqtts://{host}:{}", self.settings.port()),
            Transport::Ws | Transport::Wss => self.url(),
        }
    }

    /// Whether whoever answers is taken for the broker.
    pub fn trusts_anybody(&self) -> bool {
        self.settings.transport.is_encrypted() && self.settings.tls.danger_accept_any_certificate
    }

    /// Why it could not be reached.
    pub fn fault(&self, error: &ConnectionError) -> Fault {
        Fault::new(error, self.settings.transport, self.settings.tls.client_certificate.is_some())
    }

    /// Reads the password and the certificates.
    pub fn options(&self) -> Result<MqttOptions, MqttError> {
        let settings = &self.settings;
        let tls = || tls::client(&settings.tls).map(|config| TlsConfiguration::Rustls(config.into()));
        let transport = match settings.transport {
            Transport::Tcp => rumqttc::Transport::Tcp,
            Transport::Tls => rumqttc::Transport::Tls(tls()?),
            Transport::Ws => rumqttc::Transport::Ws,
            Transport::Wss => rumqttc::Transport::Wss(tls()?),
        };
        // `rumqttc` puts host and port together and takes them apart at the last colon; the certificate must carry the
        // host as it is given here, so an IPv6 address has no brackets.
        let host = if settings.transport.is_websocket() { self.url() } else { settings.host.clone() };
        let mut options = MqttOptions::new(&self.client_id, host, settings.port());
        if let Some((username, password)) = credentials(settings)? {
            options.set_credentials(username, password);
        }
        // MQTT counts keep-alive in whole seconds, in 16 bits; `rumqttc` wants at least one.
        let keep_alive = Duration::from(settings.keep_alive)
            .clamp(Duration::from_secs(1), Duration::from_secs(u16::MAX.into()));
        options
            .set_transport(transport)
            .set_clean_session(true)
            .set_keep_alive(keep_alive)
            .set_inflight(session::PACKET_IDS)
            .set_max_packet_size(MAX_INCOMING, MAX_OUTGOING);
        if let Some(will) = &self.will {
            options.set_last_will(will.clone());
        }
        Ok(options)
    }

    fn url(&self) -> String {
        let config::Mqtt { host, websocket_path, transport, .. } = &self.settings;
        let scheme = if transport.is_encrypted() { "wss" } else { "ws" };
        format!("{scheme}://{}:{}{websocket_path}", bracketed(host), self.settings.port())
    }
}

/// An IPv6 address needs brackets before a port.
fn bracketed(host: &str) -> String {
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_is_called_by_what_is_spoken_there() {
        let called = |host: &str, transport| {
            let settings = config::Mqtt { host: host.into(), transport, ..config::Mqtt::default() };
            Dial::new(&settings, "dock-3", &Topics::new("watchword", "dock-3")).broker()
        };
        assert_eq!(called("10.0.0.1", Transport::Tcp), "10.0.0.1:1883");
        assert_eq!(called("::1", Transport::Tcp), "[::1]:1883");
        assert_eq!(called("broker.lan", Transport::Tls), "mqtts://broker.lan:8883");
        assert_eq!(called("broker.lan", Transport::Ws), "ws://broker.lan:80/mqtt");
        assert_eq!(called("::1", Transport::Wss), "wss://[::1]:443/mqtt");
    }
}
