//! The MQTT contract against brokers and subscribers that nobody here wrote: Debian's `mosquitto`, `mosquitto_sub`
//! and `mosquitto_pub`. Without them on the machine the tests say so and pass.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;
use watchword::config;
use watchword::event::{ActionEvent, Change, Reason};
use watchword::mqtt::{Broker, CameraStats, Mqtt, Stats, TrackScores};

#[path = "common/broker.rs"]
mod broker;

use broker::*;

fn stats() -> Stats {
    let camera = CameraStats {
        status: "online",
        captured_fps: 25.0,
        analysed_fps: 10.0,
        searched_frames: 9,
        dropped_frames: 3,
        missed_frames: 4,
        corrupted_frames: 5,
        reopened: 6,
        last_error: None,
        persons: 2,
        crops_encoded: 7,
        crops_kept: 8,
        oldest_crop_ms: 400.5,
    };
    Stats {
        time: "2026-11-22T20:15:00Z".parse().unwrap(),
        version: "0.1.0",
        uptime_s: 60.5,
        cameras: [("gate".to_owned(), camera)].into(),
        latency_ms_p50: Some(80.5),
        latency_ms_p95: None,
        stage_ms: [("detect", 12.25)].into(),
        queue_depths: [("frames", 1)].into(),
        resident_memory: 123_456_789,
        temperatures: [("cpu-thermal".to_owned(), 51.5)].into(),
        slowed_by: vec!["heat", "under_voltage"],
    }
}

// ---- the tests

#[test]
fn topics_flags_and_payloads_are_the_contracts() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let subscriber = Subscriber::start(broker.port, &[]);
    let (publisher, mqtt) = start(&settings(broker.port));

    let online = subscriber.next();
    assert_eq!((online.topic.as_str(), online.payload.as_str()), ("watchword/dock-3/availability", "online"));
    assert_eq!(online.qos, 1);

    for (online, word) in [(false, "offline"), (true, "online")] {
        publisher.camera("gate", online);
        let said = subscriber.next();
        assert_eq!(
            (said.topic.as_str(), said.payload.as_str()),
            ("watchword/dock-3/gate/availability", word)
        );
        assert_eq!(said.qos, 1);
    }

    publisher.announce([("gate", "climbing_fence"), ("gate", "running")]);
    for action in ["climbing_fence", "running"] {
        let off = subscriber.next();
        assert_eq!(off.topic, format!("watchword/dock-3/gate/{action}/state"));
        assert_eq!((off.payload.as_str(), off.qos), ("OFF", 1));
    }

    publisher.event(&example());
    let on = subscriber.next();
    assert_eq!(
        (on.topic.as_str(), on.payload.as_str()),
        ("watchword/dock-3/gate/climbing_fence/state", "ON")
    );
    let begin = subscriber.next();
    assert_eq!((begin.topic.as_str(), begin.flags()), ("watchword/dock-3/events", (1, false)));
    assert_eq!(
        begin.json(),
        json!({
            "schema": 1,
            "id": "01JD2Q6W3M8Z4T0V8R1N7C5K9X",
            "type": "begin",
            "node": "dock-3", "camera": "gate",
            "track": 17,
            "action": "climbing_fence", "label": "climbing over a fence",
            "score": 0.87, "peak_score": 0.91,
            "box": [0.41, 0.22, 0.55, 0.93],
            "zones": ["perimeter"],
            "begin": "2026-11-22T20:14:03.120Z", "time": "2026-11-22T20:14:03.960Z", "end": null,
            "latency_ms": 212,
            "pack": "clip-vit-b16-int8@1", "vocabulary": "9f31c2d4"
        })
    );

    publisher.set_origin("clip-vit-b16-int8@1", "00000001");
    let ended = Some("2026-11-22T20:14:09Z".parse().unwrap());
    publisher.event(&ActionEvent {
        change: Change::End,
        end: ended,
        reason: Some(Reason::Shutdown),
        ..example()
    });
    assert_eq!(subscriber.next().payload, "OFF");
    let end = subscriber.next().json();
    assert_eq!(
        json!([end["id"], end["type"], end["end"], end["reason"], end["vocabulary"]]),
        json!(["01JD2Q6W3M8Z4T0V8R1N7C5K9X", "end", "2026-11-22T20:14:09.000Z", "shutdown", "00000001"])
    );

    let scores = [("running", 0.1), ("climbing_fence", 0.87)];
    let person = TrackScores::new(17, [0.41, 0.22, 0.55, 0.93], 0.7, scores);
    publisher.detections("gate", example().time, [person].into_iter());
    let detections = subscriber.next();
    assert_eq!(
        (detections.topic.as_str(), detections.flags()),
        ("watchword/dock-3/gate/detections", (0, false))
    );
    assert_eq!(
        detections.json(),
        json!({
            "schema": 1, "node": "dock-3", "camera": "gate", "time": "2026-11-22T20:14:03.960Z",
            "tracks": [{
                "track": 17, "box": [0.41, 0.22, 0.55, 0.93], "person_score": 0.7,
                "scores": {"climbing_fence": 0.87, "running": 0.1}
            }]
        })
    );

    until("both events are acknowledged", || publisher.counters().acked == 2);
    publisher.stats(&stats());
    let published = subscriber.next();
    assert_eq!((published.topic.as_str(), published.qos), ("watchword/dock-3/stats", 0));
    assert_eq!(
        published.json(),
        json!({
            "schema": 1, "node": "dock-3", "pack": "clip-vit-b16-int8@1", "vocabulary": "00000001",
            "time": "2026-11-22T20:15:00.000Z", "version": "0.1.0", "uptime_s": 60.5,
            "cameras": {
                "gate": {
                    "status": "online", "captured_fps": 25.0, "analysed_fps": 10.0,
                    "searched_frames": 9, "dropped_frames": 3, "missed_frames": 4, "corrupted_frames": 5,
                    "reopened": 6, "last_error": null, "persons": 2,
                    "crops_encoded": 7, "crops_kept": 8, "oldest_crop_ms": 400.5
                }
            },
            "latency_ms_p50": 80.5, "latency_ms_p95": null,
            "stage_ms": {"detect": 12.25}, "queue_depths": {"frames": 1},
            "resident_memory": 123_456_789, "temperatures": {"cpu-thermal": 51.5}, "slowed_by": ["heat", "under_voltage"],
            "mqtt": {
                "connected": true, "queued": 0, "sent": 2, "acked": 2, "dropped": 0, "expired": 0,
                "dropped_detections": 0, "spool": "off"
            }
        })
    );

    // What stays for those who come later.
    let late = Subscriber::start(broker.port, &[]);
    let mut retained: Vec<_> = (0..5).map(|_| late.next()).collect();
    retained.sort_by(|a, b| a.topic.cmp(&b.topic));
    let kept = |seen: &Seen| (seen.topic.clone(), seen.flags(), seen.payload.clone());
    assert_eq!(
        retained.iter().map(kept).collect::<Vec<_>>(),
        [
            ("watchword/dock-3/availability".to_owned(), (1, true), "online".to_owned()),
            ("watchword/dock-3/gate/availability".to_owned(), (1, true), "online".to_owned()),
            ("watchword/dock-3/gate/climbing_fence/state".to_owned(), (1, true), "OFF".to_owned()),
            ("watchword/dock-3/gate/running/state".to_owned(), (1, true), "OFF".to_owned()),
            ("watchword/dock-3/stats".to_owned(), (0, true), published.payload),
        ]
    );
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
}

#[test]
fn onvif_clients_hear_of_beginnings_and_ends_before_our_own_subscribers_do() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let subscriber = Subscriber::start(broker.port, &[]);
    let (publisher, mqtt) = start(&settings(broker.port));
    publisher.onvif(&config::Onvif { enabled: true, topic_prefix: None });
    publisher.event(&example());
    publisher.event(&ActionEvent { change: Change::Update, ..example() });
    publisher.event(&ActionEvent { change: Change::End, end: Some(example().time), ..example() });
    let seen = subscriber.up_to(|s| s.topic.ends_with("/events") && s.json()["type"] == "end");
    let ours = |s: &&Seen| s.topic.contains("/onvif-ej/") || s.topic.ends_with("/events");
    let told: Vec<_> = seen
        .iter()
        .filter(ours)
        .map(|s| {
            (s.flags(), s.json()["Data"]["State"].as_bool(), s.json()["type"].as_str().map(str::to_owned))
        })
        .collect();
    let once = (1, false);
    let event = |change: &str| (once, None, Some(change.to_owned()));
    let state = |state| (once, Some(state), None);
    assert_eq!(told, [state(true), event("begin"), event("update"), state(false), event("end")]);
    let topic =
        "watchword/dock-3/onvif-ej/tns:watchword/RuleEngine/ActionDetector/Action/&gate/climbing_fence";
    assert!(seen.iter().any(|s| s.topic == topic), "{seen:?}");
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    let counters = publisher.counters();
    assert_eq!((counters.acked, counters.queued), (3, 0));
}

#[test]
fn shutting_down_delivers_everything_then_says_offline_once() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let subscriber = Subscriber::start(broker.port, &[]);
    let (publisher, mqtt) = start(&settings(broker.port));
    for n in 0..500 {
        publisher.event(&numbered(n));
    }
    publisher.stats(&stats());
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    let counters = publisher.counters();
    assert_eq!((counters.acked, counters.queued, counters.connected), (500, 0, false));

    publish(broker.port, "after", "x", &["-q", "1"]);
    let seen = subscriber.up_to(|seen| seen.topic == "after");
    assert_eq!(numbers(&seen), (0..500).collect::<Vec<_>>());
    let offline: Vec<_> = seen.iter().filter(|s| s.payload == "offline").collect();
    assert_eq!(offline.len(), 1, "said once, and no last will after a good-bye");
    assert!(seen.iter().position(|s| s.payload == "offline") > seen.iter().position(is_event(499)));
    assert!(seen.iter().any(|s| s.topic.ends_with("/stats")));
}

#[test]
fn the_last_will_follows_a_broken_connection() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let subscriber = Subscriber::start(broker.port, &[]);
    let (_publisher, mqtt) = start(&settings(broker.port));
    assert_eq!(subscriber.next().payload, "online");
    drop(mqtt);
    let will = subscriber.next();
    assert_eq!((will.topic.as_str(), will.payload.as_str()), ("watchword/dock-3/availability", "offline"));
    assert_eq!(will.qos, 1);
    let late = Subscriber::start(broker.port, &[]).next();
    assert_eq!((late.payload.as_str(), late.flags()), ("offline", (1, true)));
}

#[test]
fn a_broker_away_for_a_while_costs_no_event() {
    need_mosquitto!();
    let persistent = "allow_anonymous true\npersistence true\npersistence_location {folder}/\n";
    let mut broker = Mosquitto::start(persistent);
    // A session that the broker keeps, so that what arrives while the subscriber is still away is kept for it.
    let subscriber = Subscriber::start(broker.port, &["-c", "-i", "keeper"]);
    let (publisher, mqtt) = start(&settings(broker.port));
    let mut seen = Vec::new();
    for round in 0..3 {
        for n in round * 100..round * 100 + 30 {
            publisher.event(&numbered(n));
        }
        // Away in the middle of the stream, and events go on.
        seen.extend(subscriber.up_to(is_event(round * 100)));
        broker.stop();
        until("the client noticed", || !publisher.counters().connected);
        for n in round * 100 + 30..round * 100 + 100 {
            publisher.event(&numbered(n));
        }
        broker.restart();
        seen.extend(subscriber.up_to(is_event(round * 100 + 99)));
    }
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    assert_eq!(without_repeats(&numbers(&seen)), (0..300).collect::<Vec<_>>());
    assert_eq!(publisher.counters().acked, 300);
}

#[test]
fn a_broker_that_hangs_is_given_up_and_found_again() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let subscriber = Subscriber::start(broker.port, &[]);
    let keep_alive = config::Span::from_secs_f64(1.0);
    let (publisher, mqtt) = start(&config::Mqtt { keep_alive, ..settings(broker.port) });
    until("it is connected", || publisher.counters().connected);
    broker.signal(rustix::process::Signal::STOP);
    for n in 0..50 {
        publisher.event(&numbered(n));
    }
    until("the silence was noticed", || !publisher.counters().connected);
    broker.signal(rustix::process::Signal::CONT);
    until("all is acknowledged", || publisher.counters().acked == 50);
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    let seen = subscriber.up_to(is_event(49));
    assert_eq!(without_repeats(&numbers(&seen)), (0..50).collect::<Vec<_>>());
}

/// Stands between client and broker, lets everything through to the broker, and can keep the broker's answers back
/// and cut connections.
struct Door {
    port: u16,
    mute: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Door {
    fn before(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let door = Self { port, mute: Arc::default(), open: Arc::default() };
        let (mute, open) = (Arc::clone(&door.mute), Arc::clone(&door.open));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", broker)).unwrap();
                open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let never = Arc::new(AtomicBool::new(false));
                forward(client.try_clone().unwrap(), server.try_clone().unwrap(), never);
                forward(server, client, Arc::clone(&mute));
            }
        });
        door
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, mute: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if !mute.load(Ordering::Relaxed) && to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        _ = to.shutdown(Shutdown::Both);
    });
}

#[test]
fn events_whose_acknowledgement_was_lost_come_again_and_in_order() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let door = Door::before(broker.port);
    let subscriber = Subscriber::start(broker.port, &[]);
    let (publisher, mqtt) = start(&settings(door.port));
    let mut seen = subscriber.up_to(|s| s.payload == "online");
    publisher.event(&numbered(0));
    until("it is acknowledged", || publisher.counters().acked == 1);

    door.mute.store(true, Ordering::Relaxed);
    for n in 1..100 {
        publisher.event(&numbered(n));
    }
    // The broker has what fits into the window, and the client does not know it.
    until("the window is full", || publisher.counters().sent == 21);
    seen.extend(subscriber.up_to(is_event(20)));
    assert_eq!(publisher.counters().acked, 1);
    door.mute.store(false, Ordering::Relaxed);
    door.cut();

    let again = subscriber.up_to(is_event(99));
    let words: Vec<_> =
        again.iter().filter(|s| !s.topic.ends_with("/events")).map(|s| s.payload.as_str()).collect();
    assert_eq!(words, ["offline", "online", "ON"], "the last will, then where things stand");
    seen.extend(again);
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    let received = numbers(&seen);
    assert_eq!(without_repeats(&received), (0..100).collect::<Vec<_>>());
    let expected: Vec<_> = (0..=20).chain(1..100).collect();
    assert_eq!(received, expected, "the window again, from its oldest on, and nothing else");
}

#[test]
fn a_connection_cut_again_and_again_loses_nothing() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let door = Door::before(broker.port);
    let subscriber = Subscriber::start(broker.port, &[]);
    let (publisher, mqtt) = start(&settings(door.port));
    let mut seen = Vec::new();
    for n in 0..2_000 {
        publisher.event(&numbered(n));
        if n % 100 == 50 {
            until("some are on their way", || publisher.counters().acked as usize > n / 2);
            door.cut();
        }
        until("there is room", || publisher.counters().queued < 900);
    }
    seen.extend(subscriber.up_to(is_event(1_999)));
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    assert_eq!(without_repeats(&numbers(&seen)), (0..2_000).collect::<Vec<_>>());
    assert_eq!((publisher.counters().acked, publisher.counters().dropped), (2_000, 0));
}

#[test]
fn a_broker_that_refuses_is_named_once_and_accepted_later() {
    need_mosquitto!();
    let secrets = tempfile::tempdir().unwrap();
    let passwords = secrets.path().join("passwords");
    let set_password = |password: &str| {
        let status = Command::new("mosquitto_passwd")
            .args(["-c", "-b"])
            .arg(&passwords)
            .args(["dock", password])
            .status();
        assert!(status.unwrap().success());
    };
    set_password("another");
    let broker = Mosquitto::start(&format!("password_file {}\n", passwords.display()));
    let ours = secrets.path().join("ours");
    std::fs::write(&ours, "correct horse\n").unwrap();
    let log = Log::capture();
    let (publisher, mqtt) = start(&config::Mqtt {
        username: Some("dock".into()),
        password_file: Some(ours.into()),
        ..settings(broker.port)
    });
    publisher.event(&numbered(7));

    let address = format!("127.0.0.1:{}", broker.port);
    until("the refusal is logged", || !log.lines(&address).is_empty());
    let attempts =
        || std::fs::read_to_string(broker.folder.path().join("log")).unwrap().matches("not auth").count();
    until("it was tried again and again", || attempts() >= 4);
    let lines = log.lines(&address);
    assert_eq!(lines.len(), 1, "once, whatever the number of attempts: {lines:?}");
    assert!(lines[0].contains("ERROR") && lines[0].contains("refuses"), "{lines:?}");
    assert!(lines[0].contains("mqtt.username and mqtt.password_file"), "{lines:?}");

    set_password("correct horse");
    broker.signal(rustix::process::Signal::HUP);
    until("the event is delivered", || publisher.counters().acked == 1);
    assert_eq!(log.lines(&address).len(), 2, "{:?}", log.lines(&address));
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    assert!(log.lines("correct horse").is_empty(), "the password was logged");
}

#[test]
fn an_absent_broker_costs_bounded_memory_and_bounded_patience() {
    let settings = config::Mqtt { queue: 10, ..settings(free_port()) };
    let (publisher, mqtt) = start(&settings);
    for n in 0..25 {
        publisher.event(&numbered(n));
        publisher.event(&ActionEvent { change: Change::Update, ..numbered(n) });
    }
    let empty = std::iter::empty::<TrackScores<'_>>();
    publisher.detections("gate", example().time, empty);
    let counters = publisher.counters();
    assert_eq!((counters.connected, counters.queued, counters.dropped), (false, 10, 40));
    assert_eq!(counters.dropped_detections, 1);
    assert_eq!(mqtt.shutdown(Duration::from_millis(50)), 10);
}

#[test]
fn nothing_to_deliver_means_nothing_to_wait_for() {
    let (publisher, mqtt) = start(&settings(free_port()));
    publisher.announce([("gate", "running")]);
    // Would hang for an hour if it waited for the broker.
    assert_eq!(mqtt.shutdown(Duration::from_secs(3_600)), 0);
}

#[test]
fn a_missing_password_file_is_named() {
    let settings = config::Mqtt {
        username: Some("dock".into()),
        password_file: Some("/nowhere/secret".into()),
        ..settings(1)
    };
    let error = Mqtt::start(&settings, origin(), clock()).err().unwrap().to_string();
    assert!(error.starts_with("mqtt.password_file /nowhere/secret: No such file"), "{error}");
}

// ---- the embedded broker

fn embedded() -> config::Mqtt {
    config::Mqtt { broker: config::BrokerKind::Embedded, ..settings(0) }
}

#[test]
fn the_embedded_broker_serves_strangers() {
    need_mosquitto!();
    let broker = Broker::start(&embedded()).unwrap();
    let subscriber = Subscriber::start(broker.port(), &[]);
    publish(broker.port(), "kept", "value", &["-q", "1", "-r"]);
    assert_eq!(subscriber.up_to_topic("kept").payload, "value");
    let late = Subscriber::start(broker.port(), &[]).next();
    assert_eq!((late.topic.as_str(), late.payload.as_str(), late.retained), ("kept", "value", true));
}

#[test]
fn the_embedded_broker_carries_the_contract() {
    need_mosquitto!();
    let broker = Broker::start(&embedded()).unwrap();
    let subscriber = Subscriber::start(broker.port(), &[]);
    let (publisher, mqtt) = start(&settings(broker.port()));
    publisher.announce([("gate", "climbing_fence"), ("gate", "running")]);
    for n in 0..500 {
        publisher.event(&numbered(n));
    }
    publisher.stats(&stats());
    let seen = subscriber.up_to(is_event(499));
    assert_eq!(numbers(&seen), (0..500).collect::<Vec<_>>());

    until("statistics are through", || {
        Subscriber::start(broker.port(), &[]).retained(4).contains_key("stats")
    });
    let kept = Subscriber::start(broker.port(), &[]).retained(4);
    assert_eq!(kept["availability"], "online");
    assert_eq!((kept["climbing_fence/state"].as_str(), kept["running/state"].as_str()), ("ON", "OFF"));

    drop(mqtt);
    assert_eq!(subscriber.up_to_topic("/availability").payload, "offline");
    assert_eq!(Subscriber::start(broker.port(), &[]).retained(4)["availability"], "offline");

    // And back, and gone in good order.
    let (_, mqtt) = start(&settings(broker.port()));
    assert_eq!(subscriber.up_to_topic("/availability").payload, "online");
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    publish(broker.port(), "after", "x", &["-q", "1"]);
    let rest = subscriber.up_to(|seen| seen.topic == "after");
    assert_eq!(rest.iter().filter(|s| s.payload == "offline").count(), 1, "{rest:?}");
}

impl Subscriber {
    /// The first `count` messages, which must be retained ones: the end of the topic → payload.
    fn retained(&self, count: usize) -> std::collections::HashMap<String, String> {
        let first = (0..count).map(|_| self.next()).inspect(|seen| assert!(seen.retained, "{seen:?}"));
        first
            .map(|s| (s.topic.trim_start_matches("watchword/dock-3/").replace("gate/", ""), s.payload))
            .collect()
    }
}

#[test]
fn the_embedded_broker_keeps_strangers_out_where_a_password_is_set() {
    need_mosquitto!();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "sesame\n").unwrap();
    let settings =
        config::Mqtt { username: Some("dock".into()), password_file: Some(file.into()), ..embedded() };
    let broker = Broker::start(&settings).unwrap();
    let login = ["-u", "dock", "-P", "sesame"];
    let subscriber = Subscriber::start(broker.port(), &login);
    publish(broker.port(), "nobody", "x", &["-q", "1"]);
    publish(broker.port(), "wrong", "x", &["-q", "1", "-u", "dock", "-P", "open"]);
    publish(broker.port(), "right", "x", &["-q", "1", "-u", "dock", "-P", "sesame"]);
    assert_eq!(subscriber.next().topic, "right");
    let (publisher, mqtt) = start(&config::Mqtt { port: Some(broker.port()), ..settings });
    publisher.event(&numbered(1));
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
}

#[test]
fn a_port_that_is_taken_is_named_with_the_remedy() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let error = Broker::start(&config::Mqtt { port: Some(port), ..embedded() }).unwrap_err().to_string();
    assert!(
        error.contains(&format!("127.0.0.1:{port}")) && error.contains("set another mqtt.port"),
        "{error}"
    );
}
