//! What a new configuration changes in the one in effect, so that only that is touched.

use std::fmt;

use super::{Action, BrokerKind, Camera, Config, Mqtt, Node, Pack, Scoring};

/// The differences between two valid configurations, by what has to be done about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Names of cameras that are new.
    pub added: Vec<String>,
    /// Names of cameras that are gone.
    pub removed: Vec<String>,
    /// Names of cameras that must be opened anew.
    pub reopened: Vec<String>,
    /// Names of cameras that are looked at differently, and stay open.
    pub adjusted: Vec<String>,
    /// The models, or what runs them.
    pub networks: bool,
    /// What turns features into scores.
    pub scorer: bool,
    /// What is embedded: names, phrases, background, template.
    pub words: bool,
    /// What is compared or counted from one frame to the next: thresholds, durations, rates.
    pub rules: bool,
    /// How the broker is reached.
    pub mqtt: bool,
    /// Where the box's own page is served, and to whom.
    pub web: bool,
    /// How others than subscribers of ours are spoken to.
    pub announcements: bool,
    /// Settings of which a change takes effect at the next start only; see [`Config::lasting`].
    pub restart: Vec<&'static str>,
}

impl Changes {
    /// What leads from `old` to `new`.
    pub fn between(old: &Config, new: &Config) -> Self {
        // Taken apart, so that whoever adds a section has to say here what a change of it means.
        let Config {
            node,
            pack,
            cameras,
            actions,
            vocabulary,
            detector,
            tracker,
            scoring,
            refresh,
            events,
            mqtt,
            homeassistant,
            onvif,
            stats,
            web,
        } = new;
        let mut changes = Self::default();
        for camera in cameras {
            let name = || camera.name.clone();
            match old.camera(&camera.name) {
                None => changes.added.push(name()),
                Some(before) if before == camera => {
                    if old.node.time_zone != node.time_zone && !camera.schedule.is_empty() {
                        changes.reopened.push(name());
                    }
                }
                Some(before) if opened_as(before) == opened_as(camera) => changes.adjusted.push(name()),
                Some(_) => changes.reopened.push(name()),
            }
        }
        let gone = old.cameras.iter().filter(|camera| new.camera(&camera.name).is_none());
        changes.removed = gone.map(|camera| camera.name.clone()).collect();

        let Pack { path, engine, threads, prepack } = &old.pack;
        changes.networks = (path, engine, threads, prepack)
            != (&pack.path, &pack.engine, &pack.threads, &pack.prepack)
            || seen(&old.scoring) != seen(scoring);
        let Scoring { heads, logit_scale, .. } = &old.scoring;
        changes.scorer = changes.networks || (heads, logit_scale) != (&scoring.heads, &scoring.logit_scale);
        changes.words = *path != pack.path
            || old.vocabulary != *vocabulary
            || !old.actions.iter().map(words).eq(actions.iter().map(words));
        changes.rules = (&old.detector, &old.tracker, &old.events, &old.stats)
            != (detector, tracker, events, stats)
            || Scoring { heads: heads.clone(), logit_scale: *logit_scale, ..scoring.clone() } != old.scoring
            || !old.actions.iter().map(rules).eq(actions.iter().map(rules));

        changes.web = old.web != *web;
        changes.announcements = (&old.homeassistant, &old.onvif) != (homeassistant, onvif);
        if old.node.name != node.name {
            changes.restart.push("node.name");
        }
        // The embedded broker lives as long as the process.
        let embedded = [&old.mqtt, mqtt].iter().any(|mqtt| mqtt.broker == BrokerKind::Embedded);
        match (reached(&old.mqtt) == reached(mqtt), embedded) {
            (true, _) => {}
            (false, true) => changes.restart.push("mqtt"),
            (false, false) => changes.mqtt = true,
        }
        if (&old.mqtt.spool, old.mqtt.queue) != (&mqtt.spool, mqtt.queue) {
            changes.restart.push("mqtt.spool");
        }
        changes.rules |= old.refresh != *refresh;
        changes.rules |= told(&old.mqtt) != told(mqtt);
        changes
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// There is none of this name.
#[derive(Debug, Clone, thiserror::Error)]
#[error("there is no camera {name:?}; there are {known}")]
pub struct NoCamera {
    name: String,
    known: String,
}

impl Config {
    /// The camera of this name.
    pub fn camera(&self, name: &str) -> Option<&Camera> {
        self.cameras.iter().find(|camera| camera.name == name)
    }

    /// The camera of this name, which whoever asks believes to be there.
    pub fn known_camera(&self, name: &str) -> Result<&Camera, NoCamera> {
        self.camera(name).ok_or_else(|| NoCamera { name: name.to_owned(), known: self.camera_names() })
    }

    /// Of all cameras, for people.
    pub fn camera_names(&self) -> String {
        self.cameras.iter().map(|camera| camera.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// `new` as far as it can take effect while this configuration runs.
    #[must_use]
    pub fn lasting(&self, new: Self) -> Self {
        let restart = Changes::between(self, &new).restart;
        let Mqtt { detections, snapshots, commands, .. } = new.mqtt;
        let mqtt = if restart.contains(&"mqtt") { self.mqtt.clone() } else { new.mqtt };
        let (queue, spool) = (self.mqtt.queue, self.mqtt.spool.clone());
        let mqtt = Mqtt { detections, snapshots, commands, queue, spool, ..mqtt };
        let node = Node { name: self.node.name.clone(), ..new.node };
        Self { node, mqtt, ..new }
    }
}

/// A camera without what only matters to those who look at its frames.
fn opened_as(camera: &Camera) -> Camera {
    Camera { zones: Vec::new(), analysis_fps: None, ..camera.clone() }
}

/// How a broker is reached, without what it is told and where that waits.
fn reached(mqtt: &Mqtt) -> Mqtt {
    let (queue, spool) = Default::default();
    Mqtt { detections: false, snapshots: false, commands: false, queue, spool, ..mqtt.clone() }
}

/// Which pictures the image tower is loaded to read.
fn seen(scoring: &Scoring) -> impl PartialEq {
    (scoring.regions, scoring.input, scoring.small)
}

/// What a broker is told.
fn told(mqtt: &Mqtt) -> [bool; 3] {
    [mqtt.detections, mqtt.snapshots, mqtt.commands]
}

fn words(action: &Action) -> (&str, &[String], &[String]) {
    (&action.name, &action.phrases, &action.against)
}

fn rules(action: &Action) -> impl PartialEq {
    (action.threshold, action.minimum_duration, action.zones.clone())
}

/// For the log: `camera yard added; words`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = Vec::new();
        let cameras = [
            (&self.added, "added"),
            (&self.removed, "removed"),
            (&self.reopened, "opened anew"),
            (&self.adjusted, "adjusted"),
        ];
        for (names, done) in cameras {
            said.extend(names.iter().map(|name| format!("camera {name} {done}")));
        }
        let parts = [
            (self.networks, "models loaded"),
            (self.scorer && !self.networks, "heads loaded"),
            (self.words, "words embedded"),
            (self.rules, "thresholds and rates set"),
            (self.mqtt, "MQTT connected anew"),
            (self.announcements, "announcements made"),
            (self.web, "page served anew"),
        ];
        said.extend(parts.iter().filter(|(changed, _)| *changed).map(|(_, done)| (*done).to_owned()));
        said.extend(self.restart.iter().map(|setting| format!("{setting} waits for a restart")));
        if said.is_empty() { f.write_str("nothing changed") } else { f.write_str(&said.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Heads, Span};

    const EXAMPLE: &str = include_str!("../../board/watchword.toml");

    /// What a change of the annotated example amounts to.
    fn after(change: impl FnOnce(&mut Config)) -> Changes {
        let old = Config::parse(EXAMPLE).unwrap();
        let mut new = old.clone();
        change(&mut new);
        Changes::between(&old, &new)
    }

    fn none() -> Changes {
        Changes::default()
    }

    #[test]
    fn nothing_changed_is_nothing_to_do() {
        assert!(after(|_| {}).is_empty());
        assert_eq!(none().to_string(), "nothing changed");
    }

    #[test]
    fn cameras_are_known_by_their_names() {
        let yard = Camera { name: "yard".into(), source: "/dev/video1".into(), ..Camera::default() };
        let added = after(|c| c.cameras.insert(0, yard.clone()));
        assert_eq!(added, Changes { added: vec!["yard".into()], ..none() });
        let renamed = after(|c| c.cameras[0].name = "door".into());
        assert_eq!(renamed, Changes { added: vec!["door".into()], removed: vec!["gate".into()], ..none() });
        assert_eq!(renamed.to_string(), "camera door added; camera gate removed");
    }

    #[test]
    fn a_camera_is_opened_anew_only_for_what_its_source_is_told() {
        let reopened = Changes { reopened: vec!["gate".into()], ..none() };
        assert_eq!(after(|c| c.cameras[0].source = "/dev/video9".into()), reopened);
        assert_eq!(after(|c| c.cameras[0].size = None), reopened);
        assert_eq!(after(|c| c.cameras[0].repeat = true), reopened);
        assert_eq!(after(|c| c.cameras[0].rotate = 90), reopened);
        let mut zoned = Config::parse(EXAMPLE).unwrap();
        let mut old = zoned.clone();
        old.cameras[0].schedule = vec!["mon-fri 08:00-20:00".parse().unwrap()];
        zoned.node.time_zone = Some("Europe/Zurich".into());
        assert!(
            Changes::between(&Config::parse(EXAMPLE).unwrap(), &zoned).is_empty(),
            "no schedule is in it"
        );
        zoned.cameras[0].schedule.clone_from(&old.cameras[0].schedule);
        assert_eq!(Changes::between(&old, &zoned), reopened);
        let adjusted = Changes { adjusted: vec!["gate".into()], ..none() };
        assert_eq!(after(|c| c.cameras[0].zones.clear()), adjusted);
        assert_eq!(after(|c| c.cameras[0].analysis_fps = Some(1.0)), adjusted);
    }

    #[test]
    fn words_are_embedded_and_thresholds_are_not() {
        let words = Changes { words: true, ..none() };
        assert_eq!(after(|c| c.actions[0].phrases[1] = "climbing a tree".into()), words);
        assert_eq!(after(|c| c.actions[0].against.clear()), words);
        assert_eq!(after(|c| c.vocabulary.background.push("a person waiting".into())), words);
        assert_eq!(after(|c| c.vocabulary.template = Some("a {}".into())), words);
        let rules = Changes { rules: true, ..none() };
        assert_eq!(after(|c| c.actions[0].threshold = 0.9), rules);
        assert_eq!(after(|c| c.actions[0].minimum_duration = Span::from_secs_f64(9.0)), rules);
        assert_eq!(after(|c| c.actions[0].zones.clear()), rules);
        assert_eq!(after(|c| c.events.hysteresis = 0.01), rules);
        assert_eq!(after(|c| c.detector.max_persons = 3), rules);
        assert_eq!(after(|c| c.tracker.confirm = 1), rules);
        assert_eq!(after(|c| c.scoring.smoothing = Span::from_secs_f64(9.0)), rules);
        assert_eq!(after(|c| c.mqtt.detections = true), rules);
        assert_eq!(after(|c| c.mqtt.commands = true), rules);
        assert_eq!(after(|c| c.stats.interval = Span::from_secs_f64(9.0)), rules);
        assert_eq!(after(|c| c.actions.swap(0, 1)), Changes { rules: true, ..words }, "rows change places");
    }

    #[test]
    fn the_page_is_served_anew_and_nothing_else_is_touched() {
        assert_eq!(after(|c| c.web.enabled = false), Changes { web: true, ..none() });
        assert_eq!(after(|c| c.web.hosts.push("dock-3.lan".into())), Changes { web: true, ..none() });
    }

    #[test]
    fn models_come_with_their_heads_and_words() {
        let all = Changes { networks: true, scorer: true, words: true, ..none() };
        assert_eq!(after(|c| c.pack.path = "other".into()), all);
        assert_eq!(after(|c| c.pack.threads = 1), Changes { words: false, ..all.clone() });
        assert!(after(|c| c.scoring.input = Some(160)).networks);
        assert!(after(|c| c.scoring.small = Some(128)).networks);
        assert_eq!(after(|c| c.scoring.heads = Heads::None), Changes { scorer: true, ..none() });
        assert_eq!(after(|c| c.scoring.logit_scale = Some(3.0)), Changes { scorer: true, ..none() });
    }

    #[test]
    fn what_waits_for_a_restart_stays_as_it_is_and_the_rest_takes_effect() {
        let old = Config::parse(EXAMPLE).unwrap();
        let mut new = old.clone();
        new.node.name = "dock-4".into();
        new.mqtt.port = Some(1884);
        new.actions[0].threshold = 0.9;
        let changes = Changes::between(&old, &new);
        assert_eq!(changes, Changes { rules: true, mqtt: true, restart: vec!["node.name"], ..none() });
        assert!(changes.to_string().ends_with("node.name waits for a restart"), "{changes}");
        let lasting = old.lasting(new.clone());
        assert_eq!(lasting, Config { node: old.node.clone(), ..new.clone() });
        assert_eq!(Changes::between(&lasting, &new).restart, ["node.name"], "and is not forgotten");

        new.mqtt.broker = BrokerKind::Embedded;
        new.mqtt.snapshots = true;
        new.mqtt.queue = 7;
        assert_eq!(Changes::between(&old, &new).restart, ["node.name", "mqtt", "mqtt.spool"]);
        assert_eq!(old.lasting(new).mqtt, Mqtt { snapshots: true, ..old.mqtt });
    }
}
