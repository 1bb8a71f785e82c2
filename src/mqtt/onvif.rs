//! Events as an ONVIF Profile M client reads them: JSON over MQTT, `onvif-ej` (ONVIF Core Specification 22.06, event
//! broker).
//!
//! A topic is `TopicPrefix/onvif-ej/LocalTopic/&SourceValue/..`, and a topic of another than ONVIF's namespace begins with
//! `tns:` and the namespace's name. ONVIF has no topic for actions in words, so ours is
//! `tns:watchword/RuleEngine/ActionDetector/Action`, built as ONVIF's own rules are: the source is the camera and the
//! rule, and the data is a state of an object, as in `RuleEngine/FieldDetector/ObjectsInside`. So it has a beginning and
//! an end; updates stay with us.

use serde::{Deserialize, Serialize};

use super::payload::to_json;
use super::topic::Topics;

/// The part of an action event that goes into one of ONVIF's.
#[derive(Deserialize)]
struct Event<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    change: &'a str,
    camera: &'a str,
    track: u64,
    action: &'a str,
    score: f64,
    time: &'a str,
    #[serde(default)]
    provisional: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'a> {
    utc_time: &'a str,
    source: Source<'a>,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Source<'a> {
    video_source: &'a str,
    rule: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Data<'a> {
    /// Whether the object does it.
    state: bool,
    /// The track's number.
    object_id: u64,
    likelihood: f64,
    /// The occurrence's id, to find it among our own events.
    occurrence: &'a str,
}

/// Topic and payload for a payload of ours; `None` if it is about neither a beginning nor an end.
pub(super) fn message(prefix: &str, payload: &[u8]) -> Option<(String, Vec<u8>)> {
    let event: Event<'_> = serde_json::from_slice(payload).ok()?;
    let state = match event.change {
        "begin" => true,
        "end" => false,
        _ => return None,
    };
    if event.provisional {
        return None;
    }
    let message = Message {
        utc_time: event.time,
        source: Source { video_source: event.camera, rule: event.action },
        data: Data { state, object_id: event.track, likelihood: event.score, occurrence: event.id },
    };
    Some((Topics::onvif(prefix, event.camera, event.action), to_json(&message)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(change: &str) -> Value {
        json!({
            "schema": 1, "id": "01JD2Q6W3M8Z4T0V8R1N7C5K9X", "type": change, "node": "dock-3", "camera": "gate",
            "track": 17, "action": "climbing_fence", "label": "climbing over a \"fence\"", "score": 0.87,
            "time": "2026-11-22T20:14:03.960Z", "end": null,
        })
    }

    #[test]
    fn a_beginning_and_an_end_are_a_state_of_an_object() {
        let (topic, payload) = message("site/dock-3", event("begin").to_string().as_bytes()).unwrap();
        assert_eq!(
            topic,
            "site/dock-3/onvif-ej/tns:watchword/RuleEngine/ActionDetector/Action/&gate/climbing_fence"
        );
        let expected = concat!(
            r#"{"UtcTime":"2026-11-22T20:14:03.960Z","#,
            r#""Source":{"VideoSource":"gate","Rule":"climbing_fence"},"#,
            r#""Data":{"State":true,"ObjectId":17,"Likelihood":0.87,"Occurrence":"01JD2Q6W3M8Z4T0V8R1N7C5K9X"}}"#
        );
        assert_eq!(String::from_utf8(payload).unwrap(), expected);
        let (_, payload) = message("p", event("end").to_string().as_bytes()).unwrap();
        let ended: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(ended["Data"]["State"], false);
    }

    #[test]
    fn updates_and_what_is_not_certain_stay_with_us() {
        assert!(message("p", event("update").to_string().as_bytes()).is_none());
        let mut provisional = event("begin");
        provisional["provisional"] = true.into();
        assert!(message("p", provisional.to_string().as_bytes()).is_none());
        assert!(message("p", b"{").is_none());
    }
}
