//! The timeline: what happened, written down by a thread of its own and read by whoever looks.

mod routes;
mod store;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use tokio::sync::broadcast;
use tracing::{error, info, warn};

use self::store::{Noted, Occurrence, Store};
use crate::clock::Clock;
use crate::database::{self, DatabaseError};
use crate::event::ActionEvent;
use crate::frame::Picture;
use crate::render::Canvas;

pub(super) use routes::routes;

/// Changes that may wait to be written down; with more, new ones are let go and counted.
const WAITING: usize = 1024;
/// Pictures among them.
const PICTURES: usize = 2;
/// Changes of one transaction at most.
const BATCH: usize = 256;
/// What is too much is looked for after so many changes.
const PRUNE: usize = 64;
/// Beginnings and ends that a slow listener may lag behind.
const LISTENING: usize = 64;

/// The timeline. Cheap to clone.
#[derive(Clone)]
pub struct Timeline(Arc<Shared>);

struct Shared {
    notes: SyncSender<Note>,
    /// `None` until it is opened.
    store: Arc<Mutex<Option<Store>>>,
    pictures: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
    told: broadcast::Sender<Occurrence>,
}

enum Note {
    Event(Box<ActionEvent>, Option<Box<Picture>>),
    /// To be answered when all before is written down.
    Flush(SyncSender<()>),
}

impl Timeline {
    /// Starts the thread. What an earlier run left in the file `path` is gone on with; without a path, or if the file
    /// cannot be used, it is all in memory.
    pub fn start(path: Option<PathBuf>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (notes, noted) = sync_channel(WAITING);
        let (store, pictures, dropped) = <(_, Arc<_>, Arc<_>)>::default();
        let told = broadcast::channel(LISTENING).0;
        let writer = Writer {
            path,
            clock,
            store: Arc::clone(&store),
            pictures: Arc::clone(&pictures),
            dropped: Arc::clone(&dropped),
            told: told.clone(),
            canvas: Canvas::default(),
            failing: false,
        };
        thread::Builder::new().name("timeline".into()).spawn(move || writer.run(&noted))?;
        Ok(Self(Arc::new(Shared { notes, store, pictures, dropped, told })))
    }

    /// Writes down a change, with what the camera saw if there is time to encode it. Never waits.
    pub(super) fn note(&self, event: &ActionEvent, picture: Option<&Picture>) {
        let shared = &*self.0;
        let take = |_: &&Picture| {
            let more = |waiting| (waiting < PICTURES).then_some(waiting + 1);
            shared.pictures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
        };
        let picture = picture.filter(take).map(|picture| Box::new(picture.clone()));
        let with_picture = picture.is_some();
        if shared.notes.try_send(Note::Event(Box::new(event.clone()), picture)).is_err() {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            if with_picture {
                shared.pictures.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Changes that were not written down since the start.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Returns when all that was noted is written down, or after `patience`.
    pub fn flush(&self, patience: Duration) {
        let (done, flushed) = sync_channel(1);
        if self.0.notes.try_send(Note::Flush(done)).is_ok() {
            _ = flushed.recv_timeout(patience); // whatever is not written down by then is closed at the next start
        }
    }
}

/// Who writes it down.
struct Writer {
    path: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    store: Arc<Mutex<Option<Store>>>,
    pictures: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
    told: broadcast::Sender<Occurrence>,
    canvas: Canvas,
    failing: bool,
}

impl Writer {
    fn run(mut self, notes: &Receiver<Note>) {
        self.open();
        let mut since_pruned = PRUNE;
        while let Ok(first) = notes.recv() {
            let (mut batch, mut flushed) = (Vec::new(), Vec::new());
            for note in [first].into_iter().chain(notes.try_iter()).take(BATCH) {
                match note {
                    Note::Event(event, picture) => {
                        batch.push(Noted { event: *event, jpeg: picture.and_then(|p| self.encode(&p)) });
                    }
                    Note::Flush(done) => flushed.push(done),
                }
            }
            since_pruned += batch.len();
            let prune = since_pruned >= PRUNE;
            self.write(&batch, prune);
            if prune {
                since_pruned = 0;
            }
            flushed.iter().for_each(|done| _ = done.try_send(()));
        }
    }

    fn open(&mut self) {
        let opened = self.path.as_deref().map(|path| open(path, &*self.clock));
        let store = match opened {
            Some(Ok(store)) => Ok(store),
            Some(Err(error)) => {
                warn!(path = ?self.path, %error, "the timeline is kept in memory, and a restart loses it");
                Store::in_memory()
            }
            None => {
                info!("the timeline is in memory, and a restart loses it: there is no state folder");
                Store::in_memory()
            }
        };
        match store {
            Ok(store) => *self.lock() = Some(store),
            Err(error) => error!(%error, "there is no timeline"),
        }
    }

    fn write(&mut self, batch: &[Noted], prune: bool) {
        let now = self.clock.utc();
        let written = match &mut *self.lock() {
            Some(store) => {
                let pruned = if prune { store.prune(now) } else { Ok(()) };
                pruned.and_then(|()| store.write(batch, now))
            }
            None => Ok(Vec::new()),
        };
        if written.is_err() {
            self.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        match written {
            Ok(changed) => {
                self.failing = false;
                changed.into_iter().for_each(|occurrence| _ = self.told.send(occurrence)); // perhaps nobody listens
            }
            Err(error @ DatabaseError::Corrupt(_)) => {
                error!(%error, "the timeline's file is begun anew");
                *self.lock() = None;
                self.open();
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    error!(path = ?self.path, %error, "the timeline is not written");
                }
            }
        }
    }

    fn encode(&mut self, picture: &Picture) -> Option<Vec<u8>> {
        self.pictures.fetch_sub(1, Ordering::Relaxed);
        self.canvas.jpeg(picture, super::live::WIDEST).ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Store>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the file; one that is damaged, or newer than this program, is set aside and another begun.
fn open(path: &Path, clock: &dyn Clock) -> Result<Store, DatabaseError> {
    let label = match Store::open(path) {
        Err(DatabaseError::Corrupt(_)) => "corrupt",
        Err(DatabaseError::Newer(_)) => "newer",
        opened => return opened,
    };
    let aside = database::set_aside(path, label, clock.utc())?;
    error!(?path, ?aside, "the timeline's file cannot be used; it is set aside and a new one begun");
    Store::open(path)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ulid::Ulid;

    use super::store::Filter;
    use super::*;
    use crate::clock::SystemClock;
    use crate::event::Change;

    pub fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    pub fn event(id: u128, change: Change, second: i64) -> ActionEvent {
        ActionEvent {
            id: Ulid::from(id),
            change,
            camera: "gate".into(),
            track: 7,
            action: "waving".into(),
            label: "a person waving".into(),
            score: 0.5,
            peak_score: 0.5,
            rect: [0.1, 0.2, 0.3, 0.4],
            zones: vec!["lawn".into()],
            begin: at(second),
            time: at(second),
            end: None,
            reason: None,
            provisional: false,
            captured: Duration::ZERO,
        }
    }

    fn listed(timeline: &Timeline) -> Vec<Occurrence> {
        timeline.flush(Duration::from_secs(60));
        let store = timeline.0.store.lock().unwrap();
        store.as_ref().unwrap().list(&Filter { limit: 100, ..Filter::default() }).unwrap().0
    }

    #[test]
    fn what_is_noted_is_written_down_told_and_survives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timeline.db");
        let timeline = Timeline::start(Some(path.clone()), Arc::new(SystemClock)).unwrap();
        let mut told = timeline.0.told.subscribe();
        let picture = Picture::new(crate::frame::PixelFormat::Rgb24, 32, 24);
        timeline.note(&event(1, Change::Begin, 10), Some(&picture));
        timeline.note(&event(1, Change::Update, 11), None);
        let found = listed(&timeline);
        assert!(found[0].has_picture && found.len() == 1 && timeline.dropped() == 0);
        assert_eq!(told.try_recv().unwrap(), Occurrence { score: 0.5, ..found[0].clone() });
        let id = found[0].id.clone();
        let jpeg = timeline.0.store.lock().unwrap().as_ref().unwrap().picture(&id).unwrap().unwrap();
        assert!(jpeg.starts_with(&[0xff, 0xd8]));
        drop(timeline);
        // The thread lets go of the file a moment later.
        let reopened = std::iter::repeat_with(|| Store::open(&path)).take(50).find_map(Result::ok).unwrap();
        assert_eq!(reopened.list(&Filter { limit: 9, ..Filter::default() }).unwrap().0[0].end, Some(at(11)));
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_one_that_cannot_be_used_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timeline.db");
        std::fs::write(&path, "this was a database once, and is none any more").unwrap();
        let timeline = Timeline::start(Some(path), Arc::new(SystemClock)).unwrap();
        timeline.note(&event(1, Change::Begin, 10), None);
        assert_eq!(listed(&timeline).len(), 1);
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert!(names.iter().any(|name| name.to_string_lossy().contains("corrupt-")), "{names:?}");

        let nowhere = folder.path().join("timeline.db/no/folder/timeline.db");
        let timeline = Timeline::start(Some(nowhere), Arc::new(SystemClock)).unwrap();
        timeline.note(&event(1, Change::Begin, 10), None);
        assert_eq!(listed(&timeline).len(), 1);
    }
}
