//! A real broker and a real subscriber, Debian's `mosquitto` and `mosquitto_sub`, around the MQTT client under test.
#![allow(dead_code)] // each test binary uses its own part

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use ulid::Ulid;
use watchword::clock::{Clock, ManualClock};
use watchword::config;
use watchword::event::{ActionEvent, Change};
use watchword::mqtt::{Mqtt, Origin, Publisher, Reconnect};

/// Longer than anything here takes; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Quick, so that tests do not wait.
pub const RECONNECT: Reconnect = Reconnect {
    first: Duration::from_millis(20),
    cap: Duration::from_millis(100),
    stable: Duration::from_secs(10),
};

pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Debian's broker, with its files in a folder of its own.
pub struct Mosquitto {
    process: Killed,
    pub port: u16,
    /// Of a second listener, which the settings call `{other}`.
    pub other: u16,
    pub folder: tempfile::TempDir,
}

impl Mosquitto {
    pub fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings.replace("{folder}", folder.path().to_str().unwrap());
        // A port that is free now may be somebody else's in a moment.
        for _ in 0..10 {
            let [port, other] = [free_port(), free_port()];
            let common = format!("listener {port} 127.0.0.1\nuser root\nmax_queued_messages 0\n");
            let settings = settings.replace("{other}", &other.to_string());
            std::fs::write(folder.path().join("conf"), common + &settings).unwrap();
            if let Some(process) = Self::spawn(folder.path(), port) {
                return Self { process, port, other, folder };
            }
        }
        panic!("mosquitto does not start: {:?}", std::fs::read_to_string(folder.path().join("log")));
    }

    /// `None` if it ended at once.
    fn spawn(folder: &Path, port: u16) -> Option<Killed> {
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let process =
            Command::new("mosquitto").arg("-c").arg(folder.join("conf")).stderr(log).spawn().unwrap();
        let mut process = Killed(process);
        let mut alive = true;
        until("mosquitto listens", || {
            let listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
            // Not just somebody there, but this one.
            let says = std::fs::read_to_string(folder.join("log")).is_ok_and(|log| log.contains(" running"));
            alive = process.0.try_wait().unwrap().is_none();
            !alive || (listens && says)
        });
        alive.then_some(process)
    }

    /// Ends it as a service manager would; what it persists, it saves.
    pub fn stop(&mut self) {
        self.signal(rustix::process::Signal::TERM);
        self.process.0.wait().unwrap();
    }

    /// Ends it as a power cut would; it saves nothing.
    pub fn kill(&mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.process = Self::spawn(self.folder.path(), self.port).expect("its port is free again");
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.process.0), signal).unwrap();
    }
}

pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A message as `mosquitto_sub` saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub topic: String,
    pub qos: u8,
    pub retained: bool,
    pub payload: String,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.payload).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn flags(&self) -> (u8, bool) {
        (self.qos, self.retained)
    }
}

pub struct Subscriber {
    pub lines: Receiver<Seen>,
    _process: Killed,
}

impl Subscriber {
    /// Subscribed to everything, for certain: a probe has come through.
    pub fn start(port: u16, more: &[&str]) -> Self {
        let login: Vec<_> = more.iter().skip_while(|a| **a != "-u").take(4).copied().collect();
        Self::start_as(port, more, "probe", &login)
    }

    /// As `start`, with a probe on a topic that the subscriber may read and `login` may write.
    pub fn start_as(port: u16, more: &[&str], probe: &str, login: &[&str]) -> Self {
        let common = ["-h", "127.0.0.1", "-q", "1", "-t", "#", "-F", "%t %q %r %p"];
        let mut process = Command::new("mosquitto_sub")
            .args(common)
            .args(["-p", &port.to_string()])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        let ready = Arc::new(AtomicBool::new(false));
        let (is_ready, expected) = (Arc::clone(&ready), probe.to_owned());
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let mut words = line.splitn(4, ' ');
                let mut word = || words.next().unwrap_or_default().to_owned();
                let (topic, qos, retained, payload) = (word(), word(), word(), word());
                if topic == expected {
                    is_ready.store(true, Ordering::Relaxed);
                    continue;
                }
                let seen = Seen { topic, qos: qos.parse().unwrap(), retained: retained == "1", payload };
                if sender.send(seen).is_err() {
                    return;
                }
            }
        });
        until("mosquitto_sub has subscribed", || {
            publish(port, probe, "x", login);
            ready.load(Ordering::Relaxed)
        });
        Self { lines, _process: Killed(process) }
    }

    pub fn next(&self) -> Seen {
        self.lines.recv_timeout(PATIENCE).expect("mosquitto_sub received nothing more")
    }

    /// Everything up to and with the first message that fits.
    pub fn up_to(&self, last: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let mut all = Vec::new();
        loop {
            all.push(self.next());
            if all.last().is_some_and(&last) {
                return all;
            }
        }
    }

    pub fn up_to_topic(&self, ending: &str) -> Seen {
        self.up_to(|seen| seen.topic.ends_with(ending)).pop().unwrap()
    }
}

pub fn publish(port: u16, topic: &str, payload: &str, more: &[&str]) {
    Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", topic, "-m", payload])
        .args(more)
        .stderr(Stdio::null())
        .status()
        .unwrap();
}

pub fn settings(port: u16) -> config::Mqtt {
    config::Mqtt { port: Some(port), ..config::Mqtt::default() }
}

pub fn origin() -> Origin {
    Origin { node: "dock-3".into(), pack: "clip-vit-b16-int8@1".into(), vocabulary: "9f31c2d4".into() }
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(Duration::from_millis(100_212), Timestamp::UNIX_EPOCH))
}

pub fn start(settings: &config::Mqtt) -> (Publisher, Mqtt) {
    Mqtt::start_with(settings, origin(), clock(), RECONNECT).unwrap()
}

/// The contract's example.
pub fn example() -> ActionEvent {
    ActionEvent {
        id: "01JD2Q6W3M8Z4T0V8R1N7C5K9X".parse().unwrap(),
        change: Change::Begin,
        camera: "gate".into(),
        track: 17,
        action: "climbing_fence".into(),
        label: "climbing over a fence".into(),
        score: 0.87,
        peak_score: 0.91,
        rect: [0.41, 0.22, 0.55, 0.93],
        zones: vec!["perimeter".into()],
        begin: "2026-11-22T20:14:03.12Z".parse().unwrap(),
        time: "2026-11-22T20:14:03.96Z".parse().unwrap(),
        end: None,
        reason: None,
        provisional: false,
        captured: Duration::from_secs(100),
    }
}

/// Event `n` of a long day: one occurrence each, told apart by the id.
pub fn numbered(n: usize) -> ActionEvent {
    ActionEvent { id: Ulid::from(n as u128), ..example() }
}

/// The numbers of the events among `seen`, in order of arrival.
pub fn numbers(seen: &[Seen]) -> Vec<usize> {
    let events = seen.iter().filter(|s| s.topic.ends_with("/events"));
    events.map(|s| u128::from(s.json()["id"].as_str().unwrap().parse::<Ulid>().unwrap()) as usize).collect()
}

pub fn is_event(n: usize) -> impl Fn(&Seen) -> bool {
    move |seen| numbers(std::slice::from_ref(seen)) == [n]
}

/// As a receiver is told to: repeats dropped.
pub fn without_repeats(numbers: &[usize]) -> Vec<usize> {
    let mut known = std::collections::HashSet::new();
    numbers.iter().copied().filter(|n| known.insert(*n)).collect()
}

/// Everything this test program logs; tests tell their lines by their broker's address.
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn capture() -> Self {
        static BUFFER: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
        let buffer = BUFFER.get_or_init(|| {
            let buffer = Arc::new(Mutex::new(Vec::new()));
            let writer = Arc::clone(&buffer);
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_env_filter("info,rumqttd=off")
                .with_writer(move || Writer(Arc::clone(&writer)))
                .init();
            buffer
        });
        Self(Arc::clone(buffer))
    }

    pub fn lines(&self, about: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        text.lines().filter(|line| line.contains(about)).map(str::to_owned).collect()
    }
}

pub struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns from the test with a message if the programs are not installed.
macro_rules! need_mosquitto {
    () => {
        for program in ["mosquitto", "mosquitto_sub", "mosquitto_pub", "mosquitto_passwd"] {
            if std::process::Command::new(program)
                .arg("--help")
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .status()
                .is_err()
            {
                println!("skipped: {program} is not installed (Debian: mosquitto, mosquitto-clients)");
                return;
            }
        }
    };
}
pub(crate) use need_mosquitto;
