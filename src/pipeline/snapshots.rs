//! Pictures on their way out: encoded as JPEG on a thread of their own. Only there if `mqtt.snapshots` is on.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tracing::{debug, warn};

use crate::frame::Picture;
use crate::mqtt::Publisher;
use crate::render::Canvas;

/// Pictures that may wait for the encoder; with more, the new one is let go.
const WAITING: usize = 2;

/// The way to the encoder. Dropped, it ends the encoder's thread.
pub(super) struct Snapshots(SyncSender<(String, Picture)>);

impl Snapshots {
    /// Starts the encoder; what it encodes goes to `publisher`.
    pub fn start(publisher: Publisher) -> std::io::Result<Self> {
        let (sender, pictures) = sync_channel(WAITING);
        thread::Builder::new().name("snapshots".into()).spawn(move || encode(&pictures, &publisher))?;
        Ok(Self(sender))
    }

    /// Publishes `picture` of `camera`, if the encoder has time for it.
    pub fn take(&self, camera: &str, picture: &Picture) {
        if self.0.try_send((camera.to_owned(), picture.clone())).is_err() {
            debug!(camera, "no time for this snapshot");
        }
    }
}

fn encode(pictures: &Receiver<(String, Picture)>, publisher: &Publisher) {
    let mut canvas = Canvas::default();
    for (camera, picture) in pictures {
        match canvas.jpeg(&picture, usize::MAX) {
            Ok(jpeg) => _ = publisher.snapshot(&camera, jpeg),
            Err(error) => warn!(camera, %error, "snapshot not encoded"),
        }
    }
}
