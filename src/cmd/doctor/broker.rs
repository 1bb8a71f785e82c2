//! The broker: does it answer, does it prove who it is, and does it let us in?

use std::time::Duration;

use super::finding::Finding;
use crate::config::{BrokerKind, Config};
use crate::mqtt::Probe;

const BROKER: &str = "broker";
/// A broker that takes longer is as good as none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects under a name of its own, so that a daemon that runs keeps its connection.
pub fn finding(config: &Config) -> Finding {
    if config.mqtt.broker == BrokerKind::Embedded {
        let port = config.mqtt.port();
        let port = if port == 0 { "a free port".into() } else { format!("port {port}") };
        return Finding::ok(BROKER, format!("embedded, on {port}"));
    }
    match Probe::run(&config.mqtt, &config.node.name, PATIENCE) {
        Ok(Probe { broker, took, unproven: false }) => {
            Finding::ok(BROKER, format!("{broker} let us in after {} ms", took.as_millis()))
        }
        Ok(Probe { broker, .. }) => Finding::warn(
            BROKER,
            format!("{broker} let us in, but has not proved who it is"),
            "set mqtt.tls.pin_sha256 in place of mqtt.tls.danger_accept_any_certificate",
        ),
        Err(error) => Finding::fail(BROKER, &error, error.remedy()),
    }
}
