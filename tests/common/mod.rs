//! What the tests of the whole program share.
#![allow(dead_code)] // each test binary uses its own part

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program under test.
pub fn watchword() -> Command {
    Command::new(env!("CARGO_BIN_EXE_watchword"))
}

/// Real recordings beside the checkout; `None`, with a message, where there are none.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// The clip that the demo carries.
pub fn clip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cmd/demo/clip.avi")
}

/// Whether a program of this name starts at all.
pub fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--help").output().is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// A port at which nobody listens, ever.
pub const NOBODY: u16 = 1;

/// A port at which nobody listens now. It may be another test's in a moment: who can, asks for port 0.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs to the end.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Standard error as text.
pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A configuration that watches `source` for people walking, with `more` sections.
pub fn config(folder: &Path, source: &str, more: &str) -> PathBuf {
    let path = folder.join("watchword.toml");
    let text = format!(
        r#"
[node]
name = "box"

[[camera]]
name = "gate"
source = "{source}"
analysis_fps = 5

[[action]]
name = "walking"
phrases = ["a person walking on a street", "a person walking on the grass"]
threshold = 0.3
minimum_duration = "400ms"

[[action]]
name = "cycling"
phrases = ["a person riding a bicycle"]
threshold = 0.95

[vocabulary]
background = ["a person standing"]
{more}
"#
    );
    std::fs::write(&path, text).unwrap();
    path
}
