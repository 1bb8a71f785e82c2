//! `watchword calibrate` as a user runs it: thresholds from the demo's clip, written into a configuration.

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{clip, complaint, config, output, watchword};
use serde_json::Value;

fn calibrate(folder: &Path, config: &Path, source: &Path, more: &[&str]) -> Output {
    let mut command = watchword();
    command.current_dir(folder).arg("calibrate").arg("--config").arg(config).arg("--source").arg(source);
    output(command.args(more))
}

fn thresholds(config: &Path) -> Vec<f64> {
    let text: toml::Table = fs::read_to_string(config).unwrap().parse().unwrap();
    text["action"].as_array().unwrap().iter().map(|action| action["threshold"].as_float().unwrap()).collect()
}

/// Events of an action that `watchword detect` publishes over the demo's clip.
fn begun(folder: &Path, config: &Path, action: &str) -> usize {
    let out = folder.join("out");
    let mut command = watchword();
    command.arg("detect").arg("--config").arg(config).arg("--source").arg(clip()).arg("--no-video");
    let result = output(command.arg("--out").arg(&out));
    assert!(result.status.success(), "{}", complaint(&result));
    let events = fs::read_to_string(out.join("events.jsonl")).unwrap();
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["type"] == "begin" && event["action"] == action).count()
}

#[test]
fn thresholds_are_written_that_keep_the_daemon_silent() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "unused.avi", "# the end");
    let before = fs::read_to_string(&path).unwrap();

    let result = calibrate(folder.path(), &path, &clip(), &["--json"]);
    assert!(result.status.success(), "{}", complaint(&result));
    let json: Value = serde_json::from_slice(&result.stdout).unwrap();
    let [walking, cycling] = &json["actions"].as_array().unwrap()[..] else { panic!("{json}") };
    assert_eq!(json["long_enough"], false);
    assert!((0.001..0.1).contains(&json["hours"].as_f64().unwrap()), "{json}");
    assert!(walking["before"]["false_alarms"].as_u64().unwrap() > 0);
    assert_eq!(walking["after"]["false_alarms"], 0);
    assert_eq!((&walking["is_floor"], &cycling["is_floor"]), (&false.into(), &true.into()));
    assert!(walking["moments"][0]["score"].as_f64().unwrap() > 0.3);
    assert!(
        walking["after"]["per_hour_at_most"].as_f64().unwrap() > 30.0,
        "less than two minutes say little"
    );

    let chosen = walking["after"]["threshold"].as_f64().unwrap();
    assert_eq!(thresholds(&path), [chosen, 0.95], "what so short a clip does not show is not lowered");
    let after = fs::read_to_string(&path).unwrap();
    let expected = before.replace("threshold = 0.3", &format!("threshold = {chosen}"));
    assert_eq!(after, expected, "nothing else changes");
    assert_eq!(fs::read_to_string(path.with_extension("toml.bak")).unwrap(), before);
    assert_eq!(begun(folder.path(), &path, "walking"), 0, "with {chosen}");
    let a_little_less =
        after.replace(&format!("threshold = {chosen}"), &format!("threshold = {:.4}", chosen - 0.001));
    fs::write(&path, a_little_less).unwrap();
    assert!(begun(folder.path(), &path, "walking") > 0, "{chosen} is the lowest");

    let drawing = fs::read_to_string(folder.path().join("calibration.svg")).unwrap();
    assert!(drawing.starts_with("<svg") && drawing.matches("<polyline").count() == 2, "{drawing}");
}

#[test]
fn a_dry_run_shows_the_difference_and_clips_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "unused.avi", "");
    let before = fs::read_to_string(&path).unwrap();
    let positives = folder.path().join("positives");
    fs::create_dir_all(positives.join("walking")).unwrap();
    fs::copy(clip(), positives.join("walking/a.avi")).unwrap();
    // So many an hour that what is there is put up with.
    let more = ["--positives", "positives", "--per-hour", "100000", "--lowest", "0.35", "--dry-run"];
    let result = calibrate(folder.path(), &path, &clip(), &more);
    assert!(result.status.success(), "{}", complaint(&result));
    let said = String::from_utf8(result.stdout).unwrap();
    assert!(said.contains("-threshold = 0.3\n+threshold = 0.35\n"), "{said}");
    assert!(said.contains("1 → 1 of 1"), "somebody walks: {said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert!(!path.with_extension("toml.bak").exists());
}

#[test]
fn what_cannot_be_done_is_said_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "unused.avi", "");
    let refused = |source: &Path, more: &[&str]| {
        let result = calibrate(folder.path(), &path, source, more);
        assert!(!result.status.success());
        complaint(&result)
    };
    let missing = refused(&folder.path().join("missing.mp4"), &[]);
    assert!(missing.contains("missing.mp4"), "{missing}");
    assert!(refused(&clip(), &["--camera", "yard"]).contains("no camera \"yard\"; there are gate"));
    assert!(refused(&clip(), &["--lowest", "0.1"]).contains("events.hysteresis, 0.1"));
    assert!(refused(&clip(), &["--per-hour", "0"]).contains("--per-hour 0"));
    fs::create_dir(folder.path().join("clips")).unwrap();
    assert!(refused(&clip(), &["--positives", "clips"]).contains("no clips in it"));
    fs::write(folder.path().join("clips/swimming.mp4"), "").unwrap();
    assert!(refused(&clip(), &["--positives", "clips"]).contains("swimming.mp4: no action is called so"));
}
