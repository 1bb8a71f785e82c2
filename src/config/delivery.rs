//! How the box is called and where its events go.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{FileRef, Span, Tls, Transport};

/// `[node]`: this box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Slug; the second level of every topic.
    pub name: String,
    /// IANA's name of the time zone that cameras' schedules are in; absent: the system's.
    pub time_zone: Option<String>,
}

impl Default for Node {
    fn default() -> Self {
        Self { name: "watchword".into(), time_zone: None }
    }
}

/// `[mqtt]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mqtt {
    pub broker: BrokerKind,
    /// External: where the broker is. Embedded: where to listen.
    pub host: String,
    /// Absent: as is usual for the transport; see [`Mqtt::port`].
    pub port: Option<u16>,
    pub transport: Transport,
    /// The path of the request that opens a WebSocket.
    pub websocket_path: String,
    /// First level of every topic.
    pub base_topic: String,
    /// Absent: `watchword-<node>`.
    pub client_id: Option<String>,
    pub username: Option<String>,
    /// A file with the password, so that no password stands in this one.
    pub password_file: Option<FileRef>,
    pub keep_alive: Span,
    /// Events that may wait in memory alone: all without a spool, with one those that are not on disk yet.
    pub queue: usize,
    /// Publish the tracks of every analysed frame.
    pub detections: bool,
    /// Publish pictures: of each event's begin, and when commanded.
    pub snapshots: bool,
    /// Obey commands.
    pub commands: bool,
    pub tls: Tls,
    pub spool: Spool,
}

impl Mqtt {
    /// The broker's port, or the one to listen on.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(self.transport.usual_port())
    }
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            broker: BrokerKind::External,
            host: "127.0.0.1".into(),
            port: None,
            transport: Transport::Tcp,
            websocket_path: "/mqtt".into(),
            base_topic: "watchword".into(),
            client_id: None,
            username: None,
            password_file: None,
            keep_alive: Span::from_secs_f64(30.0),
            queue: 1000,
            detections: false,
            snapshots: false,
            commands: false,
            tls: Tls::default(),
            spool: Spool::default(),
        }
    }
}

/// `[mqtt.spool]`: where events wait that must not be lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spool {
    pub enabled: bool,
    /// A file. Absent: `spool.db` in the daemon's state folder, if it has one.
    pub path: Option<PathBuf>,
    /// Events that may wait.
    pub max_events: usize,
    /// Bytes of payload that may wait.
    pub max_bytes: usize,
    /// What has waited so long is dropped.
    pub max_age: Span,
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            enabled: true,
            path: None,
            max_events: 100_000,
            max_bytes: 64_000_000,
            max_age: Span::from_secs_f64(7.0 * 86_400.0),
        }
    }
}

/// Whose broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokerKind {
    #[default]
    External,
    /// One in this process, for boxes that have none.
    Embedded,
}

/// `[stats]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Between two reports on `<base>/<node>/stats`.
    pub interval: Span,
}

impl Default for Stats {
    fn default() -> Self {
        Self { interval: Span::from_secs_f64(30.0) }
    }
}
