//! What the page shows and changes: live pictures, the timeline, words, zones. A real daemon that plays the demo's clip.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{clip, config, watchword};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// Longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A daemon in a folder of its own, and its page.
struct Daemon {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Daemon {
    /// Shows the clip again and again; whatever begins goes on until it is stopped.
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = scene(folder.path(), more);
        Self::run(folder, path)
    }

    fn run(folder: tempfile::TempDir, path: PathBuf) -> Self {
        Self::run_with(folder, path, Stdio::null())
    }

    fn run_with(folder: tempfile::TempDir, path: PathBuf, stdin: Stdio) -> Self {
        let mut child = watchword()
            .args(["run", "--config"])
            .arg(&path)
            .stdin(stdin)
            .env("STATE_DIRECTORY", folder.path())
            .env("WATCHWORD__WEB__ADDRESS", "127.0.0.1:0")
            .env("WATCHWORD__MQTT__PORT", "0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("page is at ")).expect("it says where its page is");
        let port = line.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        let daemon = Self { child, port, folder, path };
        assert_eq!(daemon.get("/api/v1/cameras").0, 200);
        std::thread::spawn(move || lines.for_each(|line| eprintln!("{line}")));
        daemon
    }

    /// As a service manager ends it, and starts it again.
    fn restart(mut self) -> Self {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        Self::run(folder, self.path.clone())
    }

    fn url(&self, address: &str) -> String {
        format!("http://127.0.0.1:{}{address}", self.port)
    }

    fn get(&self, address: &str) -> (u16, Value) {
        let (status, _, body) = self.bytes(address);
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Status, kind and body.
    fn bytes(&self, address: &str) -> (u16, String, Vec<u8>) {
        let mut answer = agent().get(self.url(address)).call().unwrap();
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let body = answer.body_mut().read_to_vec().unwrap();
        (answer.status().as_u16(), kind.unwrap_or_default(), body)
    }

    fn put(&self, address: &str, body: &Value) -> (u16, Value) {
        answered(agent().put(self.url(address)).content_type("application/json").send(body.to_string()))
    }

    fn post(&self, address: &str, body: &Value) -> (u16, Value) {
        answered(agent().post(self.url(address)).content_type("application/json").send(body.to_string()))
    }

    /// Asks until the answer is as wanted.
    #[track_caller]
    fn until(&self, address: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let (status, answer) = self.get(address);
            if status == 200 && fits(&answer) {
                return answer;
            }
            assert!(start.elapsed() < PATIENCE, "{address} never was as wanted: {status} {answer:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// How many threads of this name the daemon has.
    fn threads(&self, name: &str) -> usize {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|other| other.trim() == name).count()
    }

    /// Watches a camera, as a page of the site `origin` would.
    fn live(&self, camera: &str, origin: Option<&str>) -> tungstenite::Result<WebSocket<TcpStream>> {
        let url = format!("ws://127.0.0.1:{}/api/v1/cameras/{camera}/live", self.port);
        let mut request = url.into_client_request()?;
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        tungstenite::client(request, stream).map(|(socket, _)| socket).map_err(|error| match error {
            HandshakeError::Failure(error) => error,
            HandshakeError::Interrupted(_) => panic!("the socket blocks"),
        })
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn answered(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
    let mut answer = answer.unwrap();
    let body = answer.body_mut().read_to_vec().unwrap();
    (answer.status().as_u16(), serde_json::from_slice(&body).unwrap_or_default())
}

/// The configuration, with comments to be kept.
fn scene(folder: &Path, more: &str) -> PathBuf {
    let lasting =
        "[events]\nrelease = \"600s\"\n[tracker]\nmax_lost = \"600s\"\nmatch_iou = 0.05\nconfirm = 2\n";
    let more = format!("{lasting}[mqtt]\nbroker = \"embedded\"\n{more}");
    let path = config(folder, &clip().display().to_string(), &more);
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("analysis_fps = 5", "analysis_fps = 5 # enough\nloop = true\n# ours\n");
    fs::write(&path, text.replace("threshold = 0.95", "threshold = 0.95 # rare")).unwrap();
    path
}

/// The parts of a live message.
fn parts(message: &[u8]) -> (Value, &[u8]) {
    let length = u32::from_le_bytes(message[..4].try_into().unwrap()) as usize;
    (serde_json::from_slice(&message[4..4 + length]).unwrap(), &message[4 + length..])
}

#[test]
fn live_pictures_come_with_who_is_in_them_while_somebody_watches() {
    let daemon = Daemon::start("");
    let cameras = daemon.until("/api/v1/cameras", |cameras| cameras[0]["size"].is_array());
    assert_eq!((&cameras[0]["name"], &cameras[0]["status"]), (&json!("gate"), &json!("online")));
    assert_eq!(cameras[0]["actions"], json!(["walking", "cycling"]));
    let (status, kind, picture) = daemon.bytes("/api/v1/cameras/gate/picture");
    assert!(status == 200 && kind == "image/jpeg" && picture.starts_with(&[0xff, 0xd8]), "{status} {kind}");

    match daemon.live("gate", Some("http://elsewhere.example")) {
        Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 403),
        other => panic!("another site's page is shown nothing: {other:?}"),
    }
    assert_eq!(daemon.threads("live gate"), 0, "nobody has watched yet");
    // One that never reads does not hold up the other.
    let slow = daemon.live("gate", None).unwrap();
    let mut socket = daemon.live("gate", None).unwrap();
    let mut times = Vec::new();
    while times.len() < 5 {
        let Message::Binary(message) = socket.read().unwrap() else { continue };
        let (told, jpeg) = parts(&message);
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && told["size"] == cameras[0]["size"], "{told}");
        // Who has just come may not have been looked at yet.
        let is_scored = |track: &&Value| track["actions"] != json!([]);
        if let Some(track) = told["tracks"].as_array().unwrap().iter().find(is_scored) {
            assert!(track["id"].is_u64() && track["box"][2].as_f64() <= Some(1.0), "{track}");
            assert_eq!(track["actions"].as_array().unwrap().len(), 2);
            times.push(told["time"].as_str().unwrap().to_owned());
        }
    }
    assert!(times.is_sorted());
    assert_eq!(daemon.threads("live gate"), 1);
    drop((slow, socket));
    let start = Instant::now();
    while daemon.threads("live gate") > 0 {
        assert!(start.elapsed() < PATIENCE, "it encodes on, and nobody watches");
        std::thread::sleep(Duration::from_millis(100));
    }

    assert_eq!(daemon.post("/api/v1/cameras/gate/pause", &json!({})).0, 204);
    daemon.until("/api/v1/cameras", |cameras| cameras[0]["status"] == "paused");
    assert_eq!(daemon.get("/api/v1/cameras/gate/picture").0, 503);
    assert_eq!(daemon.post("/api/v1/cameras/gate/resume", &json!({})).0, 204);
    daemon.until("/api/v1/cameras", |cameras| cameras[0]["status"] == "online");
    for address in ["/picture", "/live", "/regions"] {
        let (status, problem) = daemon.get(&format!("/api/v1/cameras/roof{address}"));
        assert_eq!(status, 404);
        assert!(problem["error"].as_str().unwrap().contains("there are gate"), "{problem}");
    }
}

#[test]
fn the_timeline_tells_what_happened_also_after_a_restart() {
    let daemon = Daemon::start("snapshots = true\n");
    let stream = agent().get(daemon.url("/api/v1/events/stream")).call().unwrap();
    assert_eq!(stream.headers().get("content-type").unwrap(), "text/event-stream");
    let lines = BufReader::new(stream.into_body().into_reader()).lines().map_while(Result::ok);
    let told = lines.filter_map(|line| Some(line.strip_prefix("data: ")?.to_owned())).next().unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["camera"], &told["action"], &told["end"]),
        (&json!("gate"), &json!("walking"), &Value::Null)
    );

    let id = told["id"].as_str().unwrap();
    let event =
        daemon.until(&format!("/api/v1/events/{id}"), |event| event["scores"].as_array().unwrap().len() > 1);
    assert!(event["box"].as_array().unwrap().len() == 4 && event["begin"] == told["begin"], "{event}");
    let pictured = daemon.until("/api/v1/events?camera=gate&action=walking&limit=500", |events| {
        events["events"].as_array().unwrap().iter().any(|event| event["has_picture"] == true)
    });
    let pictured =
        pictured["events"].as_array().unwrap().iter().find(|event| event["has_picture"] == true).unwrap();
    let picture = daemon.bytes(&format!("/api/v1/events/{}/picture", pictured["id"].as_str().unwrap()));
    assert!(picture.0 == 200 && picture.1 == "image/jpeg" && picture.2.starts_with(&[0xff, 0xd8]));
    for nothing in ["camera=roof", "action=cycling", "zone=lawn", "to=2001-01-01T00:00:00Z", "before=x"] {
        assert_eq!(daemon.get(&format!("/api/v1/events?{nothing}")).1["events"], json!([]), "{nothing}");
    }
    assert_eq!(daemon.get("/api/v1/events?from=yesterday").0, 400);
    assert_eq!(daemon.get("/api/v1/events/none").0, 404);

    let daemon = daemon.restart();
    let all = daemon.until("/api/v1/events?limit=500", |events| {
        events["events"].as_array().unwrap().iter().any(|event| event["id"] == id)
    });
    let same = all["events"].as_array().unwrap().iter().find(|event| event["id"] == id).unwrap();
    assert!(same["end"].is_string(), "what was open ended with the daemon: {same}");
}

#[test]
fn words_are_tried_then_saved_and_the_files_comments_stay() {
    let daemon = Daemon::start("");
    let before = daemon.get("/api/v1/vocabulary").1;
    assert_eq!((&before["from"], &before["writable"]), (&json!("file"), &json!(true)));
    assert_eq!(before["actions"][0]["minimum_duration"], "400ms");

    let words = json!({
        "actions": [{"name": "strolling", "phrases": ["a person strolling"]}, {"name": "x", "phrases": ["a red car"]}],
        "background": ["nobody at all"],
    });
    let start = Instant::now();
    let tried = loop {
        let (status, tried) = daemon.post("/api/v1/vocabulary/try", &words);
        assert_eq!(status, 200, "{tried}");
        // There are moments at which nobody is in the picture.
        if tried["cameras"][0]["persons"].as_array().is_some_and(|persons| !persons.is_empty()) {
            break tried;
        }
        assert!(start.elapsed() < PATIENCE, "{tried}");
    };
    let person = &tried["cameras"][0]["persons"][0];
    let (a, b) = (person["scores"]["strolling"].as_f64().unwrap(), person["scores"]["x"].as_f64().unwrap());
    assert!((0.0..=1.0).contains(&a) && (0.0..=1.0).contains(&b) && a > b, "{tried}");
    assert_eq!(daemon.get("/api/v1/vocabulary").1, before, "nothing was saved");
    let blank = json!({"actions": [{"name": "x", "phrases": [" "]}]});
    assert_eq!(daemon.post("/api/v1/vocabulary/try", &blank).0, 422);
    let long = json!({"actions": [{"name": "x", "phrases": ["x".repeat(301)]}]});
    assert_eq!(daemon.post("/api/v1/vocabulary/try", &long).0, 422);

    let histograms = daemon.until("/api/v1/scores?camera=gate", |scores| {
        scores["actions"][0]["counts"].as_array().unwrap().iter().any(|count| count.as_u64() > Some(0))
    });
    assert_eq!(histograms["edges"].as_array().unwrap().len(), 21);
    assert_eq!(
        (&histograms["actions"][1]["name"], &histograms["actions"][1]["threshold"]),
        (&json!("cycling"), &json!(0.95))
    );

    let wrong = json!({"actions": [{"name": "Not A Slug", "phrases": ["x"]}], "background": []});
    let text = daemon.text();
    let (status, problem) = daemon.put("/api/v1/vocabulary", &wrong);
    assert!(status == 422 && problem["problems"][0].as_str().unwrap().contains("Not A Slug"), "{problem}");
    assert_eq!(daemon.text(), text);

    let wanted = json!({
        "actions": [
            {"name": "strolling", "was": "walking", "phrases": ["a person strolling"], "threshold": 0.4, "minimum_duration": "1s"},
            {"name": "cycling", "phrases": ["a person riding a bicycle"], "threshold": 0.95, "minimum_duration": "500ms"},
            {"name": "digging", "phrases": ["a person digging"]},
        ],
        "background": ["a person standing", "a person sitting"],
    });
    let (status, saved) = daemon.put("/api/v1/vocabulary", &wanted);
    assert_eq!((status, &saved["saved"]), (200, &json!("file")), "{saved}");
    let after = daemon.get("/api/v1/vocabulary").1;
    assert_eq!(after["actions"][0]["name"], "strolling");
    assert_eq!(after["actions"].as_array().unwrap().len(), 3);
    let text = daemon.text();
    for kept in ["analysis_fps = 5 # enough", "# ours", "threshold = 0.95 # rare"] {
        assert!(text.contains(kept), "{kept} is gone:\n{text}");
    }
    daemon.until("/api/v1/events?action=strolling", |events| events["events"][0].is_object());
    let daemon = daemon.restart();
    assert_eq!(daemon.get("/api/v1/vocabulary").1, after);

    // Another wrote the file meanwhile, and is not done.
    fs::write(&daemon.path, daemon.text() + "\n[mqtt\n").unwrap();
    let (status, problem) = daemon.put("/api/v1/vocabulary", &words);
    assert!(status == 409 && problem["error"].as_str().unwrap().contains("changed meanwhile"), "{problem}");
}

#[test]
fn zones_and_masks_are_drawn_into_the_file_and_take_effect() {
    let daemon = Daemon::start("");
    let url = "/api/v1/cameras/gate/regions";
    assert_eq!(daemon.get(url).1, json!({"zones": [], "masks": []}));
    let drawn = json!({
        "zones": [{"name": "lawn", "polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]}],
        "masks": [[[0.0, 0.0], [0.1, 0.0], [0.05, 0.12345678]]],
    });
    let (status, saved) = daemon.put(url, &drawn);
    assert_eq!((status, &saved["saved"]), (200, &json!("file")), "{saved}");
    let after = daemon.get(url).1;
    assert_eq!(after["zones"], drawn["zones"]);
    assert_eq!(after["masks"][0][2], json!([0.05, 0.1235]));
    assert!(daemon.text().contains("# enough") && daemon.text().contains("# ours"));
    let event = daemon.until("/api/v1/events?zone=lawn", |events| events["events"][0].is_object());
    assert_eq!(event["events"][0]["zones"], json!(["lawn"]));

    let text = daemon.text();
    let line = json!({"zones": [{"name": "line", "polygon": [[0.1, 0.1], [0.2, 0.2]]}], "masks": []});
    let (status, problem) = daemon.put(url, &line);
    assert!(status == 422 && problem["problems"][0].as_str().unwrap().contains("polygon"), "{problem}");
    assert_eq!(daemon.put(url, &json!({"zones": []})).0, 422);
    assert_eq!(daemon.text(), text);
    assert_eq!(daemon.put(url, &json!({"zones": [], "masks": []})).0, 200);
    assert_eq!(daemon.get(url).1, json!({"zones": [], "masks": []}));
}

#[test]
fn where_the_file_cannot_be_written_words_are_kept_and_zones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read(scene(folder.path(), "")).unwrap();
    // What comes through a pipe cannot be written back, whoever tries.
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::thread::spawn(move || writer.write_all(&text));
    let daemon = Daemon::run_with(folder, "/dev/stdin".into(), reader.into());
    let before = daemon.get("/api/v1/vocabulary").1;
    assert_eq!((&before["from"], &before["writable"]), (&json!("file"), &json!(false)));
    let (status, problem) = daemon.put("/api/v1/cameras/gate/regions", &json!({"zones": [], "masks": []}));
    assert!(status == 409 && problem["error"].as_str().unwrap().contains("ReadWritePaths="), "{problem}");

    let wanted = json!({"actions": [{"name": "digging", "phrases": ["a person digging"]}], "background": ["a person"]});
    let (status, saved) = daemon.put("/api/v1/vocabulary", &wanted);
    assert_eq!((status, &saved["saved"]), (200, &json!("command")), "{saved}");
    let after = daemon.get("/api/v1/vocabulary").1;
    assert_eq!((&after["from"], &after["actions"][0]["name"]), (&json!("command"), &json!("digging")));
    assert!(fs::read_to_string(daemon.folder.path().join("vocabulary.json")).unwrap().contains("digging"));
}
