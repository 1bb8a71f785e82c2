//! A subscriber that shares nothing with the publisher but the broker: what it prints came over MQTT.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use serde::Deserialize;

use crate::config;

/// What was received.
#[derive(Debug, Default)]
pub struct Received {
    /// Occurrences that began, by action.
    pub by_action: BTreeMap<String, u64>,
}

/// Listens to every event until it is told to finish.
pub struct Subscriber {
    client: Client,
    thread: JoinHandle<Received>,
    offline: mpsc::Receiver<()>,
}

/// The part of an action event that is printed; the rest is for machines.
#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    change: String,
    track: u64,
    action: String,
    score: f32,
    time: String,
}

impl Subscriber {
    /// Connects and waits until the broker confirmed the subscription, so that no event is missed.
    pub fn start(mqtt: &config::Mqtt, progress: ProgressBar, quiet: bool) -> anyhow::Result<Self> {
        let mut options = MqttOptions::new("watchword-demo-subscriber", &mqtt.host, mqtt.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut connection) = Client::new(options, 16);
        let base = mqtt.base_topic.clone();
        client.subscribe(format!("{base}/+/events"), QoS::AtLeastOnce)?;
        client.subscribe(format!("{base}/+/availability"), QoS::AtLeastOnce)?;
        let (subscribed, confirmation) = mpsc::channel();
        let (went_offline, offline) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut received = Received::default();
            for notification in connection.iter() {
                match notification {
                    Ok(Event::Incoming(Packet::SubAck(_))) => _ = subscribed.send(()),
                    Ok(Event::Incoming(Packet::Publish(publish)))
                        if publish.topic.ends_with("/availability") =>
                    {
                        // The publisher's last word comes after its last event.
                        if &publish.payload[..] == b"offline" {
                            _ = went_offline.send(());
                        }
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        if let Ok(event) = serde_json::from_slice::<Payload>(&publish.payload) {
                            received.note(&event, &progress, quiet);
                        }
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
            received
        });
        for _ in 0..2 {
            confirmation
                .recv_timeout(Duration::from_secs(5))
                .context("the embedded broker did not confirm a subscription within 5 s")?;
        }
        Ok(Self { client, thread, offline })
    }

    /// Waits, at most `patience`, for the publisher's last message, and returns what was received.
    pub fn finish(self, patience: Duration) -> Received {
        _ = self.offline.recv_timeout(patience);
        _ = self.client.disconnect();
        self.thread.join().unwrap_or_default()
    }
}

impl Received {
    fn note(&mut self, event: &Payload, progress: &ProgressBar, quiet: bool) {
        if event.change == "begin" {
            *self.by_action.entry(event.action.clone()).or_default() += 1;
        }
        if quiet || event.change == "update" {
            return;
        }
        let time = event.time.get(11..23).unwrap_or(&event.time);
        let line = format!(
            "{time}  {:<6} {:<22} {:>3.0} %  person {}",
            event.change,
            event.action,
            event.score * 100.0,
            event.track
        );
        progress.suspend(|| println!("{line}"));
    }
}
