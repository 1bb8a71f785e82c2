//! The box's own page, on a running daemon: who gets in, what is refused, and that answers are as they are described.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{NOBODY, clip, config, watchword};
use serde_json::{Value, json};
use ureq::http::{HeaderMap, Request};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// What is waited for comes long before; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);
const TOKEN: &str = "a-token-that-nobody-guesses";

/// A daemon that shows the demo's clip again and again to nobody but the page.
struct Daemon {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// With these lines in `[web]`, in a folder with a password's hash and a token.
    fn start(web: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), TOKEN).unwrap();
        Self::start_in(folder, web)
    }

    fn start_in(folder: tempfile::TempDir, web: &str) -> Self {
        let web = web.replace("FOLDER", &folder.path().display().to_string());
        let more = format!("[mqtt]\nport = {NOBODY}\n[stats]\ninterval = \"1s\"\n[web]\n{web}\n");
        let path = config(folder.path(), &clip().display().to_string(), &more);
        edit(&path, "analysis_fps = 5", "analysis_fps = 5\nloop = true");
        let mut command = watchword();
        command.arg("run").arg("--config").arg(&path).env("STATE_DIRECTORY", folder.path());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
        });
        Self { child, log, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("watchword.toml")
    }

    fn lines(&self, text: &str) -> Vec<String> {
        self.log.lock().unwrap().iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Where the page is, once it has been served `times` times.
    #[track_caller]
    fn address(&self, times: usize) -> String {
        let said = || self.lines("the box's own page is at ");
        until("the page is served", || said().len() >= times);
        let line = said().pop().unwrap();
        let (_, address) = line.split_once("://").unwrap();
        address.trim_end_matches('/').to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{:#?}", self.log.lock().unwrap());
        }
    }
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never came: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Whatever was answered.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Asks as a well-behaved client does.
fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
    ask_by(&agent(TlsConfig::default()), &format!("http://{address}{path}"), method, headers, body)
}

fn get(address: &str, path: &str) -> Answer {
    ask(address, "GET", path, &[], None)
}

fn agent(tls: TlsConfig) -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls);
    config.timeout_global(Some(PATIENCE)).build().into()
}

fn ask_by(
    agent: &ureq::Agent,
    url: &str,
    method: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(url);
    if body.is_some() && headers.iter().all(|(name, _)| *name != "content-type") {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = match body {
        Some(body) => agent.run(request.body(body.to_string()).unwrap()),
        None => agent.run(request.body(()).unwrap()),
    };
    let mut response = response.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let bytes = response.body_mut().read_to_vec().unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// Sends `bytes` as they are; what comes back until the other side closes.
fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    _ = stream.write_all(bytes); // it may be refused before it is all sent
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("it was not closed: {error}"),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// A WebSocket with live pictures, up to its first bytes.
fn watch(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /api/v1/cameras/gate/live HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut buffer = [0; 12];
    stream.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"HTTP/1.1 101");
    stream
}

/// What is wrong with `value` by one of the document's schemas; `None`: nothing.
fn fault(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("answer.json", whole).unwrap();
    let index = compiler.compile("answer.json", &mut schemas).unwrap();
    schemas.validate(value, index).err().map(|error| error.to_string())
}

/// Checks an answer against what `document` says of it.
#[track_caller]
fn check(document: &Value, method: &str, path: &str, answer: &Answer) {
    let responses = &document["paths"][path][method.to_lowercase()]["responses"];
    let described = match &responses[answer.status.to_string()] {
        Value::Null if answer.status >= 400 => &responses["default"],
        described => described,
    };
    assert!(described.is_object(), "{method} {path} {}: {}", answer.status, answer.body);
    let content = &described["content"];
    if let Some(expected) = content.get("application/json") {
        assert_eq!(answer.header("content-type"), "application/json", "{method} {path}");
        let fault = fault(document, &expected["schema"], &answer.json());
        assert_eq!(fault, None, "{method} {path} {}: {}", answer.status, answer.body);
    } else if content.is_null() {
        assert_eq!(answer.body, "", "{method} {path} {}", answer.status);
    }
}

#[test]
fn answers_are_as_they_are_described() {
    let daemon = Daemon::start("address = \"127.0.0.1:0\"");
    let address = daemon.address(1);
    until("it is ready", || get(&address, "/readyz").status == 204);
    let document = get(&address, "/api/v1/openapi.json").json();
    assert!(fault(&document, &json!({"$ref": "#/components/schemas/Status"}), &json!({})).is_some());
    assert_eq!(document["openapi"].as_str().unwrap().split_at(3).0, "3.1");
    let status = get(&address, "/api/v1/status").json();
    assert_eq!(
        (&status["node"], &status["pack"], &status["cameras"][0]["name"], &status["cameras"][0]["status"]),
        (&json!("box"), &json!("nano@1"), &json!("gate"), &json!("online"))
    );
    assert!(status["cameras"][0]["analysed"].as_u64() > Some(0), "{status}");
    until("there is history", || {
        get(&address, "/api/v1/status/history").json()["series"]["fps"][0].as_f64() > Some(0.0)
    });

    until("something happened", || !events(&address).is_empty());
    let event = events(&address).remove(0);
    let id = event["id"].as_str().unwrap();
    assert_eq!((&event["camera"], &event["action"]), (&json!("gate"), &json!("walking")));
    measured(&address);
    served(&address);

    for (path, methods) in document["paths"].as_object().unwrap() {
        // These do not end by themselves.
        if path.ends_with("/live") || path.ends_with("/stream") {
            continue;
        }
        let filled = path.replace("{camera}", "gate").replace("{id}", id);
        for method in ["GET", "PUT", "POST"] {
            if !methods[method.to_lowercase()].is_object() {
                continue;
            }
            let body = json!({"nonsense": [1, 2, 3]});
            let answer = ask(&address, method, &filled, &[], (method != "GET").then_some(&body));
            check(&document, method, path, &answer);
        }
        let nowhere = path.replace("{camera}", "nowhere").replace("{id}", "none");
        if nowhere != filled && methods["get"].is_object() {
            let answer = get(&address, &nowhere);
            assert!(matches!(answer.status, 400 | 404), "{nowhere}: {}", answer.status);
            check(&document, "GET", path, &answer);
        }
    }
    let unknown = get(&address, "/api/v1/nothing");
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["error"].as_str().unwrap().contains("openapi.json"));
    assert_eq!(ask(&address, "DELETE", "/api/v1/status", &[], None).status, 405);
}

fn events(address: &str) -> Vec<Value> {
    let answer = get(address, "/api/v1/events").json();
    answer["events"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

/// `/metrics` is as Prometheus reads it, and what is documented and drawn is there.
fn measured(address: &str) {
    let answer = get(address, "/metrics");
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let (mut types, mut names) = (BTreeSet::new(), BTreeSet::new());
    for line in answer.body.lines() {
        if let Some(described) = line.strip_prefix("# ") {
            let mut words = described.split(' ');
            let (keyword, name) = (words.next().unwrap(), words.next().unwrap());
            match keyword {
                "HELP" => {}
                "TYPE" => assert!(types.insert(name.to_owned()), "{name} twice"),
                other => panic!("{other} in {line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        assert!(types.contains(name) && name.starts_with("watchword_"), "{line}");
        assert!(series == name || series.ends_with("\"}"), "{line}");
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        names.insert(name.to_owned());
    }
    let sample = |series: &str| answer.body.lines().any(|line| line.starts_with(series));
    assert!(sample("watchword_frames_analysed_total{camera=\"gate\"} "), "{}", answer.body);
    assert!(sample("watchword_camera_online{camera=\"gate\"} 1"), "{}", answer.body);
    let places = [include_str!("../board/web.md"), include_str!("../board/grafana.json")];
    for (place, text) in ["board/web.md", "board/grafana.json"].iter().zip(places) {
        for name in words(text).filter(|word| word.starts_with("watchword_") && !word.ends_with('_')) {
            // One of a sensor that is not here, and the cookie.
            let elsewhere = ["watchword_temperature_celsius", "watchword_session"];
            assert!(types.contains(name) || elsewhere.contains(&name), "{place} names {name}: {types:#?}");
        }
    }
    for name in names {
        assert!(words(places[0]).any(|word| word == name), "board/web.md does not name {name}");
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

/// The page itself: small, compressed, sent again only if it is another, and shut to other sites.
fn served(address: &str) {
    let page = get(address, "/");
    assert!(page.status == 200 && page.body.contains("<title>Watchword"), "{}", page.body);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let tag = page.header("etag").to_owned();
    assert_eq!(ask(address, "GET", "/", &[("if-none-match", &tag)], None).status, 304);
    let compressed = raw(
        address,
        b"GET /style.css HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
    );
    assert!(compressed.to_lowercase().contains("content-encoding: gzip"), "{compressed}");
}

#[test]
fn who_has_not_logged_in_sees_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    std::fs::write(folder.path().join("password"), hash("correct horse")).unwrap();
    let web = "address = \"127.0.0.1:0\"\nlogin = \"always\"\npassword_file = \"FOLDER/password\"\n\
               token_file = \"FOLDER/token\"";
    let daemon = Daemon::start_in(folder, web);
    let address = &daemon.address(1);
    let status = |headers: &[(&str, &str)]| ask(address, "GET", "/api/v1/status", headers, None).status;

    let shut =
        ["/api/v1/status", "/api/v1/openapi.json", "/api/v1/cameras/gate/live", "/metrics", "/readyz", "/x"];
    for path in shut {
        let answer = get(address, path);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"), "{path}");
    }
    assert_eq!((get(address, "/").status, get(address, "/healthz").status), (200, 204));
    assert_eq!(get(address, "/api/v1/session").json(), json!({"required": true, "authenticated": false}));

    let log_in =
        |password: &str| ask(address, "POST", "/api/v1/session", &[], Some(&json!({"password": password})));
    assert_eq!(log_in("wrong horse").status, 401);
    let right = log_in("correct horse");
    assert_eq!(right.status, 204, "{}", right.body);
    let set = right.header("set-cookie").to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains("Secure"), "{set}");
    let cookie = [("cookie", set.split(';').next().unwrap())];
    until("it has answered", || status(&cookie) == 200);
    let known = ask(address, "GET", "/api/v1/session", &cookie, None).json();
    assert_eq!(known["authenticated"], true);
    assert_eq!(ask(address, "DELETE", "/api/v1/session", &cookie, None).status, 204);
    assert_eq!(status(&cookie), 401, "the session is over, whatever the browser keeps");
    assert_eq!(status(&[("cookie", "watchword_session=0")]), 401);

    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(status(&[("authorization", &bearer)]), 200);
    assert_eq!(status(&[("authorization", "Bearer another"), cookie[0]]), 401);
    // A script may send from wherever it is.
    let from = [("authorization", bearer.as_str()), ("origin", "http://elsewhere.example")];
    assert_eq!(status(&from), 200);

    let answers: Vec<_> = (0..12).map(|_| log_in("guess")).collect();
    let refused = answers.last().unwrap();
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(log_in("correct horse").status, 429, "it is no use to be right, then");
    let secrets = ["correct horse", TOKEN, "$argon2"];
    let log = daemon.log.lock().unwrap().join("\n");
    assert!(log.contains("wrong password") && !secrets.iter().any(|secret| log.contains(secret)), "{log}");
}

/// As the program makes it.
fn hash(password: &str) -> String {
    let mut command = watchword();
    command.args(["web", "password"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_comes_from_elsewhere_or_is_too_much_is_refused() {
    let daemon = Daemon::start("address = \"127.0.0.1:0\"\nhosts = [\"dock-3.lan\"]");
    let address = &daemon.address(1);
    let json = json!({});
    let status =
        |method, path, headers: &[(&str, &str)], body| ask(address, method, path, headers, body).status;

    // Names that lead here, and are not ours.
    assert_eq!(status("GET", "/api/v1/session", &[("host", "evil.example")], None), 403);
    assert_eq!(status("GET", "/", &[("host", "evil.example:8480")], None), 403);
    assert_eq!(status("GET", "/api/v1/session", &[("host", "dock-3.lan")], None), 200);
    assert!(raw(address, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 400"));

    // Other sites' pages.
    let pause = "/api/v1/session";
    assert_eq!(status("POST", pause, &[("origin", "http://evil.example")], Some(&json)), 403);
    assert_eq!(status("POST", pause, &[("sec-fetch-site", "cross-site")], Some(&json)), 403);
    assert_eq!(status("POST", pause, &[("content-type", "text/plain")], Some(&json)), 415);
    let live = format!(
        "GET /api/v1/cameras/gate/live HTTP/1.1\r\nHost: {address}\r\nOrigin: http://evil.example\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Connection: close\r\n\r\n"
    );
    assert!(raw(address, live.as_bytes()).starts_with("HTTP/1.1 403"));

    // Ways out of the folder that there is none of.
    until("the timeline is open", || get(address, "/api/v1/events").status == 200);
    let escapes = [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/style.css/../../../../etc/passwd",
        "/api/v1/events/..%2f..%2f..%2fetc%2fpasswd/picture",
        "/api/v1/cameras/..%2f..%2fetc/picture",
        "/style.css%00.html",
        "file:///etc/passwd",
    ];
    for path in escapes {
        let answer = raw(
            address,
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("root:"), "{path}: {answer}");
    }

    // More than anybody needs to say: declared, endless, or in the head.
    let much = json!({"password": "x".repeat(300_000)});
    assert_eq!(status("POST", "/api/v1/session", &[], Some(&much)), 413);
    let head = "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let mut endless = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    (0..64).for_each(|_| {
        endless.extend(format!("2000\r\n{}\r\n", "x".repeat(0x2000)).into_bytes());
    });
    let answer = raw(address, &endless);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    let wide = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Wide: {}\r\n\r\n", "x".repeat(100_000));
    let answer = raw(address, wide.as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(status("POST", "/api/v1/session", &[], Some(&json!({"word": 1}))), 422);

    // Those who never finish: silent ones, slow heads, slow bodies.
    let slow_body = format!("{head}Content-Length: 100\r\n\r\n{{");
    let slow = [b"".as_slice(), b"GET / HTTP/1.1\r\nHost: local", slow_body.as_bytes()];
    std::thread::scope(|scope| {
        let waiting = slow.map(|start| scope.spawn(move || raw(address, start)));
        let [silent, head, body] = waiting.map(|thread| thread.join().unwrap());
        assert!(silent.is_empty() || silent.starts_with("HTTP/1.1 4"), "{silent}");
        assert!(head.is_empty() || head.starts_with("HTTP/1.1 4"), "{head}");
        assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    });
    assert_eq!(get(address, "/healthz").status, 204, "all this has not hurt");
}

#[test]
fn tls_is_spoken_with_the_certificate_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let made =
        |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned(), "127.0.0.1".into()]).unwrap();
    let known = made("localhost");
    std::fs::write(folder.path().join("password"), hash("correct horse")).unwrap();
    std::fs::write(folder.path().join("page.pem"), known.cert.pem()).unwrap();
    std::fs::write(folder.path().join("page.key"), made("other").signing_key.serialize_pem()).unwrap();
    let web = "address = \"127.0.0.1:0\"\ncertificate = \"FOLDER/page.pem\"\nkey = \"FOLDER/page.key\"\n\
               password_file = \"FOLDER/password\"";
    let daemon = Daemon::start_in(folder, web);
    until("it says that they do not belong together", || {
        !daemon.lines("web.certificate and web.key").is_empty()
    });
    std::fs::write(daemon.folder.path().join("page.key"), known.signing_key.serialize_pem()).unwrap();
    let address = daemon.address(1);

    let der = Certificate::from_der(known.cert.der()).to_owned();
    let trusting = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(vec![der])))
        .build();
    let agent = agent(trusting);
    let url = |path: &str| format!("https://{address}{path}");
    assert_eq!(ask_by(&agent, &url("/healthz"), "GET", &[], None).status, 204);
    let password = json!({"password": "correct horse"});
    let answer = ask_by(&agent, &url("/api/v1/session"), "POST", &[], Some(&password));
    assert!(answer.status == 204 && answer.header("set-cookie").contains("Secure"), "{:?}", answer.headers);
    let plain = raw(&address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(!plain.contains("HTTP/1.1 204"), "{plain}");
}

#[test]
fn a_busy_port_is_waited_for_and_settings_are_followed() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = port.local_addr().unwrap();
    let daemon = Daemon::start(&format!("address = \"{busy}\""));
    until("it says that the port is busy", || {
        daemon
            .lines("cannot be served")
            .iter()
            .any(|line| line.contains(&busy.to_string()) && line.contains("web.address"))
    });
    drop(port);
    let address = daemon.address(1);
    assert_eq!(address, busy.to_string());
    let named = || ask(&address, "GET", "/api/v1/session", &[("host", "dock-3.lan")], None).status;
    assert_eq!(named(), 403);

    let mut live = watch(&address);
    edit(&daemon.file(), "[web]\n", "[web]\nhosts = [\"dock-3.lan\"]\n");
    until("the new settings are in effect", || daemon.lines("page served anew").len() == 1);
    daemon.address(2);
    assert_eq!(named(), 200);
    // Who looked on may have been let in by what counts no more.
    if let Err(error) = std::io::copy(&mut live, &mut std::io::sink()) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it was not ended");
    }

    edit(&daemon.file(), "[web]\n", "[web]\nlogin = \"always\"\n");
    until("the mistake is said", || !daemon.lines("nobody could log in").is_empty());
    assert_eq!(named(), 200, "and changes nothing");

    edit(&daemon.file(), "login = \"always\"", "enabled = false");
    until("it is served no more", || TcpStream::connect(&address).is_err());
    edit(&daemon.file(), "enabled = false", "enabled = true");
    assert_eq!(daemon.address(3), address);
    assert_eq!(named(), 200);
}
