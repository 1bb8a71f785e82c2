//! Streams through the real ffmpeg from a real RTSP server that asks for a password: what is seen of it from outside,
//! and what happens when the server dies, falls silent and comes back.

mod common;
#[path = "common/puppets.rs"]
mod puppets;
#[path = "common/watcher.rs"]
mod watcher;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{installed, watchword};
use rustix::process::{Pid, Signal, kill_process};
use watcher::{PATIENCE, Watcher, config, pipeline};
use watchword::camera::{self, Stop};
use watchword::clock::SystemClock;
use watchword::config::{self, Hwaccel, RtspTransport, Span};
use watchword::frame::Frame;
use watchword::pipeline::{Delivery, Feed, Gate, Status};

const USER: &str = "operator";
/// With everything that has a meaning in an address, a script or a shell.
const PASSWORD: &str = "s3cr#t/p@ss:w'rd?%41 $x";

/// Debian's, which knows Debian's GStreamer.
const PYTHON: &str = "/usr/bin/python3";

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn script() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/rtsp_server.py")
    }

    fn start(port: u16) -> Self {
        let mut command = Command::new(PYTHON);
        command.arg(Self::script()).args([&port.to_string(), USER, PASSWORD]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { port: line.trim().parse().expect("the server says its port"), child }
    }

    fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/camera", self.port)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// One test at a time, for they count this process's children; `None`, with a message, where something is missing.
fn alone() -> Option<MutexGuard<'static, ()>> {
    static ALONE: Mutex<()> = Mutex::new(());
    let served = Command::new(PYTHON).arg(Server::script()).stderr(Stdio::null()).status();
    if !served.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no GStreamer RTSP server; see tests/common/rtsp_server.py");
        return None;
    }
    (installed("ffmpeg") && installed("ffprobe"))
        .then(|| ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A camera of that server, its password in a file of `folder`.
fn camera(folder: &Path, url: String, password: &str) -> config::Camera {
    let file = folder.join("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    config::Camera {
        name: "gate".into(),
        source: url,
        username: Some(USER.into()),
        password_file: Some(file.into()),
        stall_timeout: Span::from_secs_f64(1.0),
        ..Default::default()
    }
}

/// The children of process `parent`: number and command line.
fn children(parent: u32) -> Vec<(u32, String)> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_parent = numbers.filter(|number| {
        let status = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // After the name, which may hold anything: the state, then the parent.
        let rest = status.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.split_whitespace().nth(1).and_then(|p| p.parse().ok()) == Some(parent)
    });
    of_parent
        .map(|number| {
            (number, std::fs::read_to_string(format!("/proc/{number}/cmdline")).unwrap_or_default())
        })
        .collect()
}

fn programs() -> Vec<(u32, String)> {
    children(std::process::id()).into_iter().filter(|(_, line)| line.starts_with("ff")).collect()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn poll(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "it never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_stream_with_a_password_is_read_and_nobody_sees_the_password() {
    let Some(_alone) = alone() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(0);
    for rtsp_transport in [RtspTransport::Tcp, RtspTransport::Udp] {
        let camera = config::Camera { rtsp_transport, ..camera(folder.path(), server.url(), PASSWORD) };
        let mut source = camera::open(&camera, Arc::new(SystemClock), Stop::new()).unwrap();
        assert!(source.info().live && source.info().width == 320, "{:?}", source.info());
        let mut frame = Frame::default();
        for _ in 0..5 {
            assert!(source.read(&mut frame).unwrap());
        }
        let programs = programs();
        let [(number, line)] = &programs[..] else { panic!("{programs:?}") };
        let environment = std::fs::read_to_string(format!("/proc/{number}/environ")).unwrap();
        for secret in [USER, "s3cr", "127.0.0.1"] {
            assert!(!line.contains(secret) && !environment.contains(secret), "{secret}: {line}");
        }
        assert!(!source.info().description.contains("s3cr"), "{:?}", source.info());
    }
    assert_eq!(programs(), [], "a dropped source leaves nobody behind");

    let wrong = camera(folder.path(), server.url(), "s3cr3t");
    let error = camera::open(&wrong, Arc::new(SystemClock), Stop::new()).err().unwrap().to_string();
    assert!(error.contains("401") && error.contains(&server.url()), "{error}");
    assert!(!error.contains("s3cr3t"), "{error}");
}

#[test]
fn hardware_that_is_not_there_is_done_without() {
    let Some(_alone) = alone() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(0);
    // No machine has all of these; one that has some reads through them.
    for hwaccel in [Hwaccel::Auto, Hwaccel::Vaapi, Hwaccel::Nvdec, Hwaccel::V4l2m2m, Hwaccel::Rkmpp] {
        let camera = config::Camera { hwaccel, ..camera(folder.path(), server.url(), PASSWORD) };
        let mut source = camera::open(&camera, Arc::new(SystemClock), Stop::new()).unwrap();
        let mut frame = Frame::default();
        for _ in 0..3 {
            assert!(source.read(&mut frame).unwrap(), "{hwaccel:?}");
        }
    }
}

#[test]
fn a_server_that_dies_or_falls_silent_is_found_again_and_nothing_leaks() {
    let Some(_alone) = alone() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(0);
    let (stop, watcher) = (Stop::new(), Watcher::default());
    let camera = camera(folder.path(), server.url(), PASSWORD);
    let feed = {
        let camera = camera.clone();
        let stop = stop.child();
        let own = stop.clone();
        let open = move || camera::open(&camera, Arc::new(SystemClock), stop.clone());
        Feed {
            camera: Default::default(),
            open: Box::new(open),
            delivery: Delivery::Latest,
            gate: Gate::default(),
            stop: own,
        }
    };
    let mut pipeline = pipeline(config(), vec![feed]);
    let before = descriptors();
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| pipeline.run(&mut watcher.clone(), &stop).unwrap());
        let until = |status| {
            watcher.until("a status", |notes| notes.statuses.last() == Some(&(String::new(), status)));
        };
        until(Status::Online);
        let while_running = descriptors();
        for round in 0..4 {
            if round % 2 == 0 {
                server.signal(Signal::KILL);
                until(Status::Lost);
                let restarted = Server::start(server.port);
                drop(std::mem::replace(&mut server, restarted));
            } else {
                server.signal(Signal::STOP);
                until(Status::Lost);
                server.signal(Signal::CONT);
            }
            until(Status::Online);
            poll("one program", || programs().len() == 1);
            poll("no more descriptors", || descriptors() <= while_running);
        }
        stop.set();
        running.join().unwrap()
    });
    assert!(report.cameras[0].reopened >= 4, "{report:?}");
    let error = report.cameras[0].last_error.clone().unwrap();
    assert!(!error.contains("s3cr"), "{error}");
    assert_eq!(programs(), []);
    assert!(descriptors() <= before, "{before} descriptors before, {} after", descriptors());
}

#[test]
fn a_killed_daemon_leaves_no_ffmpeg_behind() {
    let Some(_alone) = alone() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(0);
    let more = "[mqtt]\nbroker = \"embedded\"\nport = 0\n";
    let path = common::config(folder.path(), &server.url(), more);
    let file = folder.path().join("password");
    std::fs::write(&file, PASSWORD).unwrap();
    let keys = format!("analysis_fps = 5\nusername = {USER:?}\npassword_file = {file:?}");
    let text = std::fs::read_to_string(&path).unwrap().replace("analysis_fps = 5", &keys);
    std::fs::write(&path, text).unwrap();
    let mut daemon = watchword().arg("run").arg("--config").arg(&path).stderr(Stdio::null()).spawn().unwrap();
    let mut streaming = 0;
    poll("ffmpeg", || {
        let found = children(daemon.id()).into_iter().find(|(_, line)| line.starts_with("ffmpeg"));
        streaming = found.as_ref().map_or(0, |(number, _)| *number);
        found.is_some()
    });
    daemon.kill().unwrap(); // SIGKILL: it has no say in what becomes of its children
    daemon.wait().unwrap();
    poll("its end", || {
        let line = std::fs::read_to_string(format!("/proc/{streaming}/cmdline")).unwrap_or_default();
        !line.starts_with("ffmpeg")
    });
}
