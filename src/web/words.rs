//! The words: what is watched for, and what other words would score.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract;
use super::orders::{Order, Saved, Words};
use super::problem::Problem;
use super::state::Page;
use crate::config::{Action, EditedAction, Span};
use crate::pipeline::{ControlError, Trial};
use crate::vocabulary::Vocabulary;

/// Of one vocabulary: what a board embeds in a few seconds.
const MOST_PHRASES: usize = 200;
/// Characters.
const LONGEST_PHRASE: usize = 300;
/// A frame to try words on must come in this time.
const FRAME: Duration = Duration::from_secs(5);

/// What is watched for.
#[derive(Serialize, ToSchema)]
struct Watched {
    /// `file`, or `command` for words that were set over MQTT and lie over the file's.
    from: &'static str,
    /// Whether a change is written into the file.
    writable: bool,
    actions: Vec<WatchedAction>,
    /// What people do otherwise.
    background: Vec<String>,
}

/// One of the actions.
#[derive(Serialize, ToSchema)]
struct WatchedAction {
    name: String,
    /// Ways to say it.
    phrases: Vec<String>,
    /// Smoothed probability at which it begins.
    threshold: f32,
    /// How long it must hold, such as `500ms`.
    #[schema(value_type = String)]
    minimum_duration: Span,
}

/// What is to be watched for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    actions: Vec<WantedAction>,
    background: Vec<String>,
}

/// One of the actions. What is left out stays as it is; of a new one it is at its default.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WantedAction {
    name: String,
    /// What it was called before, if it is to be called otherwise now.
    was: Option<String>,
    phrases: Vec<String>,
    /// Above 0, at most 1.
    threshold: Option<f32>,
    /// Such as `500ms`, or seconds.
    #[schema(value_type = Option<String>)]
    minimum_duration: Option<Span>,
}

/// What came of a change.
#[derive(Serialize, ToSchema)]
pub(super) struct SavedWhere {
    /// `file`; or `command`, where the file cannot be written: the words lie over the file's, as if a command had set
    /// them.
    saved: &'static str,
    /// What is otherwise now.
    changes: String,
}

impl From<Saved> for SavedWhere {
    fn from(saved: Saved) -> Self {
        Self { saved: if saved.in_file { "file" } else { "command" }, changes: saved.changes }
    }
}

/// Words to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Attempt {
    actions: Vec<TriedAction>,
    #[serde(default)]
    background: Vec<String>,
    /// On whom; without it: on all that are online.
    camera: Option<String>,
}

/// One of the actions.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TriedAction {
    name: String,
    phrases: Vec<String>,
}

/// What they score.
#[derive(Serialize, ToSchema)]
struct Attempted {
    cameras: Vec<AttemptedCamera>,
}

/// On one camera.
#[derive(Serialize, ToSchema)]
struct AttemptedCamera {
    camera: String,
    /// Of the frame; `null` if none came in time.
    time: Option<String>,
    persons: Vec<AttemptedPerson>,
}

/// On one person.
#[derive(Serialize, ToSchema)]
struct AttemptedPerson {
    track: u64,
    #[serde(rename = "box")]
    rect: [f32; 4],
    /// Probabilities of this frame alone, by action.
    scores: BTreeMap<String, f32>,
}

pub(super) fn routes() -> OpenApiRouter<Page> {
    OpenApiRouter::new().routes(routes!(vocabulary, set_vocabulary)).routes(routes!(attempt))
}

/// What is watched for.
#[utoipa::path(get, path = "/vocabulary", tag = "words", responses((status = 200, body = Watched)))]
async fn vocabulary(State(page): State<Page>) -> Result<Json<Watched>, Problem> {
    let Words { actions, background, by_command, writable } =
        page.orders.give(|reply| Order::Words { reply }).await?;
    let actions = actions.into_iter().map(|Action { name, phrases, threshold, minimum_duration, .. }| {
        WatchedAction { name, phrases, threshold, minimum_duration }
    });
    let from = if by_command { "command" } else { "file" };
    Ok(Json(Watched { from, writable, actions: actions.collect(), background }))
}

/// Watches for these actions and no others. They are written into the configuration, whose comments and other settings
/// stay; where it cannot be written, they are kept as if a command had set them.
#[utoipa::path(put, path = "/vocabulary", tag = "words", request_body = Wanted, responses(
    (status = 200, body = SavedWhere), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn set_vocabulary(
    State(page): State<Page>,
    extract::Json(wanted): extract::Json<Wanted>,
) -> Result<Json<SavedWhere>, Problem> {
    let Wanted { actions, background } = wanted;
    bounded(actions.iter().flat_map(|action| &action.phrases).chain(&background))?;
    let edited = |WantedAction { name, was, phrases, threshold, minimum_duration }| EditedAction {
        name,
        was,
        phrases,
        threshold: threshold.map(|threshold| (threshold * 1e3).round() / 1e3),
        minimum_duration,
    };
    let actions = actions.into_iter().map(edited).collect();
    let saved = page.orders.give(|reply| Order::SetWords { actions, background, reply }).await?;
    Ok(Json(saved.into()))
}

/// What these words score on the people that the cameras see now. Nothing is saved, and nothing that is watched for
/// changes.
#[utoipa::path(post, path = "/vocabulary/try", tag = "words", request_body = Attempt, responses(
    (status = 200, body = Attempted), (status = 404, body = Problem), (status = 422, body = Problem),
    (status = 429, body = Problem)))]
async fn attempt(
    State(page): State<Page>,
    extract::Json(attempt): extract::Json<Attempt>,
) -> Result<Json<Attempted>, Problem> {
    let Attempt { actions, background, camera } = attempt;
    bounded(actions.iter().flat_map(|action| &action.phrases).chain(&background))?;
    let cameras = match camera {
        Some(camera) => {
            page.known(&camera)?;
            vec![camera]
        }
        None => page.cameras.online(),
    };
    let busy = || Problem::too_many("other words are being tried; try yours in a moment", 1);
    let _one = page.trying.try_lock().map_err(|_| busy())?;
    let actions: Vec<_> = actions
        .into_iter()
        .map(|TriedAction { name, phrases }| Action { name, phrases, ..Action::default() })
        .collect();
    let words = page.orders.give(|reply| Order::Embed { actions, background, reply }).await?;
    let cameras = page
        .aside(move |page| {
            cameras.into_iter().map(|camera| on(page, camera, &words)).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    Ok(Json(Attempted { cameras }))
}

/// What `words` score on one camera's next frame.
fn on(page: &Page, camera: String, words: &Arc<Vocabulary>) -> Result<AttemptedCamera, Problem> {
    let (time, persons) = match page.control.attempt(&camera, words, FRAME) {
        Ok(Trial { time, persons }) => (Some(time.to_string()), persons),
        Err(ControlError::NoFrame(_)) => (None, Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let persons = persons.into_iter().map(|person| AttemptedPerson {
        track: person.track,
        rect: person.rect,
        scores: words.names().iter().cloned().zip(person.scores).collect(),
    });
    Ok(AttemptedCamera { camera, time, persons: persons.collect() })
}

/// Not more words than can be embedded in a moment.
fn bounded<'a>(phrases: impl Iterator<Item = &'a String>) -> Result<(), Problem> {
    let mut count = 0;
    for phrase in phrases {
        count += 1;
        if count > MOST_PHRASES || phrase.chars().count() > LONGEST_PHRASE {
            let error = format!("at most {MOST_PHRASES} phrases of at most {LONGEST_PHRASE} characters");
            return Err(Problem::unprocessable(error, Vec::new()));
        }
    }
    Ok(())
}
