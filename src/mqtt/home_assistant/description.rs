//! A description of the box, and what was told of it. Has never heard of a connection.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::discovery;
use crate::config::Config;
use crate::mqtt::payload::to_json;
use crate::mqtt::topic::Topics;

/// A device with its components.
#[derive(Debug, PartialEq)]
pub(super) struct Description {
    topic: String,
    birth_topic: String,
    /// Everything but the components.
    envelope: Map<String, Value>,
    /// By id.
    components: BTreeMap<String, Value>,
}

impl Description {
    /// The box of `config`.
    pub fn new(config: &Config, topics: &Topics) -> Self {
        Self {
            topic: discovery::topic(config),
            birth_topic: config.homeassistant.birth_topic.clone(),
            envelope: discovery::envelope(&config.node.name, topics),
            components: discovery::components(config, topics),
        }
    }

    /// Where it is published.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Where Home Assistant says that it has started.
    pub fn birth_topic(&self) -> &str {
        &self.birth_topic
    }
}

/// What Home Assistant knows of us.
#[derive(Debug, Default)]
pub(super) struct Told {
    description: Option<Description>,
    /// Components that were described and are no more: id → platform. They are told to be gone for as long as this
    /// process lives, since somebody may not have heard it.
    gone: BTreeMap<String, String>,
}

impl Told {
    /// Describes anew, or not at all; what was described before.
    pub fn replace(&mut self, wanted: Option<Description>) -> Option<Description> {
        let before = std::mem::replace(&mut self.description, wanted);
        match (&self.description, &before) {
            (Some(now), Some(before)) if now.topic == before.topic => {
                let components = before.components.iter();
                self.gone.extend(components.filter_map(|(id, component)| described(id, component)));
                self.gone.retain(|id, _| !now.components.contains_key(id));
            }
            _ => self.gone.clear(),
        }
        before
    }

    /// Learns what stands on the broker; whether there is now more to be told.
    pub fn learn(&mut self, payload: &[u8]) -> bool {
        let Some(now) = &self.description else { return false };
        let Ok(Value::Object(message)) = serde_json::from_slice(payload) else { return false };
        let Some(Value::Object(components)) = message.get("components") else { return false };
        let known = self.gone.len();
        let before = components.iter().filter_map(|(id, component)| described(id, component));
        self.gone.extend(before.filter(|(id, _)| !now.components.contains_key(id)));
        self.gone.len() > known
    }

    pub fn description(&self) -> Option<&Description> {
        self.description.as_ref()
    }

    pub fn topic(&self) -> Option<&str> {
        self.description.as_ref().map(Description::topic)
    }

    /// What is to stand on the broker, and where.
    pub fn message(&self) -> Option<(&str, Vec<u8>)> {
        let Description { topic, envelope, components, .. } = self.description.as_ref()?;
        let gone = self.gone.iter().map(|(id, platform)| (id.clone(), json!({ "platform": platform })));
        let components: Map<_, _> = components.clone().into_iter().chain(gone).collect();
        let mut message = envelope.clone();
        message.insert("components".into(), components.into());
        Some((topic, to_json(&message)))
    }
}

/// Id and platform; `None` for what is told to be gone, which has nothing but a platform.
fn described(id: &str, component: &Value) -> Option<(String, String)> {
    let component = component.as_object().filter(|component| component.len() > 1)?;
    Some((id.to_owned(), component.get("platform")?.as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Action, Camera};

    const TOPIC: &str = "homeassistant/device/dock-3/config";

    fn described(cameras: &[&str], actions: &[&str]) -> Option<Description> {
        let mut config = Config::default();
        config.node.name = "dock-3".into();
        config.cameras = cameras.iter().map(|c| Camera { name: (*c).into(), ..Camera::default() }).collect();
        config.actions = actions.iter().map(|a| Action { name: (*a).into(), ..Action::default() }).collect();
        Some(Description::new(&config, &Topics::new("watchword", "dock-3")))
    }

    fn components(told: &Told) -> Map<String, Value> {
        let (topic, payload) = told.message().expect("nothing to tell");
        assert_eq!(topic, TOPIC);
        let message: Value = serde_json::from_slice(&payload).unwrap();
        message["components"].as_object().unwrap().clone()
    }

    /// What the next message tells to be gone: id and platform.
    fn gone(told: &Told) -> Vec<(String, String)> {
        let gone = components(told).into_iter().filter(|(_, c)| c.as_object().unwrap().len() == 1);
        gone.map(|(id, c)| (id, c["platform"].as_str().unwrap().to_owned())).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(id, platform)| ((*id).to_owned(), (*platform).to_owned())).collect()
    }

    #[test]
    fn every_id_is_its_own_whatever_cameras_and_actions_are_called() {
        let names = ["a", "a_b", "b", "b_a", "fps", "state", "status", "latency"];
        let told = Told { description: described(&names, &names), ..Told::default() };
        assert_eq!(components(&told).len(), names.len() * names.len() * 2 + names.len() * 2 + 6);
    }

    #[test]
    fn what_is_lost_is_told_to_be_gone_and_what_comes_back_is_not() {
        let mut told = Told::default();
        told.replace(described(&["gate", "yard"], &["running"]));
        assert_eq!(gone(&told), []);
        told.replace(described(&["gate"], &["running", "falling"]));
        let yard = owned(&[
            ("event.yard.running", "event"),
            ("fps.yard", "sensor"),
            ("state.yard.running", "binary_sensor"),
            ("status.yard", "sensor"),
        ]);
        assert_eq!(gone(&told), yard);
        told.replace(described(&["gate"], &["running", "falling"]));
        assert_eq!(gone(&told), yard, "as long as somebody may not have heard it");
        told.replace(described(&["gate", "yard"], &["running"]));
        assert_eq!(
            gone(&told),
            owned(&[("event.gate.falling", "event"), ("state.gate.falling", "binary_sensor")])
        );
        told.replace(None);
        assert!(told.message().is_none());
        told.replace(described(&["gate"], &["running"]));
        assert_eq!(gone(&told), [], "all was taken back");
    }

    #[test]
    fn what_an_earlier_process_described_is_told_to_be_gone() {
        let mut told = Told::default();
        told.replace(described(&["gate"], &["running"]));
        let before = json!({"components": {
            "state.gate.running": {"platform": "binary_sensor", "unique_id": "x"},
            "state.gate.jumping": {"platform": "binary_sensor", "unique_id": "y"},
            "state.gate.singing": {"platform": "binary_sensor"},
        }});
        let before = before.to_string();
        assert!(told.learn(before.as_bytes()));
        assert_eq!(gone(&told), owned(&[("state.gate.jumping", "binary_sensor")]));
        assert!(!told.learn(before.as_bytes()), "nothing new");
        assert!(!told.learn(&told.message().unwrap().1.clone()), "our own words");
        for garbage in
            ["", "{", "[]", r#"{"components":1}"#, r#"{"components":{"a":1,"b":{"platform":2,"c":3}}}"#]
        {
            assert!(!told.learn(garbage.as_bytes()), "{garbage}");
        }
        assert!(!Told::default().learn(before.as_bytes()));
    }
}
