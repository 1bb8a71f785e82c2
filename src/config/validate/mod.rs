//! What a configuration must be beyond its types: names, ranges, and what refers to what.

mod camera;
mod secret;
mod transport;
mod web;
mod words;

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::report::Report;
use super::{BrokerKind, Config, Heads, HomeAssistant, KeyPath, Mqtt, Regions, Scoring, Span};

/// Reports everything that is wrong with `config` in itself.
pub(super) fn config(config: &Config, report: &mut Report) {
    let root = KeyPath::default();
    slug(report, &root.key("node").key("name"), &config.node.name);
    camera::time_zone(config.node.time_zone.as_deref(), &root.key("node").key("time_zone"), report);
    camera::cameras(config, report);
    words::actions(config, report);
    words::phrases(config, report);
    analysis(config, report);
    mqtt(&config.mqtt, report);
    home_assistant(&config.homeassistant, report);
    if let Some(fault) = config.onvif.topic_prefix.as_deref().and_then(topic_fault) {
        let message =
            format!("the prefix {fault}; write one or more words that name this box, or leave it out");
        report.error(&root.key("onvif").key("topic_prefix"), message);
    }
    web::web(&config.web, report);
    span(report, &root.key("stats").key("interval"), config.stats.interval, 1.0..=86_400.0);
}

/// Reports files that `config` names and that are not there.
pub(super) fn files(config: &Config, report: &mut Report) {
    for (i, camera) in config.cameras.iter().enumerate() {
        let path = KeyPath::default().key("camera").index(i).key("password_file");
        let remedy = "write the password into it, readable for watchword's user alone";
        secret::file(report, &path, camera.password_file.as_ref(), remedy, true);
    }
    transport::files(&config.mqtt, report);
    web::files(&config.web, report);
}

fn analysis(config: &Config, report: &mut Report) {
    let section = |name: &str| KeyPath::default().key(name);
    let pack = section("pack");
    if config.pack.path.as_os_str().is_empty() {
        report.error(&pack.key("path"), "no pack; write \"nano\" or the path of a pack");
    }
    count(report, &pack.key("threads"), config.pack.threads, 0..=1024);

    let detector = section("detector");
    fraction(report, &detector.key("person_threshold"), config.detector.person_threshold);
    fraction(report, &detector.key("object_threshold"), config.detector.object_threshold);
    fraction(report, &detector.key("nms_iou"), config.detector.nms_iou);
    count(report, &detector.key("max_persons"), config.detector.max_persons, 1..=1000);
    count(report, &detector.key("max_objects"), config.detector.max_objects, 0..=1000);

    let tracker = section("tracker");
    let low = config.tracker.low_threshold;
    fraction(report, &tracker.key("low_threshold"), low);
    let person = config.detector.person_threshold;
    if person > 0.0 && person < low && low <= 1.0 {
        let message = format!(
            "{low} is above detector.person_threshold, {person}, so it could not continue what that began; lower it"
        );
        report.error(&tracker.key("low_threshold"), message);
    }
    fraction(report, &tracker.key("match_iou"), config.tracker.match_iou);
    count(report, &tracker.key("confirm"), config.tracker.confirm as usize, 1..=1000);
    span(report, &tracker.key("max_lost"), config.tracker.max_lost, 0.0..=3600.0);

    let scoring = section("scoring");
    if config.scoring.heads == Heads::File(PathBuf::new()) {
        let message = "no heads; write \"pack\", \"none\", \"baseline\" or the path of a heads.safetensors";
        report.error(&scoring.key("heads"), message);
    }
    span(report, &scoring.key("look_ahead"), config.scoring.look_ahead, 0.0..=60.0);
    if !(0.0..=1.0).contains(&config.scoring.enlarge) {
        let message = format!("{} is not a share from 0 to 1", config.scoring.enlarge);
        report.error(&scoring.key("enlarge"), message);
    }
    sizes(&config.scoring, &scoring, report);
    span(report, &scoring.key("smoothing"), config.scoring.smoothing, 0.0..=3600.0);
    if let Some(scale) = config.scoring.logit_scale
        && !(scale > 0.0 && scale <= 1000.0)
    {
        let message =
            format!("{scale} is no scale; give a number above 0 and at most 1000, or leave it to the pack");
        report.error(&scoring.key("logit_scale"), message);
    }

    let refresh = section("refresh");
    span(report, &refresh.key("detect"), config.refresh.detect, 0.0..=60.0);
    span(report, &refresh.key("age"), config.refresh.age, 0.0..=60.0);
    span(report, &refresh.key("scene"), config.refresh.scene, 0.0..=60.0);
    fraction(report, &refresh.key("shape"), config.refresh.shape);
    if !(0.0..=10.0).contains(&config.refresh.changed) {
        let message = format!("{} is out of range; give a number from 0 to 10", config.refresh.changed);
        report.error(&refresh.key("changed"), message);
    }
    if let Some(budget) = config.refresh.budget {
        span(report, &refresh.key("budget"), budget, 0.001..=60.0);
    }

    let events = section("events");
    if !(0.0..1.0).contains(&config.events.hysteresis) {
        let message =
            format!("{} is out of range; give a number from 0 to below 1", config.events.hysteresis);
        report.error(&events.key("hysteresis"), message);
    }
    span(report, &events.key("release"), config.events.release, 0.0..=3600.0);
    span(report, &events.key("cool_down"), config.events.cool_down, 0.0..=86_400.0);
    span(report, &events.key("update_interval"), config.events.update_interval, 0.0..=86_400.0);
}

/// Of the pictures that the image tower reads. Which it can is known once the pack is open.
fn sizes(scoring: &Scoring, path: &KeyPath, report: &mut Report) {
    for (key, side) in [("input", scoring.input), ("small", scoring.small)] {
        if let Some(side) = side {
            count(report, &path.key(key), side, 32..=1024);
        }
    }
    let Some(small) = scoring.small else { return };
    if scoring.regions == Regions::OnePass {
        let message = "regions = \"one-pass\" cuts nothing out that could be small; leave one of the two out";
        report.error(&path.key("small"), message);
    }
    if let Some(input) = scoring.input
        && input <= small
    {
        let message =
            format!("{small} is no less than scoring.input, {input}, so that all are small; lower it");
        report.error(&path.key("small"), message);
    }
}

fn mqtt(mqtt: &Mqtt, report: &mut Report) {
    let path = KeyPath::default().key("mqtt");
    if mqtt.host.trim().is_empty() {
        report.error(&path.key("host"), "no host; give the broker's name or address, such as \"127.0.0.1\"");
    }
    if mqtt.port == Some(0) && mqtt.broker == BrokerKind::External {
        report.error(&path.key("port"), "0 is no port of a broker; leave it out for the usual one");
    }
    if let Some(fault) = topic_fault(&mqtt.base_topic) {
        let message =
            format!("{:?} {fault}; write one or more words such as \"site/watchword\"", mqtt.base_topic);
        report.error(&path.key("base_topic"), message);
    }
    for (key, text) in [("client_id", &mqtt.client_id), ("username", &mqtt.username)] {
        if text.as_ref().is_some_and(|text| text.trim().is_empty() || text.contains(char::is_control)) {
            report.error(&path.key(key), "blank or with control characters; write a name, or leave it out");
        }
    }
    if mqtt.password_file.is_some() && mqtt.username.is_none() {
        // MQTT 3.1.1, 3.1.2.9: no password without a user name.
        report.error(&path.key("password_file"), "a password needs a user name; set mqtt.username as well");
    }
    transport::transport(mqtt, &path, report);
    span(report, &path.key("keep_alive"), mqtt.keep_alive, 1.0..=65_535.0);
    count(report, &path.key("queue"), mqtt.queue, 1..=1_000_000);
    let spool = path.key("spool");
    if mqtt.spool.path.as_ref().is_some_and(|path| path.file_name().is_none()) {
        report.error(&spool.key("path"), "no file; give one, such as \"/var/lib/watchword/spool.db\"");
    }
    count(report, &spool.key("max_events"), mqtt.spool.max_events, 100..=1_000_000);
    count(report, &spool.key("max_bytes"), mqtt.spool.max_bytes, 100_000..=4_000_000_000);
    span(report, &spool.key("max_age"), mqtt.spool.max_age, 60.0..=366.0 * 86_400.0);
    if mqtt.broker == BrokerKind::Embedded && !is_loopback(&mqtt.host) && mqtt.password_file.is_none() {
        let message = format!(
            "the embedded broker will listen on {} for everybody in reach; set mqtt.username and \
             mqtt.password_file, or listen on 127.0.0.1",
            mqtt.host
        );
        report.warning(&path.key("host"), message);
    }
}

fn home_assistant(settings: &HomeAssistant, report: &mut Report) {
    let path = KeyPath::default().key("homeassistant");
    for (key, topic) in
        [("discovery_prefix", &settings.discovery_prefix), ("birth_topic", &settings.birth_topic)]
    {
        if let Some(fault) = topic_fault(topic) {
            let message = format!("{topic:?} {fault}; write it as Home Assistant's MQTT settings have it");
            report.error(&path.key(key), message);
        }
    }
}

/// What keeps `topic` from being the first levels of a topic (MQTT 3.1.1, 4.7).
fn topic_fault(topic: &str) -> Option<&'static str> {
    if topic.is_empty() {
        Some("is empty")
    } else if topic.len() > 256 {
        Some("is longer than 256 bytes")
    } else if topic.contains(['+', '#']) {
        Some("holds a wildcard")
    } else if topic.contains(char::is_control) {
        Some("holds a control character")
    } else if topic.starts_with('$') {
        Some("begins with $, which belongs to the broker")
    } else if topic.split('/').any(str::is_empty) {
        Some("has an empty level")
    } else {
        None
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Names that become parts of topics and of file names.
fn slug(report: &mut Report, path: &KeyPath, name: &str) {
    const MOST: usize = 64;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name.is_empty() {
        report.error(path, "no name; give one of a-z, 0-9, _ and -");
    } else if name.len() > MOST {
        report.error(
            path,
            format!("{} characters are more than the {MOST} allowed; shorten it", name.chars().count()),
        );
    } else if !name.chars().all(fits) {
        let fitting: String =
            name.trim().to_lowercase().chars().map(|c| if fits(c) { c } else { '_' }).collect();
        report.error(path, format!("{name:?} may hold a-z, 0-9, _ and - only; write `{fitting}`"));
    }
}

/// Reports names that stand in a list twice.
fn unique<'a>(report: &mut Report, names: impl Iterator<Item = &'a str>, path: impl Fn(usize) -> KeyPath) {
    let mut first = HashMap::new();
    for (i, name) in names.enumerate().filter(|(_, name)| !name.is_empty()) {
        if let Some(&before) = first.get(name) {
            let message = format!(
                "a second `{name}`; the first is on {}; rename one",
                report.whereabouts(&path(before))
            );
            report.error(&path(i), message);
        } else {
            first.insert(name, i);
        }
    }
}

/// A probability or overlap that decides something: above 0, at most 1.
fn fraction(report: &mut Report, path: &KeyPath, value: f32) {
    if !(value > 0.0 && value <= 1.0) {
        report.error(path, format!("{value} is out of range; give a number above 0 and at most 1"));
    }
}

fn count(report: &mut Report, path: &KeyPath, value: usize, allowed: RangeInclusive<usize>) {
    if !allowed.contains(&value) {
        let message = format!("{value} is out of range; give {} to {}", allowed.start(), allowed.end());
        report.error(path, message);
    }
}

/// `allowed` in seconds.
fn span(report: &mut Report, path: &KeyPath, value: Span, allowed: RangeInclusive<f64>) {
    if !allowed.contains(&Duration::from(value).as_secs_f64()) {
        let message = format!("{value} is out of range; give {}s to {}s", allowed.start(), allowed.end());
        report.error(path, message);
    }
}
