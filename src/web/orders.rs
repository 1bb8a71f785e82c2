//! What the page asks of the supervisor, who alone changes what runs.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::oneshot;

use super::problem::Problem;
use crate::config::{Action, EditedAction, Mask, Zone};
use crate::vocabulary::Vocabulary;

/// So long the supervisor may be busy with something else, such as loading models.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be done.
pub enum Order {
    /// Watches a camera no more, or again.
    Pause { camera: String, pause: bool, reply: Reply<()> },
    /// Says what is watched for, and where that is from.
    Words { reply: Reply<Words> },
    /// Watches for these actions and no others, from now on and after a restart.
    SetWords { actions: Vec<EditedAction>, background: Vec<String>, reply: Reply<Saved> },
    /// Draws these zones and masks in a camera's picture, and no others.
    SetRegions { camera: String, zones: Vec<Zone>, masks: Vec<Mask>, reply: Reply<Saved> },
    /// Embeds words that are to be tried.
    Embed { actions: Vec<Action>, background: Vec<String>, reply: Reply<Arc<Vocabulary>> },
}

/// Where to the answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// What is watched for.
#[derive(Debug, Clone)]
pub struct Words {
    pub actions: Vec<Action>,
    pub background: Vec<String>,
    /// They were set by a command and lie over the file's.
    pub by_command: bool,
    /// Whether the file can be written.
    pub writable: bool,
}

/// What came of a change.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Into the file; else into the state folder, where what is set by a command is kept.
    pub in_file: bool,
    /// What is otherwise now, in words.
    pub changes: String,
}

/// Why an order was not obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such thing.
    Unknown(String),
    /// What it asks for is wrong, each thing by itself.
    Invalid(Vec<String>),
    /// It cannot be, as this box is set up; with the remedy.
    Conflict(String),
    /// Something went wrong.
    Failed(String),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(error) => Self::not_found(error),
            Refusal::Invalid(problems) => {
                Self::unprocessable("this cannot be used; correct what is listed and send it again", problems)
            }
            Refusal::Conflict(error) => Self::conflict(error),
            Refusal::Failed(error) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error),
        }
    }
}

/// The way to the supervisor.
pub struct Orders(Box<dyn Fn(Order) -> bool + Send + Sync>);

impl Orders {
    /// `take` says whether it takes an order on, and does not wait.
    pub fn new(take: impl Fn(Order) -> bool + Send + Sync + 'static) -> Self {
        Self(Box::new(take))
    }

    /// Gives an order and waits for what comes of it.
    pub(super) async fn give<T>(&self, order: impl FnOnce(Reply<T>) -> Order) -> Result<T, Problem> {
        let busy = || Problem::unavailable("the box is busy with other changes; try again in a minute");
        let (reply, answer) = oneshot::channel();
        if !(self.0)(order(reply)) {
            return Err(busy());
        }
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_)) => Err(Problem::unavailable("the box is stopping")),
            Err(_) => Err(busy()),
        }
    }
}
