//! The box's own page in a real browser, Debian's Chromium, on a running daemon that plays a clip. Each test is a program
//! in `tests/page` for node and playwright-core. Without Chromium, node, or `WATCHWORD_PLAYWRIGHT` (see `.ci/run`), they
//! say so and pass.

mod common;

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{clip, installed, watchword};
use tempfile::TempDir;

const PASSWORD: &str = "the right password";

/// Two cameras on the same clip, words with comments that must outlive what the page writes.
const CONFIG: &str = r#"
[node]
name = "box"

[[camera]]
name = "gate"
source = "CLIP"
analysis_fps = 5
loop = true

[[camera]]
name = "yard"
source = "CLIP"
analysis_fps = 1
loop = true

[[action]]
name = "walking"
phrases = ["a person walking on a street", "a person walking on the grass"] # chosen by the night shift
threshold = 0.3
minimum_duration = "400ms"

[[action]]
name = "cycling"
phrases = ["a person riding a bicycle"]
threshold = 0.95 # twice a day at most

[vocabulary]
background = ["a person standing"]

[mqtt]
broker = "embedded"
port = 0
snapshots = true

[stats]
interval = "5s"

[web]
address = "127.0.0.1:0"
"#;

/// A daemon, its page's address, its configuration. It does not outlive its test.
struct Daemon {
    child: Child,
    url: String,
    config: PathBuf,
    _folder: TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Daemon {
    /// Starts one with the settings of `[web]` that `more` returns when it is shown the daemon's folder.
    fn start(more: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let more = more(folder.path());
        let config = folder.path().join("watchword.toml");
        let text = CONFIG.replace("CLIP", clip().to_str().unwrap());
        fs::write(&config, format!("{text}{more}\n")).unwrap();
        let mut command = watchword();
        command.arg("run").arg("--config").arg(&config).env("STATE_DIRECTORY", folder.path());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("page is at ")).expect("it says where its page is");
        let url = line.split_once("page is at ").unwrap().1.split_whitespace().next().unwrap().to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url, config, _folder: folder }
    }
}

/// Where playwright-core is, if there is all that it takes.
fn playwright() -> Option<OsString> {
    let Some(folder) = std::env::var_os("WATCHWORD_PLAYWRIGHT") else {
        println!("skipped: WATCHWORD_PLAYWRIGHT does not say where playwright-core is; see .ci/run");
        return None;
    };
    (installed("node") && installed("chromium")).then_some(folder)
}

/// Runs `tests/page/NAME.mjs` on the daemon's page.
fn browse(name: &str, daemon: &Daemon, playwright: OsString) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page").join(name);
    let mut node = Command::new("node");
    node.arg(program).arg(&daemon.url).arg(&daemon.config).arg(PASSWORD);
    let output = node.env("WATCHWORD_PLAYWRIGHT", playwright).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Browses a daemon whose page is open to who is at the box.
fn open(name: &str) {
    let Some(playwright) = playwright() else { return };
    browse(name, &Daemon::start(|_| String::new()), playwright);
}

#[test]
fn live_pictures_and_the_timeline() {
    open("live.mjs");
}

#[test]
fn words_are_tried_and_saved() {
    open("words.mjs");
}

#[test]
fn zones_and_masks_are_drawn() {
    open("zones.mjs");
}

#[test]
fn health_in_numbers() {
    open("health.mjs");
}

#[test]
fn small_accessible_and_plain_about_a_box_that_is_away() {
    open("manners.mjs");
}

#[test]
fn nobody_comes_in_without_the_password() {
    let Some(playwright) = playwright() else { return };
    let locked = |folder: &Path| {
        let mut command = watchword();
        let mut child =
            command.args(["web", "password"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let file = folder.join("web-password");
        fs::write(&file, output.stdout).unwrap();
        format!("login = \"always\"\npassword_file = \"{}\"", file.display())
    };
    browse("login.mjs", &Daemon::start(locked), playwright);
}
