//! Live pictures: encoded only while somebody watches, on a thread for each camera that is watched.
//!
//! The analysis thread copies a picture into a place that is there for it, if one is wanted and due, and goes on. Everyone
//! who watches is given the newest message when they have taken the one before: who is slow gets fewer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use axum::body::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;
use tracing::{debug, error};

use crate::config::Config;
use crate::frame::{Picture, PixelFormat};
use crate::pipeline::Seen;
use crate::render::Canvas;

/// Between two pictures at least.
const INTERVAL: Duration = Duration::from_millis(200);
/// Pixels of a picture's width at most.
pub(super) const WIDEST: usize = 960;
/// Actions told of each person.
const TOP: usize = 3;
/// The encoder looks at least so often whether anybody still watches.
const LOOK: Duration = Duration::from_secs(1);

/// A message to whoever watches: JSON behind its length, then a JPEG.
type Message = Option<Bytes>;

/// All cameras' live pictures.
#[derive(Default)]
pub struct Live(Mutex<Vec<Arc<Channel>>>);

struct Channel {
    camera: String,
    /// The number of its receivers is that of those who watch.
    messages: watch::Sender<Message>,
    place: Mutex<Place>,
    filled: Condvar,
    /// The camera is no more.
    gone: AtomicBool,
}

/// Where the analysis thread leaves a picture.
struct Place {
    shot: Shot,
    full: bool,
    /// There is an encoder.
    encoding: bool,
    /// Monotonic; when the next picture is wanted.
    due: Duration,
}

/// A picture and who is in it. Buffers are used again and again.
struct Shot {
    time: Timestamp,
    picture: Picture,
    persons: Vec<Person>,
    /// Of the actions.
    names: Arc<[String]>,
}

#[derive(Clone, Copy)]
struct Person {
    track: u64,
    rect: [f32; 4],
    score: f32,
    /// The most probable actions by number, as far as there are so many.
    top: [(usize, f32); TOP],
}

/// As it is told.
#[derive(Serialize)]
struct Told<'a> {
    time: String,
    size: [usize; 2],
    tracks: Vec<ToldPerson<'a>>,
}

#[derive(Serialize)]
struct ToldPerson<'a> {
    id: u64,
    #[serde(rename = "box")]
    rect: [f32; 4],
    score: f32,
    actions: Vec<(&'a str, f32)>,
}

impl Shot {
    fn empty() -> Self {
        let picture = Picture::new(PixelFormat::Grey, 0, 0);
        Self { time: Timestamp::default(), picture, persons: Vec::new(), names: Arc::default() }
    }
}

impl Live {
    /// Goes by another configuration: who watches a camera that is no more sees its end.
    pub(super) fn reconfigure(&self, config: &Config) {
        let mut channels = self.lock();
        channels.retain(|channel| {
            let stays = config.camera(&channel.camera).is_some();
            channel.gone.store(!stays, Ordering::Relaxed);
            channel.filled.notify_one();
            stays
        });
        for camera in &config.cameras {
            if !channels.iter().any(|channel| channel.camera == camera.name) {
                channels.push(Arc::new(Channel::new(&camera.name)));
            }
        }
    }

    /// The newest messages of a camera, from now on; `None` if there is no such camera.
    pub(super) fn watch(&self, camera: &str) -> Option<watch::Receiver<Message>> {
        let channel = self.lock().iter().find(|channel| channel.camera == camera).cloned()?;
        Some(channel.watch())
    }

    /// Takes a picture, if somebody wants one now. Waits for nobody.
    pub(super) fn offer(&self, seen: &Seen<'_>, names: &Arc<[String]>) {
        let channels = self.lock();
        if let Some(channel) = channels.iter().find(|channel| channel.camera == seen.camera)
            && channel.messages.receiver_count() > 0
        {
            channel.take(seen, names);
        }
    }

    /// Held for as long as it takes to find a name, or to copy a picture.
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Channel>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    fn new(camera: &str) -> Self {
        let place = Place { shot: Shot::empty(), full: false, encoding: false, due: Duration::ZERO };
        Self {
            camera: camera.to_owned(),
            messages: watch::Sender::new(None),
            place: Mutex::new(place),
            filled: Condvar::new(),
            gone: AtomicBool::new(false),
        }
    }

    fn watch(self: &Arc<Self>) -> watch::Receiver<Message> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        // While the place is held, so that an encoder that is about to end sees it.
        let messages = self.messages.subscribe();
        if !place.encoding {
            // What the last one left is old.
            (place.full, place.due) = (false, Duration::ZERO);
            let channel = Arc::clone(self);
            let encoder = thread::Builder::new().name(format!("live {}", self.camera));
            match encoder.spawn(move || channel.encode()) {
                Ok(_) => place.encoding = true,
                Err(error) => {
                    error!(camera = self.camera, %error, "no live pictures: the encoder did not start")
                }
            }
        }
        messages
    }

    fn take(&self, seen: &Seen<'_>, names: &Arc<[String]>) {
        let Ok(mut place) = self.place.try_lock() else { return };
        let now = seen.frame.time.monotonic;
        // A recording that begins anew may set its clock back.
        if now < place.due && place.due - now <= INTERVAL {
            return;
        }
        place.due = now + INTERVAL;
        let shot = &mut place.shot;
        let from = &seen.frame.picture;
        let data = std::mem::take(&mut shot.picture.data);
        shot.picture = Picture { data, ..*from };
        shot.picture.data.clone_from(&from.data);
        shot.time = seen.frame.time.utc;
        shot.names.clone_from(names);
        shot.persons.clear();
        let (width, height) = (from.width as f32, from.height as f32);
        shot.persons.extend(seen.view.visible().map(|track| Person {
            track: track.id,
            rect: track.rect.normalised(width, height),
            score: track.score,
            top: top(seen.view.smoothed(track.id).unwrap_or_default()),
        }));
        place.full = true;
        self.filled.notify_one();
    }

    /// Encodes until nobody watches, or the camera is no more.
    fn encode(&self) {
        let (mut shot, mut canvas) = (Shot::empty(), Canvas::default());
        loop {
            let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
            while !place.full {
                if self.messages.receiver_count() == 0 || self.gone.load(Ordering::Relaxed) {
                    place.encoding = false;
                    place.shot = Shot::empty(); // its memory is needed no more
                    self.messages.send_replace(None);
                    return;
                }
                place = self.filled.wait_timeout(place, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            }
            std::mem::swap(&mut shot, &mut place.shot);
            place.full = false;
            drop(place);
            match message(&shot, &mut canvas) {
                Ok(message) => _ = self.messages.send_replace(Some(message)),
                Err(error) => debug!(camera = self.camera, %error, "live picture not encoded"),
            }
        }
    }
}

/// The most probable actions.
fn top(scores: &[f32]) -> [(usize, f32); TOP] {
    let mut top = [(usize::MAX, f32::NEG_INFINITY); TOP];
    for (index, score) in scores.iter().copied().enumerate() {
        if let Some(place) = top.iter().position(|(_, other)| score > *other)
            && let Some(behind) = top.get_mut(place..)
        {
            behind.rotate_right(1);
            behind.first_mut().into_iter().for_each(|first| *first = (index, score));
        }
    }
    top
}

fn message(shot: &Shot, canvas: &mut Canvas) -> Result<Bytes, jpeg_encoder::EncodingError> {
    let persons = shot.persons.iter().map(|person| ToldPerson {
        id: person.track,
        rect: person.rect,
        score: person.score,
        actions: person.top.iter().filter_map(|(i, p)| Some((shot.names.get(*i)?.as_str(), *p))).collect(),
    });
    let told = Told {
        time: shot.time.to_string(),
        size: [shot.picture.width, shot.picture.height],
        tracks: persons.collect(),
    };
    let json = serde_json::to_vec(&told).unwrap_or_default(); // texts and numbers always are JSON
    let length = u32::try_from(json.len()).unwrap_or(0);
    let mut message = [&length.to_le_bytes()[..], &json].concat();
    canvas.load(&shot.picture);
    canvas.shrink(WIDEST);
    canvas.encode_jpeg(&mut message)?;
    Ok(message.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Camera;

    #[test]
    fn who_watches_a_camera_that_is_no_more_sees_its_end() {
        let live = Live::default();
        let gate = Camera { name: "gate".into(), ..Camera::default() };
        live.reconfigure(&Config { cameras: vec![gate], ..Config::default() });
        assert!(live.watch("roof").is_none());
        let mut messages = live.watch("gate").unwrap();
        live.reconfigure(&Config::default());
        assert!(live.watch("gate").is_none());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { while messages.changed().await.is_ok() {} });
    }

    #[test]
    fn the_most_probable_come_first_as_many_as_there_are() {
        assert_eq!(top(&[0.1, 0.5, 0.3, 0.2]), [(1, 0.5), (2, 0.3), (3, 0.2)]);
        let [first, second, none] = top(&[0.25, 0.75]);
        assert_eq!((first, second, none.0), ((1, 0.75), (0, 0.25), usize::MAX));
    }
}
