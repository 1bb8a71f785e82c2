//! Changing what a running pipeline goes by, and asking it for pictures and for what other words would score. What takes
//! long is done before: the pipeline only swaps, between two frames.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use jiff::Timestamp;

use super::{Feed, Networks, Report};
use crate::config::Config;
use crate::frame::Picture;
use crate::heads::Scorer;
use crate::vocabulary::Vocabulary;

/// Requests that may wait for the frame at hand to be done, and of each kind for the next frame of one camera.
const WAITING: usize = 8;

/// Everything that the pipeline is to go by from the next frame on.
pub struct Update {
    pub config: Config,
    /// The words of `config`, embedded by the networks in use or by those that come with them.
    pub vocabulary: Arc<Vocabulary>,
    /// To be used in place of those in use; they bring their scorer.
    pub networks: Option<Networks>,
    /// To be used in place of the one in use.
    pub scorer: Option<Scorer>,
    /// Cameras of `config` that are new, or are to be opened anew in place of the one of the same name. A camera that
    /// `config` does not name is given up.
    pub feeds: Vec<Feed>,
}

/// What words that are not in effect score on one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Of the frame.
    pub time: Timestamp,
    /// Everybody who is visible in it.
    pub persons: Vec<TriedPerson>,
}

/// One of a [`Trial`]'s persons.
#[derive(Debug, Clone, PartialEq)]
pub struct TriedPerson {
    pub track: u64,
    /// `[x1, y1, x2, y2]` as fractions of the frame.
    pub rect: [f32; 4],
    /// This frame's probabilities, one for each action of the words.
    pub scores: Vec<f32>,
}

/// Why a request was not met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("the pipeline has stopped")]
    Stopped,
    #[error("too many requests wait; ask again")]
    Busy,
    #[error("there is no camera {0}")]
    NoCamera(String),
    #[error("the analysis did not answer in time")]
    Stuck,
    #[error("camera {0} gave no frame in time; is it paused, or lost?")]
    NoFrame(String),
    #[error("the models were changed meanwhile; ask again")]
    OtherModels,
}

/// A hold on a running pipeline; usable from any other thread.
#[derive(Clone)]
pub struct Control(SyncSender<Request>);

/// What the pipeline is asked for. The default: nothing, ever.
#[derive(Default)]
pub struct Requests(Option<Receiver<Request>>);

pub(super) enum Request {
    /// What it replaces is sent back, so that its memory is not freed between two frames.
    Update(Box<Update>, SyncSender<Retired>),
    /// The picture of the next frame that is analysed.
    Picture { camera: String, reply: Reply<Picture> },
    /// What these words score on the next frame that is judged.
    Try { camera: String, words: Arc<Vocabulary>, reply: Reply<Trial> },
    /// How things stand.
    Report { reply: SyncSender<Report> },
}

/// Where to an answer goes, once; whoever asked may have gone.
pub(super) type Reply<T> = SyncSender<Result<T, ControlError>>;

/// Has `asked` wait for a camera's next frame. Of too many the oldest gives up its place: it has hardly anybody left who
/// waits for it.
pub(super) fn wait<T>(waiting: &mut Vec<T>, asked: T) {
    if waiting.len() >= WAITING {
        waiting.remove(0);
    }
    waiting.push(asked);
}

/// What an update replaced, to be dropped.
pub(super) type Retired = Box<dyn Send>;

impl Control {
    /// A control, and what to put into [`super::Pipeline`].
    pub fn new() -> (Self, Requests) {
        let (sender, receiver) = sync_channel(WAITING);
        (Self(sender), Requests(Some(receiver)))
    }

    /// Returns when the update is in effect.
    pub fn update(&self, update: Update) -> Result<(), ControlError> {
        let (reply, applied) = sync_channel(1);
        self.0.send(Request::Update(Box::new(update), reply)).map_err(|_| ControlError::Stopped)?;
        applied.recv().map(drop).map_err(|_| ControlError::Stopped)
    }

    /// The picture of the next frame of `camera` that is analysed, if one comes within `patience`.
    pub fn picture(&self, camera: &str, patience: Duration) -> Result<Picture, ControlError> {
        self.ask(camera, patience, |camera, reply| Request::Picture { camera, reply })
    }

    /// What `words`, embedded by the models in use, score on the next frame of `camera` that is judged, if one comes
    /// within `patience`. Costs the frame's way as much as its own scores do.
    pub fn attempt(
        &self,
        camera: &str,
        words: &Arc<Vocabulary>,
        patience: Duration,
    ) -> Result<Trial, ControlError> {
        self.ask(camera, patience, |camera, reply| Request::Try { camera, words: Arc::clone(words), reply })
    }

    /// How things stand between two frames, if the one at hand is done within `patience`.
    pub fn report(&self, patience: Duration) -> Result<Report, ControlError> {
        let (reply, report) = sync_channel(1);
        self.send(Request::Report { reply })?;
        report.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => ControlError::Stuck,
            RecvTimeoutError::Disconnected => ControlError::Stopped,
        })
    }

    /// Asks for something of a camera.
    fn ask<T>(
        &self,
        camera: &str,
        patience: Duration,
        request: impl FnOnce(String, Reply<T>) -> Request,
    ) -> Result<T, ControlError> {
        let (reply, answer) = sync_channel(1);
        self.send(request(camera.to_owned(), reply))?;
        answer.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => ControlError::NoFrame(camera.to_owned()),
            RecvTimeoutError::Disconnected => ControlError::NoCamera(camera.to_owned()),
        })?
    }

    fn send(&self, request: Request) -> Result<(), ControlError> {
        self.0.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => ControlError::Busy,
            TrySendError::Disconnected(_) => ControlError::Stopped,
        })
    }
}

impl Requests {
    /// The next that waits.
    pub(super) fn next(&self) -> Option<Request> {
        self.0.as_ref()?.try_recv().ok()
    }
}
