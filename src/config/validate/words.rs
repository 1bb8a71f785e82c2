//! The words: what actions are called, how they are said, and that no phrase competes with itself.

use std::collections::HashMap;

use super::{fraction, slug, span, unique};
use crate::config::report::Report;
use crate::config::{Action, Config, KeyPath};

const HOW_TO_WRITE_AN_ACTION: &str = "there is no action to watch for; add one:\n  [[action]]\n  name = \
                                      \"climbing_fence\"\n  phrases = [\"climbing over a fence\"]";

/// The actions, each in itself.
pub(super) fn actions(config: &Config, report: &mut Report) {
    let path = KeyPath::default().key("action");
    if config.actions.is_empty() {
        report.error(&path, HOW_TO_WRITE_AN_ACTION);
    }
    unique(report, config.actions.iter().map(|a| a.name.as_str()), |i| path.index(i).key("name"));
    for (i, action) in config.actions.iter().enumerate() {
        self::action(action, config, &path.index(i), report);
    }
}

fn action(action: &Action, config: &Config, path: &KeyPath, report: &mut Report) {
    slug(report, &path.key("name"), &action.name);
    if action.phrases.is_empty() {
        let message = "no phrases; say it in words, such as phrases = [\"climbing over a fence\"]";
        report.error(&path.key("phrases"), message);
    }
    let threshold = path.key("threshold");
    fraction(report, &threshold, action.threshold);
    let hysteresis = config.events.hysteresis;
    if action.threshold > 0.0 && action.threshold <= hysteresis && hysteresis < 1.0 {
        let message = format!(
            "{} is not above events.hysteresis, {hysteresis}: an occurrence would never end; raise the one or \
             lower the other",
            action.threshold
        );
        report.error(&threshold, message);
    }
    span(report, &path.key("minimum_duration"), action.minimum_duration, 0.0..=3600.0);

    if report.is_unread(&KeyPath::default().key("camera")) {
        return; // a zone may be among what could not be read
    }
    let mut known: Vec<&str> =
        config.cameras.iter().flat_map(|c| &c.zones).map(|z| z.name.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    for (i, zone) in action.zones.iter().enumerate().filter(|(_, zone)| !known.contains(&zone.as_str())) {
        let there_are = if known.is_empty() {
            "there are none".into()
        } else {
            format!("there are {}", known.join(", "))
        };
        let message =
            format!("no camera has a zone `{zone}`; {there_are}; add a [[camera.zone]] or correct the name");
        report.error(&path.key("zones").index(i), message);
    }
}

/// The phrases together: all take part in one softmax, where one that stands twice halves its own share.
pub(super) fn phrases(config: &Config, report: &mut Report) {
    let (actions, vocabulary) = (KeyPath::default().key("action"), KeyPath::default().key("vocabulary"));
    let background = vocabulary.key("background");
    let mut said = HashMap::new();
    for (i, action) in config.actions.iter().enumerate() {
        once(report, &mut said, &actions.index(i).key("phrases"), &action.phrases);
    }
    once(report, &mut said, &background, &config.vocabulary.background);
    for (i, action) in config.actions.iter().enumerate() {
        // What one action must beat alone may stand against another one, too.
        once(report, &mut said.clone(), &actions.index(i).key("against"), &action.against);
    }
    if config.vocabulary.background.is_empty() {
        let message = "no background phrases, so everybody does one of the actions at any time; add what people \
                       do otherwise, such as background = [\"a person doing nothing\", \"a person walking\"]";
        report.warning(&background, message);
    }
    if let Some(template) = &config.vocabulary.template
        && template.matches("{}").count() != 1
    {
        let message = format!(
            "{template:?} must hold {{}} once, where the phrase goes, such as \"a photo of a person {{}}\""
        );
        report.error(&vocabulary.key("template"), message);
    }
}

/// Reports blank phrases and those already in `said`, whatever their case and spacing; adds the others to it.
fn once(report: &mut Report, said: &mut HashMap<String, KeyPath>, path: &KeyPath, phrases: &[String]) {
    for (i, phrase) in phrases.iter().enumerate() {
        let path = path.index(i);
        let plain = phrase.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        if plain.is_empty() {
            report.error(&path, "a blank phrase; write words, or leave it out");
        } else if let Some(first) = said.get(&plain) {
            let message = format!(
                "{phrase:?} stands in {first} already ({}); say it once, or in other words",
                report.whereabouts(first)
            );
            report.error(&path, message);
        } else {
            said.insert(plain, path);
        }
    }
}
