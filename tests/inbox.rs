//! What others publish reaches whoever listens, over reconnects too, and documents stand on the broker.

#[path = "common/broker.rs"]
mod broker;

use std::sync::mpsc;

use broker::{Mosquitto, PATIENCE, Subscriber, need_mosquitto, publish, start, until};
use watchword::mqtt::Incoming;

#[test]
fn a_listener_hears_what_is_published_on_this_connection_and_the_next() {
    need_mosquitto!();
    let mut broker = Mosquitto::start("allow_anonymous true\n");
    publish(broker.port, "others/stale", "old", &["-r"]);
    let (publisher, mqtt) = start(&broker::settings(broker.port));
    let (sender, heard) = mpsc::channel();
    assert!(publisher.listen("others/+", move |message| sender.send(message).unwrap()));
    let message = |topic: &str, payload: &str, retained| Incoming {
        topic: topic.into(),
        payload: payload.into(),
        retained,
    };
    let next = || heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!(next(), message("others/stale", "old", true));
    publish(broker.port, "others/x/y", "not ours", &[]);
    publish(broker.port, "others/x", "fresh", &[]);
    assert_eq!(next(), message("others/x", "fresh", false));

    broker.stop();
    broker.restart();
    until("it hears again", || {
        publish(broker.port, "others/again", "1", &[]);
        heard.try_recv().is_ok_and(|heard| heard.topic == "others/again")
    });
    publish(broker.port, "others/huge", &"x".repeat(100_000), &[]);
    until("a large one comes whole", || heard.try_recv().is_ok_and(|heard| heard.payload.len() == 100_000));
    publisher.ignore("others/+");
    mqtt.shutdown(PATIENCE);
}

#[test]
fn documents_stand_and_are_taken_away() {
    need_mosquitto!();
    let mut broker = Mosquitto::start("allow_anonymous true\n");
    let (publisher, mqtt) = start(&broker::settings(broker.port));
    publisher.stand("home/one", b"1".into());
    publisher.stand("home/two", b"2".into());
    until("they stand for a subscriber that comes later", || {
        let seen = Subscriber::start(broker.port, &[]).up_to_topic("home/two");
        assert_eq!((seen.payload.as_str(), seen.qos), ("2", 1));
        seen.retained
    });
    // A broker without persistence forgets them, and is told again.
    broker.stop();
    broker.restart();
    let late = Subscriber::start(broker.port, &[]);
    assert_eq!(late.up_to_topic("home/one").payload, "1");
    publisher.stand("home/one", Vec::new());
    until("it is gone", || {
        let fresh = Subscriber::start(broker.port, &[]);
        let all = fresh.up_to(|seen| seen.topic.ends_with("home/two"));
        !all.iter().any(|seen| seen.topic == "home/one")
    });
    mqtt.shutdown(PATIENCE);
}
