//! One connection to the broker, from dialling to its end.
//!
//! Every connection has an event loop of its own and a clean session. `rumqttc` can carry unacknowledged messages from
//! one connection to the next, but then forgets them (with those still in its channel) when the broker has no session
//! of ours, and mixes them with new ones when it has. The outbox knows better what the broker has not acknowledged, and
//! offers it again in order; so nothing in `rumqttc` outlives a connection.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ClientError, ConnectReturnCode, ConnectionError, Event, MqttOptions, Outgoing, Packet, QoS,
};
use tokio::select;
use tokio::sync::watch;
use tokio::time::Instant;

use super::listeners::{self, Incoming};
use super::outbox::{Kind, Message, Room, Shared};

/// Messages that the broker may leave unacknowledged. Small, since each may be repeated after a reconnect.
pub(super) const WINDOW: usize = 20;
/// Messages without acknowledgement handed over but not yet written to the socket.
const UNWRITTEN: usize = 8;
/// Never full: what we hand over is bounded by the two above, the subscriptions and two parting words.
const CHANNEL: usize = WINDOW + UNWRITTEN + listeners::MOST + 4;
/// Twice our window, so that `rumqttc` never stops taking messages: its limit also holds up those without
/// acknowledgement, and a broker that acknowledges out of order would block a packet id that comes round again.
pub(super) const PACKET_IDS: u16 = 2 * WINDOW as u16;

/// Why a session ended.
pub(super) enum Ended {
    /// Everything was delivered, `offline` too.
    Farewell,
    /// The broker does not want us.
    Refused(ConnectReturnCode),
    /// There was no connection.
    Unreachable(ConnectionError),
    /// There was one.
    Lost { error: String, lasted: Duration },
}

/// Connects, delivers what the outbox holds, and returns when the connection ends, or when `closing` is set and
/// everything is delivered. May be dropped at any await: the broker then announces the last will.
pub(super) async fn run(
    options: MqttOptions,
    shared: &Shared,
    closing: &watch::Receiver<Option<Instant>>,
    on_connected: impl FnOnce(),
) -> Ended {
    let (client, mut events) = AsyncClient::new(options, CHANNEL);
    // The first poll connects.
    let first = {
        let mut connecting = pin!(events.poll());
        loop {
            if closing.borrow().is_some() && shared.outbox().is_delivered() {
                return Ended::Farewell; // nobody was told that we are online
            }
            select! {
                first = &mut connecting => break first,
                () = shared.bell.notified() => {}
            }
        }
    };
    match first {
        Ok(_) => {}
        Err(ConnectionError::ConnectionRefused(code)) => return Ended::Refused(code),
        Err(error) => return Ended::Unreachable(error),
    }

    let connected = Instant::now();
    on_connected();
    let _connected = Connected::new(shared);
    let mut delivery = Delivery::new(client, shared);
    let error = match delivery.hand_over(delivery.availability("online")) {
        Err(error) => error.to_string(),
        Ok(()) => loop {
            let polled = {
                // Polled to its end whatever else happens: a poll cut short could lose what it had read or written.
                let mut poll = pin!(events.poll());
                loop {
                    if let Err(error) = delivery.fill(closing.borrow().is_some()) {
                        break Err(error.to_string());
                    }
                    select! {
                        polled = &mut poll => break polled.map_err(|error| error.to_string()),
                        () = shared.bell.notified() => {}
                    }
                }
            };
            match polled {
                Ok(event) => {
                    if delivery.follow(&event) {
                        return Ended::Farewell;
                    }
                }
                Err(error) => break error,
            }
        },
    };
    // Acknowledgements that came in one read with the end of the connection.
    for event in events.state.events.drain(..) {
        delivery.follow(&event);
    }
    Ended::Lost { error, lasted: connected.elapsed() }
}

/// Tells the outbox that there is a connection for as long as this lives.
struct Connected<'a>(&'a Shared);

impl<'a> Connected<'a> {
    fn new(shared: &'a Shared) -> Self {
        let now = shared.clock.monotonic();
        shared.outbox().connected(now);
        Self(shared)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.outbox().disconnected();
    }
}

/// How far leaving has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parting {
    No,
    /// `offline` is on its way.
    Offline,
    /// DISCONNECT is on its way.
    Disconnect,
}

/// The way from the outbox to the event loop, and of the acknowledgements back.
struct Delivery<'a> {
    client: AsyncClient,
    shared: &'a Shared,
    flight: Flight,
    /// Filters of this connection.
    subscribed: Vec<String>,
    parting: Parting,
}

impl<'a> Delivery<'a> {
    fn new(client: AsyncClient, shared: &'a Shared) -> Self {
        Self { client, shared, flight: Flight::default(), subscribed: Vec::new(), parting: Parting::No }
    }

    fn availability(&self, word: &str) -> Message {
        let topic = self.shared.outbox().topics.availability();
        Message { topic, payload: word.into(), kind: Kind::Standing }
    }

    /// Hands over what there is and fits; when all is delivered and we are closing, says good-bye step by step.
    fn fill(&mut self, closing: bool) -> Result<(), ClientError> {
        while self.subscribed.len() < listeners::MOST
            && let Some(filter) = self.shared.listeners.next(&self.subscribed)
        {
            self.client.try_subscribe(&filter, QoS::AtLeastOnce)?;
            self.subscribed.push(filter);
        }
        while self.parting == Parting::No {
            let Some(message) = self.shared.next(self.flight.room()) else { break };
            self.hand_over(message)?;
        }
        if closing && self.flight.is_empty() {
            match self.parting {
                Parting::No if self.shared.outbox().is_empty() => {
                    self.parting = Parting::Offline;
                    self.hand_over(self.availability("offline"))?;
                }
                Parting::Offline => {
                    self.parting = Parting::Disconnect;
                    self.client.try_disconnect()?;
                }
                Parting::No | Parting::Disconnect => {}
            }
        }
        Ok(())
    }

    fn hand_over(&mut self, message: Message) -> Result<(), ClientError> {
        let Message { topic, payload, kind } = message;
        let qos = if kind.is_acknowledged() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        self.client.try_publish(topic, qos, kind.is_retained(), payload)?;
        self.flight.handed.push_back(kind);
        Ok(())
    }

    /// Follows what became of the messages; `true` once DISCONNECT was written.
    fn follow(&mut self, event: &Event) -> bool {
        match event {
            // A packet id of 0 stands for none.
            Event::Outgoing(Outgoing::Publish(packet)) => self.flight.written(*packet),
            Event::Incoming(Packet::PubAck(ack)) => {
                if let Some(kind) = self.flight.acknowledged(ack.pkid) {
                    self.shared.acknowledge(kind);
                }
            }
            Event::Incoming(Packet::Publish(publish)) => self.shared.listeners.tell(&Incoming {
                topic: publish.topic.clone(),
                payload: publish.payload.to_vec(),
                retained: publish.retain,
            }),
            Event::Outgoing(Outgoing::Disconnect) => return true,
            _ => {}
        }
        false
    }
}

/// Which packet id is which message. `rumqttc` chooses the ids, but takes messages in the order in which they are
/// handed over, and reports each as it is written.
#[derive(Default)]
struct Flight {
    handed: VecDeque<Kind>,
    unacknowledged: Vec<(u16, Kind)>,
}

impl Flight {
    fn room(&self) -> Room {
        let acknowledged = self.handed.iter().filter(|kind| kind.is_acknowledged()).count();
        Room {
            acknowledged: acknowledged + self.unacknowledged.len() < WINDOW,
            unacknowledged: self.handed.len() - acknowledged < UNWRITTEN,
        }
    }

    fn written(&mut self, packet: u16) {
        if let Some(kind) = self.handed.pop_front()
            && kind.is_acknowledged()
        {
            self.unacknowledged.push((packet, kind));
        }
    }

    fn acknowledged(&mut self, packet: u16) -> Option<Kind> {
        let index = self.unacknowledged.iter().position(|(id, _)| *id == packet)?;
        Some(self.unacknowledged.remove(index).1)
    }

    fn is_empty(&self) -> bool {
        self.handed.is_empty() && self.unacknowledged.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_belongs_to_its_packet_in_whatever_order() {
        let mut flight = Flight::default();
        flight.handed.extend([Kind::Standing, Kind::Event(5), Kind::Stats, Kind::Event(6)]);
        for packet in [1, 2, 0, 3] {
            flight.written(packet);
        }
        assert_eq!(flight.acknowledged(3), Some(Kind::Event(6)));
        assert_eq!(flight.acknowledged(3), None);
        assert_eq!(flight.acknowledged(1), Some(Kind::Standing));
        assert_eq!(flight.acknowledged(2), Some(Kind::Event(5)));
        assert!(flight.is_empty());
    }

    #[test]
    fn room_is_counted_apart_for_the_two_sorts() {
        let mut flight = Flight::default();
        flight.handed.extend([Kind::Detections; UNWRITTEN]);
        assert!(flight.room().acknowledged && !flight.room().unacknowledged);
        flight.handed.extend([Kind::Standing; WINDOW]);
        assert!(!flight.room().acknowledged);
        for _ in 0..UNWRITTEN {
            flight.written(0);
        }
        for packet in 1..=WINDOW as u16 {
            flight.written(packet);
        }
        assert!(!flight.room().acknowledged && flight.room().unacknowledged);
        flight.acknowledged(1);
        assert!(flight.room().acknowledged);
    }
}
