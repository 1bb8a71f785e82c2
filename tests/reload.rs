//! The daemon while it is told to be different: by its file, by SIGHUP, by commands. A real process and a real broker.

#[path = "common/broker.rs"]
mod broker;
mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use broker::{Mosquitto, PATIENCE, Seen, Subscriber, need_mosquitto, publish, until};
use common::{clip, complaint, config, output, watchword};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The daemon in a folder of its own, with everything that it logs.
struct Daemon {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    fn start(folder: &Path) -> Self {
        let mut child = watchword()
            .args(["run", "--config"])
            .arg(folder.join("watchword.toml"))
            .env("STATE_DIRECTORY", folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line))
        });
        Self { child, log }
    }

    fn logged(&self, text: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn stop(mut self) {
        self.signal(Signal::TERM);
        assert!(self.child.wait().unwrap().success(), "{:#?}", self.log.lock().unwrap());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A folder with a configuration for this broker.
fn folder(port: u16, more: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    // On a busy machine there may be seconds between two frames.
    let patient = "[tracker]\nmax_lost = \"20s\"\nmatch_iou = 0.05\nconfirm = 2";
    let more = format!("[mqtt]\nport = {port}\n{more}\n[stats]\ninterval = \"1s\"\n{patient}\n");
    let path = config(folder.path(), &clip().display().to_string(), &more);
    edit(&path, "analysis_fps = 5", "analysis_fps = 5\nloop = true");
    (folder, path)
}

/// Saves the file as editors do: another one in its place.
fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    let new = path.with_extension("new");
    std::fs::write(&new, text.replacen(from, to, 1)).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// A subscriber that does not look at pictures, which are no lines of text.
fn subscribe(port: u16) -> Subscriber {
    Subscriber::start(port, &["-T", "watchword/+/+/snapshot"])
}

/// What fits, or a panic after a while: the daemon never falls silent.
#[track_caller]
fn await_(subscriber: &Subscriber, fits: impl Fn(&Seen) -> bool) -> Seen {
    let (start, mut others) = (Instant::now(), Vec::new());
    while start.elapsed() < PATIENCE {
        let seen = subscriber.next();
        if fits(&seen) {
            return seen;
        }
        others.push((seen.topic, seen.payload.chars().take(100).collect::<String>()));
    }
    panic!("it never came; there came {others:#?}")
}

/// Up to the next word on the configuration after `hash` or `ok` changed as wanted.
fn configuration(subscriber: &Subscriber, fits: impl Fn(&Value) -> bool) -> Value {
    let is_it =
        |seen: &Seen| seen.topic == "watchword/box/config" && !seen.payload.is_empty() && fits(&seen.json());
    await_(subscriber, is_it).json()
}

fn event(subscriber: &Subscriber, fits: impl Fn(&Value) -> bool) -> Value {
    let is_it = |seen: &Seen| seen.topic == "watchword/box/events" && fits(&seen.json());
    await_(subscriber, is_it).json()
}

/// Sends a command; its answer.
fn command(broker: &Mosquitto, subscriber: &Subscriber, name: &str, payload: &str) -> Value {
    publish(broker.port, &format!("watchword/box/command/{name}"), payload, &["-q", "1"]);
    let seen = await_(subscriber, |seen| seen.topic.ends_with(&format!("command/{name}/result")));
    assert_eq!(seen.flags(), (1, false));
    seen.json()
}

#[test]
fn the_file_is_followed_and_a_typo_changes_nothing() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let (folder, path) = folder(broker.port, "");
    let subscriber = subscribe(broker.port);
    let daemon = Daemon::start(folder.path());
    let first = configuration(&subscriber, |status| status["ok"] == true);
    let begin = event(&subscriber, |event| event["type"] == "begin");
    assert_eq!(begin["vocabulary"], first["vocabulary"]);

    edit(&path, "a person walking on a street", "somebody strolling along a street");
    let second = configuration(&subscriber, |status| status["hash"] != first["hash"]);
    assert_eq!(second["ok"], true);
    assert_ne!(second["vocabulary"], first["vocabulary"]);
    let with_new_words = event(&subscriber, |event| event["vocabulary"] == second["vocabulary"]);
    assert!(with_new_words["label"] == "somebody strolling along a street", "{with_new_words}");

    edit(&path, "threshold = 0.3", "threshold = \"high\"\ntreshold = 3");
    let refused = configuration(&subscriber, |status| status["ok"] == false);
    let errors: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
    let line =
        |text: &str| std::fs::read_to_string(&path).unwrap().lines().position(|l| l == text).unwrap() + 1;
    let [wrong, unknown] = errors[..] else { panic!("{errors:#?}") };
    assert!(wrong.contains(&format!("watchword.toml:{}:", line("threshold = \"high\""))), "{wrong}");
    assert!(unknown.contains(&format!("watchword.toml:{}:", line("treshold = 3"))), "{unknown}");
    assert_eq!((&refused["hash"], &refused["vocabulary"]), (&second["hash"], &second["vocabulary"]));
    assert_eq!((daemon.logged(wrong), daemon.logged(unknown)), (1, 1), "and the log has the same");
    subscriber.up_to_topic("watchword/box/stats");
    event(&subscriber, |event| event["vocabulary"] == second["vocabulary"]);

    edit(&path, "threshold = \"high\"\ntreshold = 3", "threshold = 0.25");
    let fixed = configuration(&subscriber, |status| status["ok"] == true);
    assert_ne!(fixed["hash"], second["hash"]);
    assert_eq!(fixed["vocabulary"], second["vocabulary"], "a threshold is no word");

    // The same file again, because somebody said so.
    daemon.signal(Signal::HUP);
    let again = configuration(&subscriber, |status| status["time"] != fixed["time"]);
    assert_eq!((&again["ok"], &again["hash"]), (&json!(true), &fixed["hash"]));
    assert_eq!(daemon.logged("camera opened"), 1, "nobody touched the camera");
    daemon.stop();
}

#[test]
fn other_heads_under_the_same_name_are_loaded_and_broken_ones_are_not() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let (folder, path) = folder(broker.port, "[scoring]\nheads = \"heads.safetensors\"\n");
    let heads = folder.path().join("heads.safetensors");
    edit(&path, "\"heads.safetensors\"", &format!("{heads:?}"));
    let make = |seed: &str| {
        let new = folder.path().join("new");
        let made = output(watchword().args(["lab", "init", "--seed", seed, "--out"]).arg(&new));
        assert!(made.status.success(), "{}", complaint(&made));
        std::fs::rename(new, &heads).unwrap();
    };
    make("1");
    let subscriber = subscribe(broker.port);
    let daemon = Daemon::start(folder.path());
    let first = configuration(&subscriber, |status| status["ok"] == true);

    std::fs::write(&heads, "cut short").unwrap();
    daemon.signal(Signal::HUP);
    let refused = configuration(&subscriber, |status| status["ok"] == false);
    assert!(refused["errors"][0].as_str().unwrap().contains("heads.safetensors"), "{refused}");
    event(&subscriber, |event| event["type"] == "begin"); // with those that it has

    make("2");
    daemon.signal(Signal::HUP);
    let loaded = configuration(&subscriber, |status| status["ok"] == true && status["time"] != first["time"]);
    assert_eq!((loaded["hash"] == first["hash"], daemon.logged("heads loaded")), (true, 1));
    daemon.signal(Signal::HUP);
    configuration(&subscriber, |status| status["time"] != loaded["time"]);
    assert_eq!(daemon.logged("heads loaded"), 1, "they are the same");
    daemon.stop();
}

#[test]
fn cameras_are_added_and_removed_and_brokers_changed_while_it_runs() {
    need_mosquitto!();
    let (broker, other) =
        (Mosquitto::start("allow_anonymous true\n"), Mosquitto::start("allow_anonymous true\n"));
    let (folder, path) = folder(broker.port, "");
    let (subscriber, elsewhere) = (subscribe(broker.port), subscribe(other.port));
    let daemon = Daemon::start(folder.path());
    let says = |topic: &str, payload: &str| {
        let (topic, payload) = (format!("watchword/box/{topic}"), payload.to_owned());
        move |seen: &Seen| seen.topic == topic && seen.payload == payload
    };
    await_(&subscriber, says("gate/availability", "online"));
    let gate = format!("[[camera]]\nname = \"gate\"\nsource = \"{}\"", clip().display());
    let yard = gate.replace("gate", "yard") + "\nloop = true\n";
    edit(&path, "[[camera]]", &format!("{yard}[[camera]]"));
    await_(&subscriber, says("yard/availability", "online"));
    let analysed = |seen: &Seen| seen.json()["cameras"]["yard"]["analysed_fps"].as_f64() > Some(0.0);
    await_(&subscriber, |seen| seen.topic.ends_with("/stats") && analysed(seen));
    edit(&path, &yard, "");
    await_(&subscriber, says("yard/availability", ""));
    assert_eq!(daemon.logged("camera opened"), 2, "each once");

    edit(&path, &format!("port = {}", broker.port), &format!("port = {}", other.port));
    await_(&subscriber, says("availability", "offline"));
    await_(&elsewhere, says("availability", "online"));
    event(&elsewhere, |event| event["camera"] == "gate");
    edit(&path, "name = \"box\"", "name = \"crate\"");
    let waits = configuration(&elsewhere, |status| status["restart"] == json!(["node.name"]));
    assert_eq!(waits["ok"], true);
    assert_eq!(daemon.logged("camera opened"), 2);
    daemon.stop();
}

#[test]
fn commands_are_obeyed_if_they_are_on_and_answered_whatever_they_are() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let (folder, path) = folder(broker.port, "");
    let subscriber = subscribe(broker.port);
    let daemon = Daemon::start(folder.path());
    await_(&subscriber, |seen| seen.topic == "watchword/box/gate/availability" && seen.payload == "online");
    publish(broker.port, "watchword/box/command/pause", "{\"id\": \"too early\"}", &["-q", "1"]);
    publish(broker.port, "watchword/box/command/resume", "{\"id\": \"stale\"}", &["-q", "1", "-r"]);

    edit(&path, "[mqtt]", "[mqtt]\ncommands = true");
    configuration(&subscriber, |status| status["ok"] == true);
    let answer = |name: &str, payload: &str| command(&broker, &subscriber, name, payload);
    // The first answer is that to the first command since: the two before were not obeyed.
    until("commands are on", || {
        publish(broker.port, "watchword/box/command/reload", "{\"id\": 1}", &["-q", "1"]);
        let seen =
            await_(&subscriber, |seen| seen.topic.ends_with("/stats") || seen.topic.ends_with("/result"));
        seen.topic.ends_with("/reload/result") && seen.json()["ok"] == true
    });
    let refused = |name: &str, payload: &str, why: &str| {
        let answer = answer(name, payload);
        assert_eq!(answer["ok"], false, "{name} {payload}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(why), "{name} {payload}: {answer}");
        answer["id"].clone()
    };
    refused("reboot", "{}", "there is no such command");
    refused("pause", "{\"id\": 2", "not JSON");
    refused("pause", &"x".repeat(100_000), "more than the 65536");
    assert_eq!(refused("pause", "{\"id\": 3, \"camera\": \"roof\"}", "there are gate"), 3);
    assert_eq!(refused("snapshot", "{\"id\": 4}", "mqtt.snapshots"), 4);

    assert_eq!(
        answer("pause", "{\"id\": 5, \"camera\": \"gate\"}"),
        json!({"ok": true, "id": 5, "cameras": ["gate"]})
    );
    await_(&subscriber, |seen| seen.topic == "watchword/box/gate/availability" && seen.payload == "offline");
    assert_eq!(answer("resume", ""), json!({"ok": true, "cameras": ["gate"]}));
    await_(&subscriber, |seen| seen.topic == "watchword/box/gate/availability" && seen.payload == "online");

    edit(&path, "[mqtt]", "[mqtt]\nsnapshots = true");
    configuration(&subscriber, |status| status["ok"] == true);
    let mut picture = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-C", "1", "-N"])
        .args(["-t", "watchword/box/gate/snapshot"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    until("a snapshot", || answer("snapshot", "{\"camera\": \"gate\"}")["ok"] == true);
    until("it was received", || {
        answer("snapshot", "{}"); // the subscriber may have come late
        picture.try_wait().unwrap().is_some()
    });
    let jpeg = picture.wait_with_output().unwrap().stdout;
    assert!(jpeg.starts_with(&[0xFF, 0xD8]) && jpeg.ends_with(&[0xFF, 0xD9]) && jpeg.len() > 5_000);
    assert!(daemon.logged("a retained command is not obeyed") > 0);
    daemon.stop();
}

#[test]
fn a_vocabulary_set_over_mqtt_survives_a_restart_and_goes_back_to_the_files() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let (folder, path) = folder(broker.port, "commands = true");
    let subscriber = subscribe(broker.port);
    let daemon = Daemon::start(folder.path());
    let files = configuration(&subscriber, |status| status["ok"] == true);
    let answer = |payload: &Value| command(&broker, &subscriber, "vocabulary", &payload.to_string());

    let bad = json!({"id": 1, "actions": [{"name": "Bad", "phrases": []}, {"name": "x", "phrases": ["y"], "threshold": 7}]});
    let refused = answer(&bad);
    let error = refused["error"].as_str().unwrap();
    assert_eq!((&refused["ok"], &refused["id"]), (&json!(false), &json!(1)));
    for expected in
        ["action[0].name: \"Bad\"", "action[0].phrases: no phrases", "action[1].threshold: 7 is out of range"]
    {
        assert!(error.contains(expected), "{error}");
    }

    let good = json!({
        "id": 2,
        "actions": [{"name": "moving", "phrases": ["a person walking on the grass"], "threshold": 0.3, "minimum_duration": "200ms"}],
        "background": ["a person standing"],
    });
    let obeyed = answer(&good);
    assert_eq!((&obeyed["ok"], &obeyed["persistent"]), (&json!(true), &json!(true)), "{obeyed}");
    assert_ne!(obeyed["vocabulary"], files["vocabulary"]);
    let event =
        event(&subscriber, |event| event["vocabulary"] == obeyed["vocabulary"] && event["type"] == "begin");
    assert_eq!(event["action"], "moving");
    assert_eq!(daemon.logged("camera opened"), 1);
    daemon.stop();

    let shown = output(
        watchword().args(["config", "show", "--config"]).arg(&path).env("STATE_DIRECTORY", folder.path()),
    );
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned() + &complaint(&shown);
    assert!(shown.contains("name = \"moving\"  # set over MQTT at 2"), "{shown}");
    assert!(
        shown.contains("name = \"gate\"  # file, line 6\n") && !shown.contains("walking on a street"),
        "{shown}"
    );

    let daemon = Daemon::start(folder.path());
    let after = configuration(&subscriber, |status| {
        status["time"].as_str() > files["time"].as_str() && status["vocabulary"] == obeyed["vocabulary"]
    });
    assert!(after["vocabulary_set"].is_string(), "{after}");
    // The file goes on to count for everything else, and its errors are told.
    edit(&path, "threshold = 0.95", "threshold = 0.9");
    let edited = configuration(&subscriber, |status| status["hash"] != files["hash"]);
    assert_eq!(edited["vocabulary"], obeyed["vocabulary"]);

    until("commands are heard", || answer(&json!(null))["ok"] == true);
    // It may have come before the answer: what stands on the broker counts.
    let back = configuration(&subscribe(broker.port), |status| status["vocabulary_set"].is_null());
    assert_eq!(back["vocabulary"], files["vocabulary"]);
    daemon.stop();
    assert!(!folder.path().join("vocabulary.json").exists());
}

#[test]
fn what_is_kept_and_cannot_be_used_does_not_keep_the_daemon_from_starting() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let (folder, _) = folder(broker.port, "");
    for kept in ["{", r#"{"since": "2026-11-22T20:14:03Z", "actions": [{"name": "A"}]}"#] {
        std::fs::write(folder.path().join("vocabulary.json"), kept).unwrap();
        let subscriber = subscribe(broker.port);
        let daemon = Daemon::start(folder.path());
        await_(&subscriber, |seen| {
            seen.topic == "watchword/box/gate/availability" && seen.payload == "online"
        });
        assert_eq!(daemon.logged("the vocabulary that was set over MQTT"), 1, "{:#?}", daemon.log.lock());
        daemon.stop();
    }
}
