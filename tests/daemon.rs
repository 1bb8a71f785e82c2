//! `watchword run` and `watchword demo` with real brokers and a subscriber that nobody here wrote.

#[path = "common/broker.rs"]
mod broker;
mod common;

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use broker::{Mosquitto, Subscriber, need_mosquitto};
use common::{clip, complaint, config, free_port, output, watchword};
use serde_json::Value;

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

impl Running {
    fn terminate(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// The exit status, if it comes in time.
    fn wait(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }
}

/// `mosquitto_sub` on everything, once somebody listens on `port`.
fn subscribe(port: u16) -> Subscriber {
    broker::until("somebody listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    Subscriber::start(port, &[])
}

/// A broker, a subscriber, and the configuration of a daemon that shows the demo's clip again and again and in which
/// nothing ends by itself, however slow this machine is.
fn scene(folder: &Path, more: &str) -> (Mosquitto, Subscriber, PathBuf) {
    let broker = Mosquitto::start("allow_anonymous true\n");
    let subscriber = subscribe(broker.port);
    let lasting = "[events]\nrelease = \"600s\"\n[tracker]\nmax_lost = \"600s\"\n";
    let more = format!("{lasting}[mqtt]\nport = {}\n{more}", broker.port);
    let path = config(folder, &clip().display().to_string(), &more);
    let text =
        std::fs::read_to_string(&path).unwrap().replace("analysis_fps = 5", "analysis_fps = 5\nloop = true");
    std::fs::write(&path, text).unwrap();
    (broker, subscriber, path)
}

fn is_begin(topic: &str, payload: &str) -> bool {
    topic.ends_with("/events") && payload.contains("\"begin\"")
}

/// Reads topics and payloads until `enough` says so; what was read.
fn until(subscriber: &Subscriber, enough: impl Fn(&str, &str) -> bool) -> Vec<(String, String)> {
    let read = subscriber.up_to(|seen| enough(&seen.topic, &seen.payload));
    read.into_iter().map(|seen| (seen.topic, seen.payload)).collect()
}

fn events(read: &[(String, String)]) -> Vec<Value> {
    let events = read.iter().filter(|(topic, _)| topic == "watchword/box/events");
    events.map(|(_, payload)| serde_json::from_str(payload).unwrap()).collect()
}

#[test]
fn events_reach_a_real_broker_and_a_stop_closes_what_is_open() {
    need_mosquitto!();
    let folder = tempfile::tempdir().unwrap();
    let (_broker, subscriber, path) = scene(folder.path(), "[stats]\ninterval = \"1s\"\n");
    let mut daemon =
        Running(watchword().arg("run").arg("--config").arg(&path).stderr(Stdio::null()).spawn().unwrap());

    let mut read = until(&subscriber, is_begin);
    daemon.terminate();
    let status = daemon.wait(Duration::from_secs(5)).expect("it stops within 5 s of SIGTERM");
    assert!(status.success());
    read.extend(until(&subscriber, |topic, payload| {
        topic == "watchword/box/availability" && payload == "offline"
    }));

    let events = events(&read);
    for begin in events.iter().filter(|e| e["type"] == "begin") {
        let end = events
            .iter()
            .find(|e| e["id"] == begin["id"] && e["type"] == "end")
            .expect("every begin has its end");
        assert!(end["end"].is_string() && end["peak_score"].as_f64() >= begin["score"].as_f64());
        assert_eq!(
            (&begin["node"], &begin["camera"], &begin["pack"]),
            (&"box".into(), &"gate".into(), &"nano@1".into())
        );
    }
    assert!(events.iter().any(|e| e["reason"] == "shutdown"), "one was open when it stopped: {events:#?}");
    let states: Vec<_> =
        read.iter().filter(|(t, _)| t == "watchword/box/gate/walking/state").map(|(_, p)| p).collect();
    assert!(states.contains(&&"ON".to_owned()), "{states:?}");
    assert_eq!(states.last().unwrap().as_str(), "OFF");
    let said = |topic: &str| -> Vec<&str> {
        read.iter().filter(|(t, _)| t == topic).map(|(_, payload)| payload.as_str()).collect()
    };
    assert_eq!(said("watchword/box/gate/availability"), ["offline", "online", "offline"]);
    assert!(said("watchword/box/stats").iter().any(|payload| payload.contains(r#""status":"online""#)));
}

#[test]
fn what_was_open_when_it_was_killed_is_closed_after_the_restart() {
    need_mosquitto!();
    let folder = tempfile::tempdir().unwrap();
    let (_broker, subscriber, path) = scene(folder.path(), "");
    let daemon = || {
        let mut command = watchword();
        // As systemd tells it with StateDirectory=.
        command.arg("run").arg("--config").arg(&path).env("STATE_DIRECTORY", folder.path());
        Running(command.stderr(Stdio::null()).spawn().unwrap())
    };
    let begun = {
        let mut daemon = daemon();
        let read = until(&subscriber, is_begin);
        daemon.0.kill().unwrap();
        daemon.0.wait().unwrap();
        events(&read).pop().unwrap()
    };
    assert!(folder.path().join("spool.db").exists());
    let _daemon = daemon();
    let read = until(&subscriber, |_, payload| payload.contains("\"reason\":\"restart\""));
    let end = events(&read).pop().unwrap();
    assert_eq!((&end["id"], &end["type"], &end["node"]), (&begun["id"], &"end".into(), &"box".into()));
    assert!(end["end"].as_str() >= begun["time"].as_str());
    let off = |(topic, word): &(String, String)| topic.ends_with("/walking/state") && word == "OFF";
    assert!(read.iter().any(off), "the state is put right before the event: {read:#?}");
}

#[test]
fn the_embedded_broker_serves_strangers() {
    need_mosquitto!();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let more = format!("[mqtt]\nbroker = \"embedded\"\nport = {port}\n");
    let path = config(folder.path(), &clip().display().to_string(), &more);
    let _daemon =
        Running(watchword().arg("run").arg("--config").arg(&path).stderr(Stdio::null()).spawn().unwrap());
    let subscriber = subscribe(port);
    until(&subscriber, |topic, payload| topic.ends_with("/events") && payload.contains("\"end\""));
}

#[test]
fn with_port_0_the_embedded_broker_takes_a_free_one_and_a_reload_leaves_it_there() {
    need_mosquitto!();
    let folder = tempfile::tempdir().unwrap();
    let more = "[mqtt]\nbroker = \"embedded\"\nport = 0\n";
    let path = config(folder.path(), &clip().display().to_string(), more);
    let mut daemon =
        Running(watchword().arg("run").arg("--config").arg(&path).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(daemon.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let listens = lines.find(|line| line.contains("broker listens")).expect("it says where");
    let (_, port) = listens.split_once("address=127.0.0.1:").expect(&listens);
    let subscriber = subscribe(port.parse().unwrap());
    std::thread::spawn(move || lines.for_each(drop));

    let status = |fits: &dyn Fn(&Value) -> bool| {
        let parsed = |payload: &str| serde_json::from_str::<Value>(payload).unwrap();
        let read =
            until(&subscriber, |topic, payload| topic == "watchword/box/config" && fits(&parsed(payload)));
        parsed(&read.last().unwrap().1)
    };
    let before = status(&|_| true);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("threshold = 0.95", "threshold = 0.9")).unwrap();
    let after = status(&|now| now["hash"] != before["hash"]);
    assert_eq!((&after["ok"], &after["restart"]), (&true.into(), &serde_json::json!([])), "{after}");
}

#[test]
fn a_camera_that_is_not_there_does_not_stop_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let more = "[mqtt]\nbroker = \"embedded\"\nport = 0\n";
    let path = config(folder.path(), "/dev/video-that-is-not-there", more);
    let mut daemon =
        Running(watchword().arg("run").arg("--config").arg(&path).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(daemon.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let lost = lines.find(|line| line.contains("camera lost")).expect("it says so");
    assert!(lost.contains("/dev/video-that-is-not-there") && lost.contains("retry_in"), "{lost}");
    std::thread::spawn(move || lines.for_each(drop));
    daemon.terminate();
    assert!(daemon.wait(Duration::from_secs(5)).expect("it stops within 5 s of SIGTERM").success());
}

/// A daemon that watches `source`, and its service manager's ear.
fn service(folder: &Path, source: &str) -> (Running, UnixDatagram) {
    let socket = folder.join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let more = "[mqtt]\nbroker = \"embedded\"\nport = 0\n";
    let path = config(folder, source, more);
    if !source.starts_with("/dev") {
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("analysis_fps = 5", "analysis_fps = 5\nloop = true")).unwrap();
    }
    let mut command = watchword();
    command.arg("run").arg("--config").arg(&path).stderr(Stdio::null());
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "2000000").env_remove("WATCHDOG_PID");
    (Running(command.spawn().unwrap()), manager)
}

/// Listens until `wanted` is heard; what was heard.
fn hear(manager: &UnixDatagram, wanted: &str) -> Vec<String> {
    let (mut heard, mut buffer) = (Vec::new(), [0; 512]);
    while heard.last().is_none_or(|message| message != wanted) {
        let length = match manager.recv(&mut buffer) {
            // Another test's child has ended; with a time-out the system does not begin anew by itself.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            length => length.unwrap_or_else(|error| panic!("{error}; heard {heard:#?}")),
        };
        heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    heard
}

#[test]
fn a_service_is_ready_with_its_first_frame_and_gives_signs_of_life() {
    let folder = tempfile::tempdir().unwrap();
    let (mut daemon, manager) = service(folder.path(), &clip().display().to_string());
    let heard = hear(&manager, "READY=1");
    assert_eq!(heard[0], "STATUS=0 of 1 cameras online, gate opening");
    assert!(heard.contains(&"STATUS=1 of 1 cameras online".into()), "{heard:#?}");
    for _ in 0..3 {
        hear(&manager, "WATCHDOG=1");
    }
    daemon.terminate();
    hear(&manager, "STOPPING=1");
    assert!(daemon.wait(Duration::from_secs(5)).expect("it stops within 5 s of SIGTERM").success());
}

#[test]
fn a_service_whose_camera_is_not_there_is_ready_and_lives() {
    let folder = tempfile::tempdir().unwrap();
    let (_daemon, manager) = service(folder.path(), "/dev/video-that-is-not-there");
    let heard = hear(&manager, "READY=1");
    assert!(heard.contains(&"STATUS=0 of 1 cameras online, gate lost".into()), "{heard:#?}");
    for _ in 0..3 {
        hear(&manager, "WATCHDOG=1");
    }
}

#[test]
fn the_demo_shows_what_it_claims() {
    let folder = tempfile::tempdir().unwrap();
    let result = output(watchword().arg("demo").arg("--json").arg("--out").arg(folder.path()));
    assert!(result.status.success(), "{}", complaint(&result));
    let summary: Value = serde_json::from_slice(&result.stdout).unwrap();
    assert!(
        summary["analysed"].as_u64().unwrap() > 20 && summary["persons"].as_u64().unwrap() > 20,
        "{summary}"
    );
    assert_eq!(summary["undelivered"], 0);
    let events = summary["events"].as_object().unwrap();
    assert_eq!(
        events.keys().collect::<Vec<_>>(),
        ["on_the_lawn", "on_the_road"],
        "and nothing else: {summary}"
    );
    for file in ["annotated.avi", "annotated.jpg"] {
        assert!(folder.path().join(file).metadata().unwrap().len() > 10_000, "{file}");
    }
}

#[test]
fn a_demo_may_be_shorter() {
    let folder = tempfile::tempdir().unwrap();
    let demo = |seconds: &str| {
        output(watchword().args(["demo", "--json", "--seconds", seconds, "--out"]).arg(folder.path()))
    };
    let result = demo("0.8");
    assert!(result.status.success(), "{}", complaint(&result));
    let summary: Value = serde_json::from_slice(&result.stdout).unwrap();
    assert_eq!((&summary["frames"], &summary["analysed"]), (&8.into(), &4.into()), "{summary}");
    assert!(complaint(&demo("0")).contains("more than 0"));
}
