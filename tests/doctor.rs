//! `watchword doctor` as it is called: what it says, what a script reads, and its exit status.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

#[path = "common/broker.rs"]
mod broker;
mod common;

use broker::*;
use common::{NOBODY, clip, complaint, output, watchword};

/// The findings under a configuration with this `[mqtt]`, by check; and the exit status.
fn doctor(folder: &Path, mqtt: &str) -> (Value, i32) {
    let file = folder.join("watchword.toml");
    let text = format!(
        "[node]\nname = \"dock-3\"\n[[camera]]\nname = \"gate\"\nsource = {:?}\n[[action]]\nname = \"walking\"\nphrases = \
         [\"a person walking\"]\n[mqtt.spool]\npath = {:?}\n[mqtt]\n{mqtt}\n",
        clip(),
        folder.join("spool.db"),
    );
    fs::write(&file, text).unwrap();
    let run = output(watchword().args(["doctor", "--json", "--config"]).arg(&file));
    let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", complaint(&run)));
    (report, run.status.code().unwrap())
}

fn finding<'a>(report: &'a Value, check: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["check"] == check)
        .unwrap_or_else(|| panic!("no {check}: {report:#}"))
}

#[test]
fn a_broker_that_lets_us_in_is_fine_and_the_daemon_keeps_its_connection() {
    need_mosquitto!();
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let subscriber = Subscriber::start(broker.port, &[]);
    let (publisher, _mqtt) = start(&settings(broker.port));
    subscriber.up_to(|seen| seen.payload == "online");
    let (report, status) = doctor(folder.path(), &format!("port = {}", broker.port));
    assert_eq!(status, 0, "{report:#}");
    for check in ["board", "kernel", "memory", "disk", "clock", "camera", "pack", "broker"] {
        let finding = finding(&report, check);
        assert_ne!(finding["status"], "fail", "{finding}");
        assert_eq!(finding["remedy"].is_null(), finding["status"] == "ok", "{finding}");
    }
    assert!(finding(&report, "broker")["found"].as_str().unwrap().contains("let us in"));
    assert!(finding(&report, "camera")["found"].as_str().unwrap().starts_with("gate: "));
    // Nothing was said on any topic, and the will of nobody was.
    publisher.event(&numbered(7));
    let seen = subscriber.up_to(is_event(7));
    assert!(seen.iter().all(|seen| seen.payload != "offline"), "{seen:?}");
}

#[test]
fn a_broker_that_does_not_is_a_failure_with_a_remedy() {
    need_mosquitto!();
    let folder = tempfile::tempdir().unwrap();
    let refused = |mqtt: &str, found: &str, remedy: &str| {
        let (report, status) = doctor(folder.path(), mqtt);
        let finding = finding(&report, "broker");
        assert_eq!((status, &finding["status"], &report["status"]), (1, &"fail".into(), &"fail".into()));
        for (key, words) in [("found", found), ("remedy", remedy)] {
            assert!(finding[key].as_str().unwrap().contains(words), "{words:?} is not in {finding}");
        }
    };
    refused(&format!("port = {NOBODY}"), "refused", "mqtt.port");
    let closed = Mosquitto::start("allow_anonymous false\n");
    refused(&format!("port = {}", closed.port), "NotAuthorized", "mqtt.password_file");

    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (pem, der) = (certificate.pem(), certificate.der().to_vec());
    fs::write(folder.path().join("broker.pem"), pem).unwrap();
    fs::write(folder.path().join("broker.key"), key.serialize_pem()).unwrap();
    let at = folder.path().display();
    let tls = format!(
        "allow_anonymous true\nlistener {{other}} 127.0.0.1\ncertfile {at}/broker.pem\nkeyfile {at}/broker.key\n"
    );
    let broker = Mosquitto::start(&tls);
    let port = broker.other;
    let over_tls = format!("host = \"localhost\"\nport = {port}\ntransport = \"tls\"");
    fs::write(folder.path().join("other.pem"), other_authority()).unwrap();
    refused(
        &format!("{over_tls}\ntls = {{ ca_file = \"{at}/other.pem\" }}"),
        "invalid peer",
        "mqtt.tls.ca_file",
    );

    use sha2::{Digest, Sha256};
    let pin = hex::encode(Sha256::digest(der));
    let (report, _) = doctor(folder.path(), &format!("{over_tls}\ntls = {{ pin_sha256 = [\"{pin}\"] }}"));
    assert_eq!(finding(&report, "broker")["status"], "ok", "{report:#}");
    let (report, _) =
        doctor(folder.path(), &format!("{over_tls}\ntls = {{ danger_accept_any_certificate = true }}"));
    assert_eq!(finding(&report, "broker")["status"], "warn", "{report:#}");
}

fn other_authority() -> String {
    let key = KeyPair::generate().unwrap();
    CertificateParams::new(["somebody".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}

#[test]
fn a_person_is_told_in_lines_and_a_bad_configuration_is_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("watchword.toml");
    fs::write(&file, "[mqtt]\nhoost = \"broker\"\n").unwrap();
    let run = output(watchword().args(["doctor", "--config"]).arg(&file));
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.contains("fail  configuration") && said.contains("hoost"), "{said}");
    assert!(said.contains("→ correct it"), "{said}");
    assert!(said.lines().any(|line| line.starts_with("ok    board")), "{said}");
    assert_eq!(run.status.code(), Some(1));
    assert!(complaint(&run).contains("not as it must be"));
}
