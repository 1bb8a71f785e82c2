//! What the page asks of the supervisor: changes that last, which go into the configuration's file.

use std::sync::Arc;

use serde_json::json;
use tracing::{info, warn};

use super::supervisor::Supervisor;
use crate::cmd::place::Place;
use crate::config::{self, Action, ConfigErrors, EditError, EditedAction, Loaded, Mask, Overlay, Zone};
use crate::config::{with_regions, with_words};
use crate::vocabulary::{Vocabulary, VocabularyError};
use crate::web::{Order, Refusal, Reply, Saved, Words};

type Outcome<T> = Result<T, Refusal>;

impl Supervisor {
    /// Does what the page asks, and answers it.
    pub fn meet(&mut self, order: Order) {
        match order {
            Order::Pause { camera, pause, reply } => {
                let known = self.known(&camera).map_err(|problems| Refusal::Unknown(problems.join("\n")));
                let paused = known.and_then(|()| self.pause(Some(&camera), pause).map_err(failed));
                answer(if pause { "pause" } else { "resume" }, reply, paused.map(drop));
            }
            Order::Words { reply } => {
                let overlaid = self.loaded.overlay().is_some();
                let words = Words {
                    actions: self.config.actions.clone(),
                    background: self.config.vocabulary.background.clone(),
                    by_command: overlaid,
                    writable: !overlaid && Place::is_writable(&self.file),
                };
                _ = reply.send(Ok(words)); // who asked may have gone
            }
            Order::SetWords { actions, background, reply } => {
                let saved = self.set_words(&actions, &background);
                answer("vocabulary", reply, saved);
            }
            Order::SetRegions { camera, zones, masks, reply } => {
                let saved = self.set_regions(&camera, &zones, &masks);
                answer("regions", reply, saved);
            }
            Order::Embed { actions, background, reply } => {
                _ = reply.send(self.embed(actions, background)); // who asked may have gone
            }
        }
    }

    /// Into the file; or over what lies over the file, or over a file that cannot be written.
    fn set_words(&mut self, actions: &[EditedAction], background: &[String]) -> Outcome<Saved> {
        if self.loaded.overlay().is_none() && Place::is_writable(&self.file) {
            let text = with_words(self.loaded.text(), actions, background).map_err(not_editable)?;
            let loaded = self.loaded.rewritten(text).map_err(invalid)?;
            let set = &loaded.config;
            let is_set = |edited: &EditedAction| {
                let named = set.actions.iter().find(|action| action.name == edited.name);
                named.is_some_and(|action| edited.over(Some(action)) == *action)
            };
            if set.vocabulary.background != background || !actions.iter().all(is_set) {
                return Err(overridden());
            }
            return self.rewrite(loaded);
        }
        if self.words.is_none() {
            return Err(Refusal::Conflict(self.not_writable()));
        }
        let known = EditedAction::matches(&self.config.actions, actions);
        let action = |(edited, known): (&EditedAction, Option<usize>)| {
            edited.over(known.and_then(|index| self.config.actions.get(index)))
        };
        let actions: Vec<Action> = actions.iter().zip(known).map(action).collect();
        let overlay =
            Overlay { since: self.clock.utc(), actions: json!(actions), background: Some(json!(background)) };
        self.vocabulary(Some(overlay)).map_err(Refusal::Invalid)?;
        Ok(Saved { in_file: false, changes: "words".into() })
    }

    fn set_regions(&mut self, camera: &str, zones: &[Zone], masks: &[Mask]) -> Outcome<Saved> {
        self.known(camera).map_err(|problems| Refusal::Unknown(problems.join("\n")))?;
        if !Place::is_writable(&self.file) {
            return Err(Refusal::Conflict(self.not_writable()));
        }
        let text = with_regions(self.loaded.text(), camera, zones, masks).map_err(not_editable)?;
        let loaded = self.loaded.rewritten(text).map_err(invalid)?;
        self.rewrite(loaded)
    }

    /// Puts what was loaded from a changed text into effect, and the text into the file: both or neither.
    fn rewrite(&mut self, loaded: Loaded) -> Outcome<Saved> {
        let (before, after) = (self.loaded.text().to_owned(), loaded.text().to_owned());
        if before == after {
            return Ok(Saved { in_file: true, changes: "nothing".into() });
        }
        let conflict = |error: anyhow::Error| Refusal::Conflict(format!("{error:#}"));
        let place = Place::new(&self.file)
            .map_err(|error| Refusal::Conflict(format!("{error:#}; {}", self.not_writable())))?;
        let draft = place.draft(&before, &after).map_err(conflict)?;
        let result = self.apply(loaded);
        match &result {
            Ok(_) => {
                draft.keep().map_err(conflict)?;
                self.watch.reading(self.clock.monotonic());
            }
            Err(_) => draft.discard(),
        }
        self.report(&result);
        let changes = result.map_err(failed)?;
        Ok(Saved { in_file: true, changes: changes.to_string() })
    }

    /// Words that are to be tried, by the models in use.
    fn embed(&mut self, actions: Vec<Action>, background: Vec<String>) -> Outcome<Arc<Vocabulary>> {
        let mut config = self.config.clone();
        let template = config.vocabulary.template.take();
        (config.actions, config.vocabulary) = (actions, config::Vocabulary { background, template });
        let same_pack = |tried: &&Arc<Vocabulary>| tried.pack() == self.vocabulary.pack();
        let known = self.tried.as_ref().filter(same_pack).unwrap_or(&self.vocabulary);
        let (models, tower, now) = (&self.models, &mut self.text_tower, self.clock.monotonic());
        let embed = |phrases: &[String]| tower.use_at(now, || models.text_tower())?.embed(phrases);
        let words =
            Vocabulary::build(&config, &models.pack, Some(known), embed).map_err(|error| match error {
                VocabularyError::Clip(_) | VocabularyError::Rows { .. } => {
                    Refusal::Failed(format!("{:#}", anyhow::Error::from(error)))
                }
                error => Refusal::Invalid(vec![error.to_string()]),
            })?;
        let words = Arc::new(words);
        self.tried = Some(Arc::clone(&words));
        Ok(words)
    }

    fn not_writable(&self) -> String {
        let file = self.file.display();
        let folder = self.file.parent().unwrap_or(&self.file).display();
        format!(
            "{file} cannot be written by watchword. Change it by hand; or let watchword write it: make {folder} its user's \
             (`chown watchword {folder} {file}`) and, where systemd runs it, add `ReadWritePaths={folder}` to [Service] with \
             `systemctl edit watchword`, and restart it"
        )
    }
}

fn answer<T>(order: &str, reply: Reply<T>, outcome: Outcome<T>) {
    match &outcome {
        Ok(_) => info!(order, "done for the page"),
        Err(refusal) => warn!(order, ?refusal, "not done for the page"),
    }
    _ = reply.send(outcome); // who asked may have gone
}

fn failed(problems: Vec<String>) -> Refusal {
    Refusal::Failed(problems.join("\n"))
}

fn invalid(errors: ConfigErrors) -> Refusal {
    Refusal::Invalid(errors.problems.iter().map(ToString::to_string).collect())
}

fn not_editable(error: EditError) -> Refusal {
    Refusal::Conflict(format!("{error}; change the file by hand"))
}

fn overridden() -> Refusal {
    let error = "an environment variable WATCHWORD__VOCABULARY__.. stands over the file's words, which would have no effect; \
                 take it away";
    Refusal::Conflict(error.into())
}
