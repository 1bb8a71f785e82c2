//! Changing what a running pipeline goes by, and asking it for pictures. What takes long is done before: the pipeline
//! only swaps, between two frames.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::{Feed, Networks, Report};
use crate::config::Config;
use crate::frame::Picture;
use crate::heads::Scorer;
use crate::vocabulary::Vocabulary;

/// Requests that may wait for the frame at hand to be done.
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
    /// The picture of the next frame that is analysed; dropped unanswered if there is no such camera.
    Picture { camera: String, reply: SyncSender<Picture> },
    /// How things stand.
    Report { reply: SyncSender<Report> },
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
        let (reply, picture) = sync_channel(1);
        self.ask(Request::Picture { camera: camera.to_owned(), reply })?;
        picture.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => ControlError::NoFrame(camera.to_owned()),
            RecvTimeoutError::Disconnected => ControlError::NoCamera(camera.to_owned()),
        })
    }

    /// How things stand between two frames, if the one at hand is done within `patience`.
    pub fn report(&self, patience: Duration) -> Result<Report, ControlError> {
        let (reply, report) = sync_channel(1);
        self.ask(Request::Report { reply })?;
        report.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => ControlError::Stuck,
            RecvTimeoutError::Disconnected => ControlError::Stopped,
        })
    }

    fn ask(&self, request: Request) -> Result<(), ControlError> {
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
