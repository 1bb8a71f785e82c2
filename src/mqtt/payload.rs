//! The JSON payloads of action events and detections, as the MQTT contract has them (schema 1).
//!
//! Serialised straight from borrowed values: the only memory taken is the message itself.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ulid::Ulid;

use crate::event::{ActionEvent, Change, Reason};

/// Version of all JSON payloads; it changes when a field changes its meaning or goes away.
pub(super) const SCHEMA: u32 = 1;

/// What made an event: the part of a payload that is the same for all events of a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Slug of the box.
    pub node: String,
    /// Name and version of the model pack, `nano@1`.
    pub pack: String,
    /// Content id of the vocabulary, `9f31c2d4`.
    pub vocabulary: String,
}

/// The contract's action event. `latency_ms` runs from the capture to the hand-over to MQTT, in milliseconds;
/// 0 where there is no such thing, as in a recording.
pub fn event_json<'a>(
    event: &'a ActionEvent,
    origin: &'a Origin,
    latency_ms: u64,
) -> impl Serialize + use<'a> {
    EventJson {
        schema: SCHEMA,
        id: Text(event.id),
        change: event.change,
        node: Cow::from(&origin.node),
        camera: Cow::from(&event.camera),
        track: event.track,
        action: Cow::from(&event.action),
        label: Cow::from(&event.label),
        score: decimals(event.score),
        peak_score: decimals(event.peak_score),
        rect: fractions(event.rect),
        zones: Cow::from(&event.zones),
        begin: Text(Rfc3339(event.begin)),
        time: Text(Rfc3339(event.time)),
        end: event.end.map(|end| Text(Rfc3339(end))),
        reason: event.reason,
        provisional: event.provisional,
        latency_ms,
        pack: Cow::from(&origin.pack),
        vocabulary: Cow::from(&origin.vocabulary),
    }
}

#[derive(Serialize, Deserialize)]
struct EventJson<'a> {
    schema: u32,
    id: Text<Ulid>,
    #[serde(rename = "type")]
    change: Change,
    #[serde(borrow)]
    node: Cow<'a, str>,
    camera: Cow<'a, str>,
    track: u64,
    action: Cow<'a, str>,
    label: Cow<'a, str>,
    score: f64,
    peak_score: f64,
    #[serde(rename = "box")]
    rect: [f64; 4],
    zones: Cow<'a, [String]>,
    begin: Text<Rfc3339>,
    time: Text<Rfc3339>,
    end: Option<Text<Rfc3339>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    provisional: bool,
    latency_ms: u64,
    pack: Cow<'a, str>,
    vocabulary: Cow<'a, str>,
}

/// Which occurrence a published event belongs to, and what it says of it; `None` if it is no event.
pub(super) fn identity(payload: &[u8]) -> Option<(Ulid, Change)> {
    let event: EventJson<'_> = serde_json::from_slice(payload).ok()?;
    Some((event.id.0, event.change))
}

/// The end of an occurrence that was found open after a restart.
#[derive(Debug, PartialEq)]
pub(super) struct RestartEnd {
    pub camera: String,
    pub action: String,
    /// The latest that is known of it.
    pub time: Timestamp,
    pub payload: Vec<u8>,
}

/// Ends the occurrence of which `latest` is the latest event published: at that event's time, since nobody knows what
/// was after it. `None` if it is no event.
pub(super) fn restart_end(latest: &[u8]) -> Option<RestartEnd> {
    let mut event: EventJson<'_> = serde_json::from_slice(latest).ok()?;
    let time = event.time.0.0;
    event.change = Change::End;
    event.end = Some(Text(Rfc3339(time)));
    event.reason = Some(Reason::Restart);
    event.latency_ms = 0;
    let (camera, action) = (event.camera.clone().into_owned(), event.action.clone().into_owned());
    Some(RestartEnd { camera, action, time, payload: to_json(&event) })
}

/// How many actions of a person are published with detections, the best ones.
const TOP_SCORES: usize = 5;

/// One person in one frame, as published on `detections`.
#[derive(Debug, Clone, Copy)]
pub struct TrackScores<'a> {
    track: u64,
    rect: [f32; 4],
    person_score: f32,
    top: [(&'a str, f32); TOP_SCORES],
    len: usize,
}

impl<'a> TrackScores<'a> {
    /// `rect` is `[x1, y1, x2, y2]` as fractions of the frame, `person_score` the detector's, `scores` the action
    /// slugs with their probabilities in any order.
    pub fn new(
        track: u64,
        rect: [f32; 4],
        person_score: f32,
        scores: impl IntoIterator<Item = (&'a str, f32)>,
    ) -> Self {
        let mut this = Self { track, rect, person_score, top: [("", 0.0); TOP_SCORES], len: 0 };
        for (action, score) in scores {
            this.rank(action, score);
        }
        this
    }

    fn rank(&mut self, action: &'a str, score: f32) {
        let rank = self.top().iter().take_while(|(_, other)| *other >= score).count();
        if let Some(tail @ [_, ..]) = self.top.get_mut(rank..) {
            tail.rotate_right(1);
            tail[0] = (action, score); // not empty
            self.len = (self.len + 1).min(TOP_SCORES);
        }
    }

    fn top(&self) -> &[(&'a str, f32)] {
        &self.top[..self.len] // never above TOP_SCORES
    }
}

impl Serialize for TrackScores<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("track", &self.track)?;
        map.serialize_entry("box", &fractions(self.rect))?;
        map.serialize_entry("person_score", &decimals(self.person_score))?;
        map.serialize_entry("scores", &Best(self.top()))?;
        map.end()
    }
}

/// Action → probability, best first.
struct Best<'a>(&'a [(&'a str, f32)]);

impl Serialize for Best<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(action, score)| (action, decimals(*score))))
    }
}

/// All tracks of one frame.
pub(super) fn detections_json<'a, T>(
    node: &'a str,
    camera: &'a str,
    time: Timestamp,
    tracks: T,
) -> impl Serialize + use<'a, T>
where
    T: Iterator<Item: Serialize> + Clone,
{
    DetectionsJson { schema: SCHEMA, node, camera, time: Text(Rfc3339(time)), tracks: Sequence(tracks) }
}

#[derive(Serialize)]
#[serde(bound = "")]
struct DetectionsJson<'a, T: Iterator<Item: Serialize> + Clone> {
    schema: u32,
    node: &'a str,
    camera: &'a str,
    time: Text<Rfc3339>,
    tracks: Sequence<T>,
}

struct Sequence<T>(T);

impl<T: Iterator<Item: Serialize> + Clone> Serialize for Sequence<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}

/// Serialises as a value displays.
pub(super) struct Text<T>(pub T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map(Self).map_err(de::Error::custom)
    }
}

/// RFC 3339 in UTC with three decimals, always: `2026-11-22T20:14:03.120Z`.
pub(super) struct Rfc3339(pub Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        PRINTER.print_timestamp(&self.0, StdFmtWrite(f)).map_err(|_| fmt::Error)
    }
}

impl FromStr for Rfc3339 {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

/// Four decimals: finer than any score or box is certain, and `0.87` stays `0.87` on its way through `f32`.
pub(super) fn decimals(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}

/// A box inside the frame, whatever the tracker expected beyond its edge.
fn fractions(rect: [f32; 4]) -> [f64; 4] {
    rect.map(|side| decimals(side.clamp(0.0, 1.0)))
}

/// The JSON of a payload.
pub(super) fn to_json(payload: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(512);
    let written = serde_json::to_writer(&mut json, payload);
    // Writing to memory does not fail, and every key of our maps is a string.
    debug_assert!(written.is_ok(), "{written:?}");
    json
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    fn event() -> ActionEvent {
        ActionEvent {
            id: "01JD2Q6W3M8Z4T0V8R1N7C5K9X".parse().unwrap(),
            change: Change::Begin,
            camera: "gate".into(),
            track: 17,
            action: "climbing_fence".into(),
            label: "climbing over a fence".into(),
            score: 0.87,
            peak_score: 0.91,
            rect: [0.41, 0.22, 0.55, 0.93],
            zones: vec!["perimeter".into()],
            begin: "2026-11-22T20:14:03.12Z".parse().unwrap(),
            time: "2026-11-22T20:14:03.960999Z".parse().unwrap(),
            end: None,
            reason: None,
            provisional: false,
            captured: Duration::from_secs(100),
        }
    }

    fn origin() -> Origin {
        Origin { node: "dock-3".into(), pack: "clip-vit-b16-int8@1".into(), vocabulary: "9f31c2d4".into() }
    }

    #[test]
    fn an_event_reads_as_the_contract_letter_by_letter() {
        // The contract's example without its line breaks; field order included.
        let expected = concat!(
            r#"{"schema":1,"id":"01JD2Q6W3M8Z4T0V8R1N7C5K9X","type":"begin","node":"dock-3","camera":"gate","#,
            r#""track":17,"action":"climbing_fence","label":"climbing over a fence","score":0.87,"#,
            r#""peak_score":0.91,"box":[0.41,0.22,0.55,0.93],"zones":["perimeter"],"#,
            r#""begin":"2026-11-22T20:14:03.120Z","time":"2026-11-22T20:14:03.960Z","end":null,"#,
            r#""latency_ms":212,"pack":"clip-vit-b16-int8@1","vocabulary":"9f31c2d4"}"#
        );
        assert_eq!(String::from_utf8(to_json(&event_json(&event(), &origin(), 212))).unwrap(), expected);
    }

    #[test]
    fn an_end_says_when_and_why() {
        let ended = ActionEvent {
            change: Change::End,
            end: Some("2026-11-22T20:14:09Z".parse().unwrap()),
            reason: Some(Reason::SourceEnded),
            ..event()
        };
        let value = serde_json::to_value(event_json(&ended, &origin(), 0)).unwrap();
        assert_eq!(value["type"], "end");
        assert_eq!(value["end"], "2026-11-22T20:14:09.000Z");
        assert_eq!(value["reason"], "source_ended");
    }

    #[test]
    fn what_was_open_at_a_restart_ends_when_it_was_last_heard_of() {
        let latest = to_json(&event_json(&ActionEvent { change: Change::Update, ..event() }, &origin(), 212));
        let end = restart_end(&latest).unwrap();
        let ended = ActionEvent {
            change: Change::End,
            end: Some(event().time),
            reason: Some(Reason::Restart),
            ..event()
        };
        let text = |json: Vec<u8>| String::from_utf8(json).unwrap();
        assert_eq!(text(end.payload.clone()), text(to_json(&event_json(&ended, &origin(), 0))));
        assert_eq!((end.camera.as_str(), end.action.as_str()), ("gate", "climbing_fence"));
        assert_eq!(end.time.as_millisecond(), event().time.as_millisecond());
        assert_eq!(identity(&latest), Some((event().id, Change::Update)));
        assert_eq!((identity(b"{}"), restart_end(&latest[1..])), (None, None));
    }

    #[test]
    fn boxes_stay_in_the_frame_and_numbers_short() {
        let wild = ActionEvent { score: 1.0 / 3.0, rect: [-0.2, 0.123_456, 1.3, 1.0], ..event() };
        let value = serde_json::to_value(event_json(&wild, &origin(), 0)).unwrap();
        assert_eq!(value["score"], 0.3333);
        assert_eq!(value["box"], json!([0.0, 0.1235, 1.0, 1.0]));
    }

    #[test]
    fn detections_carry_the_best_scores_of_each_track() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let scores = [0.05, 0.3, 0.1, 0.2, 0.01, 0.25, 0.09];
        let many = TrackScores::new(3, [0.1, 0.2, 0.3, 0.4], 0.9, names.into_iter().zip(scores));
        let few = TrackScores::new(4, [0.5, 0.5, 0.6, 0.7], 0.8, [("a", 0.4)]);
        let time = "2026-11-22T20:14:03Z".parse().unwrap();
        let bytes = to_json(&detections_json("dock-3", "gate", time, [many, few].into_iter()));
        let expected = concat!(
            r#"{"schema":1,"node":"dock-3","camera":"gate","time":"2026-11-22T20:14:03.000Z","tracks":["#,
            r#"{"track":3,"box":[0.1,0.2,0.3,0.4],"person_score":0.9,"#,
            r#""scores":{"b":0.3,"f":0.25,"d":0.2,"c":0.1,"g":0.09}},"#,
            r#"{"track":4,"box":[0.5,0.5,0.6,0.7],"person_score":0.8,"scores":{"a":0.4}}]}"#
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn a_frame_without_people_has_an_empty_list() {
        let time = "2026-11-22T20:14:03Z".parse().unwrap();
        let value: Value = serde_json::from_slice(&to_json(&detections_json(
            "n",
            "c",
            time,
            std::iter::empty::<TrackScores<'_>>(),
        )))
        .unwrap();
        assert_eq!(value["tracks"], json!([]));
    }
}
