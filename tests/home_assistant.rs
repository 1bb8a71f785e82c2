//! What Home Assistant is told, through Debian's `mosquitto`; and what it makes of it: its own MQTT integration, run on
//! what a subscriber received. Without the programs, or without `WATCHWORD_HOME_ASSISTANT` (see `.ci/run`), the tests
//! say so and pass.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use watchword::config::{Action, Camera, Config};
use watchword::event::{ActionEvent, Change};
use watchword::mqtt::{CameraStats, HomeAssistant, Mqtt, Publisher, Stats};

#[path = "common/broker.rs"]
mod broker;

use broker::*;

const DESCRIPTION: &str = "homeassistant/device/dock-3/config";

fn config(cameras: &[&str], actions: &[&str]) -> Config {
    let mut config = Config::default();
    config.node.name = "dock-3".into();
    config.homeassistant.enabled = Some(true);
    config.mqtt.commands = true;
    config.cameras = cameras.iter().map(|c| Camera { name: (*c).into(), ..Camera::default() }).collect();
    let action = |name: &&str| Action {
        name: (*name).into(),
        phrases: vec![name.replace('_', " ")],
        ..Action::default()
    };
    config.actions = actions.iter().map(action).collect();
    config
}

/// A box of `config` on the broker at `port`.
fn box_of(config: &Config, port: u16) -> (Publisher, HomeAssistant, Mqtt) {
    let (publisher, mqtt) = start(&settings(port));
    for camera in &config.cameras {
        publisher.announce(config.actions.iter().map(|a| (camera.name.as_str(), a.name.as_str())));
    }
    let home_assistant = HomeAssistant::new(publisher.clone());
    home_assistant.describe(config);
    (publisher, home_assistant, mqtt)
}

fn stats() -> Stats {
    let camera = |status, fps| CameraStats { status, analysed_fps: fps, ..CameraStats::default() };
    let lost = CameraStats { last_error: Some("no \"frames\"".into()), ..camera("paused", 0.0) };
    Stats {
        time: "2026-11-22T20:15:00Z".parse().unwrap(),
        version: "0.1.0",
        uptime_s: 60.5,
        cameras: [("gate".into(), camera("online", 9.5)), ("yard".into(), lost)].into(),
        latency_ms_p50: Some(80.5),
        latency_ms_p95: None,
        stage_ms: [("detect", 12.25)].into(),
        queue_depths: [("frames", 1)].into(),
        resident_memory: 150 * 1024 * 1024,
        temperatures: [("cpu-thermal".into(), 51.5), ("gpu-thermal".into(), 48.0)].into(),
        slowed_by: Vec::new(),
    }
}

/// What stays on the broker for those who come later.
fn kept(port: u16) -> Vec<Seen> {
    let subscriber = Subscriber::start(port, &[]);
    publish(port, "after", "x", &["-q", "1"]);
    let mut seen = subscriber.up_to(|seen| seen.topic == "after");
    seen.retain(|seen| seen.retained);
    seen
}

fn is_description(seen: &Seen) -> bool {
    seen.topic == DESCRIPTION
}

/// The components that a description tells to be gone.
fn gone(seen: &Seen) -> Vec<String> {
    let description = seen.json();
    let components = description["components"].as_object().unwrap().iter();
    components.filter(|(_, c)| c.as_object().unwrap().len() == 1).map(|(id, _)| id.clone()).collect()
}

#[test]
fn a_box_describes_itself_and_takes_back_what_an_earlier_run_described() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let (.., mqtt) = box_of(&config(&["gate", "yard"], &["running", "falling"]), broker.port);
    // To those who come later, too: whoever is there when it comes sees it as news.
    until("the description stands", || kept(broker.port).iter().any(is_description));
    let first = kept(broker.port).into_iter().find(is_description).unwrap();
    assert_eq!(first.flags(), (1, true));
    assert_eq!(mqtt.shutdown(PATIENCE), 0);

    // Another process knows nothing of the yard and of falling.
    let subscriber = Subscriber::start(broker.port, &[]);
    subscriber.up_to(is_description);
    let (.., mqtt) = box_of(&config(&["gate"], &["running"]), broker.port);
    let last = subscriber.up_to(|s| is_description(s) && !gone(s).is_empty()).pop().unwrap();
    let expected = [
        "event.gate.falling",
        "event.yard.falling",
        "event.yard.running",
        "fps.yard",
        "state.gate.falling",
        "state.yard.falling",
        "state.yard.running",
        "status.yard",
        "watched.yard",
    ];
    assert_eq!(gone(&last), expected);
    assert_eq!(mqtt.shutdown(PATIENCE), 0);

    // And a third has it off: nothing stays.
    let mut off = config(&["gate"], &["running"]);
    off.homeassistant.enabled = Some(false);
    let (.., mqtt) = box_of(&off, broker.port);
    let empty = subscriber.up_to(|s| is_description(s) && s.payload.is_empty()).pop().unwrap();
    assert!(!empty.retained, "seen live");
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    assert!(!kept(broker.port).iter().any(is_description));
}

#[test]
fn home_assistants_birth_makes_the_box_describe_itself_again() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let subscriber = Subscriber::start(broker.port, &[]);
    let _box = box_of(&config(&["gate"], &["running"]), broker.port);
    let first = subscriber.up_to(is_description).pop().unwrap();
    publish(broker.port, "homeassistant/status", "online", &["-q", "1"]);
    let again = subscriber.up_to(is_description).pop().unwrap();
    assert_eq!(again.payload, first.payload);
}

#[test]
fn a_description_that_moves_or_is_no_longer_wanted_leaves_nothing_behind() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let subscriber = Subscriber::start(broker.port, &[]);
    let mut config = config(&["gate"], &["running"]);
    let (_publisher, home_assistant, _mqtt) = box_of(&config, broker.port);
    subscriber.up_to(is_description);
    config.homeassistant.discovery_prefix = "ha".into();
    home_assistant.describe(&config);
    let mut moved = [
        subscriber.up_to(|s| s.topic.ends_with("/config")),
        subscriber.up_to(|s| s.topic.ends_with("/config")),
    ]
    .map(|mut seen| seen.pop().unwrap());
    moved.sort_by(|a, b| a.topic.cmp(&b.topic));
    let [new, old] = moved;
    assert_eq!((new.topic.as_str(), gone(&new)), ("ha/device/dock-3/config", vec![]));
    assert_eq!((old.topic.as_str(), old.payload.as_str()), (DESCRIPTION, ""));
    config.homeassistant.enabled = None;
    home_assistant.describe(&config);
    let last = subscriber.up_to(|s| s.topic == "ha/device/dock-3/config").pop().unwrap();
    assert_eq!(last.payload, "");
}

// ---- Home Assistant itself

/// Where Home Assistant is installed, and the interpreter that runs it.
fn home_assistant() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("WATCHWORD_HOME_ASSISTANT") else {
        println!("skipped: WATCHWORD_HOME_ASSISTANT does not say where Home Assistant is; see .ci/run");
        return None;
    };
    Some(folder.into())
}

/// What Home Assistant is given, in turn.
#[derive(Default)]
struct Steps(String);

impl Steps {
    fn messages(&mut self, seen: &[Seen]) {
        for Seen { topic, payload, retained, .. } in seen {
            self.step(&json!({ "topic": topic, "payload": payload, "retained": retained }));
        }
    }

    fn step(&mut self, step: &Value) {
        writeln!(self.0, "{step}").unwrap();
    }

    fn look(&mut self) {
        self.step(&json!({ "look": true }));
    }

    /// What Home Assistant makes of it.
    fn replay(&self, installed: &Path) -> Value {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &self.0).unwrap();
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/homeassistant");
        let output = Command::new("node")
            .arg(scripts.join("run.mjs"))
            .arg(installed.join("site"))
            .arg(scripts.join("validate.py"))
            .arg(file.path())
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {complaint}"))
    }
}

/// States by entity.
fn states(look: &Value) -> Vec<(&str, &str)> {
    let entities = look.as_object().unwrap().iter();
    entities.map(|(id, entity)| (id.as_str(), entity["state"].as_str().unwrap())).collect()
}

#[test]
fn home_assistant_accepts_every_component_and_shows_what_the_box_says() {
    need_mosquitto!();
    let Some(installed) = home_assistant() else { return };
    let broker = Mosquitto::start("allow_anonymous true\n");
    let (publisher, home_assistant, mqtt) =
        box_of(&config(&["gate", "yard"], &["climbing_fence", "falling"]), broker.port);
    publisher.camera("gate", true);
    publisher.camera("yard", false);
    publisher.stats(&stats());
    until("the box has said everything", || kept(broker.port).iter().any(|s| s.topic.ends_with("/stats")));
    let mut steps = Steps::default();
    steps.messages(&kept(broker.port));
    steps.look();

    for on in [false, true] {
        steps.step(&json!({ "turn": "switch.dock_3_gate_watched", "on": on }));
    }

    // Events of an action, of another and of one that is not certain.
    let live = Subscriber::start(broker.port, &[]);
    publisher.event(&example());
    publisher.event(&ActionEvent { change: Change::Update, score: 0.5, ..example() });
    publisher.event(&ActionEvent { provisional: true, id: 5_u128.into(), change: Change::End, ..example() });
    let fell = ActionEvent { action: "falling".into(), id: 6_u128.into(), ..example() };
    publisher.event(&fell);
    let events = live.up_to(is_event(6));
    steps.messages(&events.into_iter().filter(|seen| !seen.retained).collect::<Vec<_>>());
    steps.look();

    // The yard goes, and falling with it; then everything.
    home_assistant.describe(&config(&["gate"], &["climbing_fence"]));
    steps.messages(&[live.up_to(is_description).pop().unwrap()]);
    steps.look();
    let mut off = config(&["gate"], &["climbing_fence"]);
    off.homeassistant.enabled = Some(false);
    home_assistant.describe(&off);
    steps.messages(&[live.up_to(is_description).pop().unwrap()]);
    steps.look();
    drop(mqtt);

    let known = steps.replay(&installed);
    let [first, second, third, last] = &known["looks"].as_array().unwrap()[..] else { panic!("{known}") };
    let off_or_away = [
        ("binary_sensor.dock_3_gate_climbing_fence", "off"),
        ("binary_sensor.dock_3_gate_falling", "off"),
        ("binary_sensor.dock_3_yard_climbing_fence", "unavailable"),
        ("binary_sensor.dock_3_yard_falling", "unavailable"),
        ("event.dock_3_gate_climbing_fence", "unknown"),
        ("event.dock_3_gate_falling", "unknown"),
        ("event.dock_3_yard_climbing_fence", "unavailable"),
        ("event.dock_3_yard_falling", "unavailable"),
        ("sensor.dock_3_dropped", "0"),
        ("sensor.dock_3_gate_fps", "9.5"),
        ("sensor.dock_3_gate_status", "online"),
        ("sensor.dock_3_latency", "80.5"),
        ("sensor.dock_3_latency_p95", "unknown"),
        ("sensor.dock_3_memory", "150.0"),
        ("sensor.dock_3_queued", "0"),
        ("sensor.dock_3_temperature", "51.5"),
        ("sensor.dock_3_yard_fps", "0.0"),
        ("sensor.dock_3_yard_status", "paused"),
        ("switch.dock_3_gate_watched", "on"),
        ("switch.dock_3_yard_watched", "off"),
    ];
    assert_eq!(states(first), off_or_away);
    assert_eq!(first["sensor.dock_3_yard_status"]["attributes"]["last_error"], "no \"frames\"");
    let memory = &first["sensor.dock_3_memory"];
    assert_eq!(memory["category"], "diagnostic");
    assert_eq!(
        [&memory["attributes"]["unit_of_measurement"], &memory["attributes"]["device_class"]],
        ["MiB", "data_size"]
    );
    for entity in first.as_object().unwrap().values() {
        let device = [json!(["mqtt", "watchword.dock-3"]), json!("dock-3"), json!(env!("CARGO_PKG_VERSION"))];
        assert_eq!(entity["device"], json!(device), "one device");
    }

    let climbing = &second["event.dock_3_gate_climbing_fence"]["attributes"];
    assert_eq!(climbing["event_type"], "update", "the provisional end is not one");
    assert_eq!(
        [&climbing["score"], &climbing["zones"], &climbing["id"]],
        [&json!(0.5), &json!(["perimeter"]), &json!("01JD2Q6W3M8Z4T0V8R1N7C5K9X")]
    );
    assert_eq!(second["event.dock_3_gate_falling"]["attributes"]["event_type"], "begin");
    assert_eq!(second["binary_sensor.dock_3_gate_climbing_fence"]["state"], "on");
    assert_eq!(second["event.dock_3_yard_falling"]["attributes"]["event_type"], Value::Null);

    let rest: Vec<_> = third.as_object().unwrap().keys().map(String::as_str).collect();
    let gone = |id: &str| id.contains("yard") || id.contains("falling");
    assert_eq!(rest, off_or_away.iter().map(|(id, _)| *id).filter(|id| !gone(id)).collect::<Vec<_>>());
    assert_eq!(*last, json!({}));
    let turned = |paused: bool| {
        let payload = json!({ "camera": "gate", "paused": paused }).to_string();
        json!({ "topic": "watchword/dock-3/command/pause", "payload": payload, "qos": 1, "retain": false })
    };
    assert_eq!(known["published"], json!([turned(true), turned(false)]));
    assert_eq!(known["log"], json!([]), "no warning");
}
