//! Many boxes on one broker, as board/fleet.md tells to run them.

#[path = "common/broker.rs"]
mod broker;
mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use broker::{Mosquitto, Subscriber, need_mosquitto, publish};
use common::{complaint, output, watchword};
use serde_json::Value;

/// The first block of board/fleet.md that begins with `fence`.
fn block(fence: &str) -> String {
    let text = include_str!("../board/fleet.md");
    let (_, after) = text.split_once(&format!("```{fence}\n")).unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

fn fleet(port: u16, more: &[&str]) -> Value {
    let address = format!("127.0.0.1:{port}");
    let result =
        output(watchword().args(["fleet-sim", "--json", "--verify", "--broker", &address]).args(more));
    assert!(result.status.success(), "{}", complaint(&result));
    serde_json::from_slice(&result.stdout).unwrap()
}

#[test]
fn a_fleet_loses_nothing_and_two_consumers_share_it() {
    need_mosquitto!();
    let broker = Mosquitto::start("allow_anonymous true\nmax_inflight_messages 0\n");
    let spools = tempfile::tempdir().unwrap();
    let some = ["--nodes", "20", "--events-per-minute", "600", "--seconds", "3"];
    let alone = fleet(broker.port, &[&some[..], &["--spool", spools.path().to_str().unwrap()]].concat());
    assert!(alone["published"].as_u64().unwrap() > 100, "{alone}");
    assert_eq!((&alone["lost"], &alone["reordered"], &alone["dropped"]), (&0.into(), &0.into(), &0.into()));
    assert!(alone["disk_bytes_per_event"].is_number());
    let shared = fleet(broker.port, &[&some[..], &["--consumers", "2"]].concat());
    assert_eq!(shared["received"], shared["published"]);
    assert_eq!(shared["reordered"], Value::Null, "who shares knows of no order");
}

#[test]
fn a_box_may_write_its_own_branch_and_no_other() {
    need_mosquitto!();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let users = [("dock-3", "a"), ("dock-4", "b"), ("alarms", "c"), ("operator", "d")];
    std::fs::write(file("passwords"), "").unwrap();
    for (user, password) in users {
        let status =
            Command::new("mosquitto_passwd").arg("-b").arg(file("passwords")).args([user, password]).status();
        assert!(status.unwrap().success());
    }
    std::fs::write(file("acl"), block("acl")).unwrap();
    let display = |path: &Path| path.display().to_string();
    let broker = Mosquitto::start(&format!(
        "allow_anonymous false\npassword_file {}\nacl_file {}\n",
        display(&file("passwords")),
        display(&file("acl"))
    ));
    let login = |n: usize| ["-u", users[n].0, "-P", users[n].1, "-q", "1"];
    // The subscribers' probes are the operator's, where each may read; both are "x".
    let ears = |n: usize, probe| Subscriber::start_as(broker.port, &login(n)[..4], probe, &login(3)[..4]);
    let (alarms, dock) = (ears(2, "watchword/probe"), ears(0, "watchword/dock-3/command/probe"));
    publish(broker.port, "watchword/dock-3/events", "own", &login(0));
    publish(broker.port, "watchword/dock-4/events", "another's", &login(0));
    publish(broker.port, "watchword/dock-4/command/pause", "another's", &login(0));
    publish(broker.port, "watchword/dock-4/events", "as alarms", &login(2));
    publish(broker.port, "homeassistant/device/dock-4/config", "another's", &login(0));
    publish(broker.port, "watchword/dock-4/events", "own too", &login(1));
    publish(broker.port, "watchword/dock-3/command/pause", "operator's", &login(3));
    let heard = alarms.up_to(|seen| seen.payload == "operator's");
    let heard: Vec<_> =
        heard.iter().map(|seen| seen.payload.as_str()).filter(|heard| *heard != "x").collect();
    assert_eq!(heard, ["own", "own too", "operator's"]);
    let told = dock.lines.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(told.payload, "operator's", "a box hears its own commands and nothing else");
}
