//! The description of the box as Home Assistant reads it: a device and its components.
//!
//! Formats: <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>. Templates run in Home
//! Assistant; names of cameras and actions are slugs, so they need no quoting there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::mqtt::topic::Topics;

/// The components of the box of `config`, by id.
pub(super) fn components(config: &Config, topics: &Topics) -> BTreeMap<String, Value> {
    let mut components = Components { node: &config.node.name, all: BTreeMap::new() };
    for camera in &config.cameras {
        let camera = camera.name.as_str();
        for action in &config.actions {
            let label = action.phrases.first().map_or(action.name.as_str(), |phrase| phrase.trim());
            let what = Pair { camera, action: &action.name, label };
            components.add("binary_sensor", "state", &[camera, &action.name], what.state(topics));
            components.add("event", "event", &[camera, &action.name], what.event(topics));
        }
        components.add("sensor", "fps", &[camera], fps(camera, topics));
        components.add("sensor", "status", &[camera], status(camera, topics));
        if config.mqtt.commands {
            components.add("switch", "watched", &[camera], watched(camera, topics));
        }
    }
    for (id, component) in of_the_box(topics) {
        components.add("sensor", id, &[], component);
    }
    components.all
}

struct Components<'a> {
    node: &'a str,
    all: BTreeMap<String, Value>,
}

impl Components<'_> {
    /// `names` are the camera's and the action's, where it is about one. The kind comes first in the id, so that no
    /// camera or action can have a name that makes two ids one.
    fn add(&mut self, platform: &str, kind: &str, names: &[&str], component: Value) {
        let Value::Object(mut component) = component else { return };
        let id = [&[kind], names].concat().join(".");
        // What an action does is plain from the platform.
        let kind = (names.len() < 2).then_some(kind);
        let entity: Vec<_> = [self.node].into_iter().chain(names.iter().copied()).chain(kind).collect();
        let entity = entity.join("_").replace('-', "_");
        component.insert("platform".into(), platform.into());
        component.insert("unique_id".into(), format!("watchword.{}.{id}", self.node).into());
        component.insert("default_entity_id".into(), format!("{platform}.{entity}").into());
        self.all.insert(id, component.into());
    }
}

/// Where the box of `config` is described.
pub(super) fn topic(config: &Config) -> String {
    Topics::home_assistant(&config.homeassistant.discovery_prefix, &config.node.name)
}

/// Everything but the components.
pub(super) fn envelope(node: &str, topics: &Topics) -> Map<String, Value> {
    let version = env!("CARGO_PKG_VERSION");
    let parts = [
        (
            "device",
            json!({
                "identifiers": [format!("watchword.{node}")],
                "name": node,
                "manufacturer": "Watchword",
                "model": "Watchword",
                "sw_version": version,
            }),
        ),
        ("origin", json!({ "name": "Watchword", "sw_version": version })),
        // For every component that says nothing else.
        ("availability", json!([{ "topic": topics.availability() }])),
    ];
    parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// One action in front of one camera.
struct Pair<'a> {
    camera: &'a str,
    action: &'a str,
    /// In words.
    label: &'a str,
}

impl Pair<'_> {
    fn state(&self, topics: &Topics) -> Value {
        let Self { camera, action, label } = self;
        json!({
            "name": format!("{camera} {label}"),
            "device_class": "motion",
            "state_topic": topics.state(camera, action),
            "qos": 1,
            "availability": of_camera(camera, topics),
            "availability_mode": "all",
        })
    }

    /// An event entity takes JSON with an `event_type`, and ignores what renders to nothing: the events of others, and
    /// those that are not certain yet.
    fn event(&self, topics: &Topics) -> Value {
        let Self { camera, action, label } = self;
        let ours = format!(
            "value_json.camera == '{camera}' and value_json.action == '{action}' and value_json.provisional is not \
             defined"
        );
        let template = format!(
            "{{% if {ours} %}}{{{{ dict(value_json, event_type=value_json.type) | to_json }}}}{{% endif %}}"
        );
        json!({
            "name": format!("{camera} {label}, begin to end"),
            "event_types": ["begin", "update", "end"],
            "state_topic": topics.events(),
            "value_template": template,
            "qos": 1,
            "availability": of_camera(camera, topics),
            "availability_mode": "all",
        })
    }
}

fn of_camera(camera: &str, topics: &Topics) -> Value {
    json!([{ "topic": topics.availability() }, { "topic": topics.camera_availability(camera) }])
}

fn fps(camera: &str, topics: &Topics) -> Value {
    json!({
        "name": format!("{camera} frames analysed a second"),
        "state_topic": topics.stats(),
        "value_template": format!("{{{{ value_json.cameras['{camera}'].analysed_fps }}}}"),
        "unit_of_measurement": "fps",
        "state_class": "measurement",
        "entity_category": "diagnostic",
    })
}

fn status(camera: &str, topics: &Topics) -> Value {
    json!({
        "name": format!("{camera} status"),
        "state_topic": topics.stats(),
        "value_template": format!("{{{{ value_json.cameras['{camera}'].status }}}}"),
        "json_attributes_topic": topics.stats(),
        "json_attributes_template": format!(
            "{{% set c = value_json.cameras['{camera}'] %}}{{{{ dict(last_error=c.last_error, reopened=c.reopened) | to_json }}}}"
        ),
        "entity_category": "diagnostic",
    })
}

/// Off while the camera is paused. `stats` say so only now and then, so it believes itself until they do.
fn watched(camera: &str, topics: &Topics) -> Value {
    let state = format!("{{{{ 'OFF' if value_json.cameras['{camera}'].status == 'paused' else 'ON' }}}}");
    json!({
        "name": format!("{camera} watched"),
        "command_topic": topics.command("pause"),
        "payload_on": json!({ "camera": camera, "paused": false }).to_string(),
        "payload_off": json!({ "camera": camera, "paused": true }).to_string(),
        "state_topic": topics.stats(),
        "value_template": state,
        "state_on": "ON",
        "state_off": "OFF",
        "optimistic": true,
        "qos": 1,
        "entity_category": "config",
    })
}

/// The numbers of the box as a whole: id and component.
fn of_the_box(topics: &Topics) -> [(&'static str, Value); 6] {
    let stats = topics.stats();
    let sensor = |name: &str, template: &str, unit: &str, class: Option<&str>, state_class: &str| {
        let mut sensor = json!({
            "name": name,
            "state_topic": stats,
            "value_template": template,
            "unit_of_measurement": unit,
            "state_class": state_class,
            "entity_category": "diagnostic",
        });
        if let (Some(class), Some(sensor)) = (class, sensor.as_object_mut()) {
            sensor.insert("device_class".into(), class.into());
        }
        sensor
    };
    let p50 = "{{ value_json.latency_ms_p50 }}";
    let p95 = "{{ value_json.latency_ms_p95 }}";
    let memory = "{{ (value_json.resident_memory / 1048576) | round(1) }}";
    // A box may have many sensors or none; the hottest counts.
    let hottest = "{% set t = value_json.temperatures.values() | list %}{{ t | max if t else None }}";
    let mut temperature = sensor("temperature", hottest, "°C", Some("temperature"), "measurement");
    if let Some(temperature) = temperature.as_object_mut() {
        temperature.insert("json_attributes_topic".into(), stats.clone().into());
        temperature
            .insert("json_attributes_template".into(), "{{ value_json.temperatures | to_json }}".into());
    }
    [
        ("latency", sensor("latency, median", p50, "ms", Some("duration"), "measurement")),
        ("latency_p95", sensor("latency, 95th percentile", p95, "ms", Some("duration"), "measurement")),
        ("temperature", temperature),
        ("queued", sensor("events that wait", "{{ value_json.mqtt.queued }}", "events", None, "measurement")),
        (
            "dropped",
            sensor("events dropped", "{{ value_json.mqtt.dropped }}", "events", None, "total_increasing"),
        ),
        ("memory", sensor("memory", memory, "MiB", Some("data_size"), "measurement")),
    ]
}
