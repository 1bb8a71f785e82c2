//! Association of person detections over time.
//!
//! ByteTrack's way (Zhang et al. 2022): detections that are sure are matched first, unsure ones then continue the tracks
//! that are left, because a person half hidden is detected with a low score, and nothing else stands where a track is
//! expected. What differs: time is the frames' own and not their count; the match is by overlap with the expected box,
//! both widened by how unsure the expectation is (the idea of Yang et al. 2023, "C-BIoU"), so that a person just found,
//! whose velocity is unknown, is found again at five frames a second.
//!
//! Between two looks of the detector everybody is followed by their motion and by how they looked when they were found
//! last (as DeepStream's trackers bridge its `interval`).
//!
//! Knows detections, frame times and brightness; has never heard of embeddings or actions.

mod assign;
mod kalman;
mod template;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::config;
use crate::detect::Detection;
use crate::frame::{Picture, Rect};
use assign::Assignment;
use kalman::Motion;
use template::Template;

/// Two boxes of one frame that overlap more than this are of one person.
const SAME_IOU: f32 = 0.5;

/// Who is carried on until less than this share of the box is in the picture has left it.
const INSIDE: f32 = 0.5;

/// A person followed over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Track {
    /// Unique for the camera and the life of the process; counts up from 1.
    pub id: u64,
    /// Where the person is in this frame, pixels: as detected, or as expected from the motion, which may lead out of the
    /// frame, and from where there is somebody who looks so.
    pub rect: Rect,
    /// The score of the last detection, 0..=1.
    pub score: f32,
    /// Monotonic time of the first detection.
    pub since: Duration,
    /// Found when the detector looked last, or missed by it for once but still there to see; false for who is only expected.
    pub visible: bool,
}

/// Follows the persons of one camera. Allocates only while there are more persons than ever before.
#[derive(Debug)]
pub struct Tracker {
    settings: config::Tracker,
    /// Lowest score of a detection that is sure.
    high: f32,
    /// Of the last update.
    time: Option<Duration>,
    last_id: u64,
    persons: Vec<Person>,
    tracks: Vec<Track>,
    ended: Vec<u64>,
    detections: Vec<Seen>,
    assignment: Assignment,
    rows: Vec<usize>,
    columns: Vec<usize>,
}

/// A person being followed, or one that may turn out to be one.
#[derive(Debug)]
struct Person {
    /// 0 until confirmed.
    id: u64,
    motion: Motion,
    /// How it looked when it was detected last.
    template: Option<Template>,
    /// As in [`Track`].
    rect: Rect,
    score: f32,
    since: Duration,
    /// Detections so far; only counted until confirmed.
    hits: u32,
    /// Time since the last detection.
    lost: Duration,
    /// Updates since the last detection.
    missed: u32,
    /// As in [`Track`].
    visible: bool,
}

/// A detection of this frame.
#[derive(Debug)]
struct Seen {
    detection: Detection,
    taken: bool,
}

impl Tracker {
    /// A tracker that has seen nobody. Detections from the score `high` on start tracks, those from
    /// `settings.low_threshold` on continue them.
    pub fn new(settings: &config::Tracker, high: f32) -> Self {
        Self {
            settings: settings.clone(),
            high,
            time: None,
            last_id: 0,
            persons: Vec::new(),
            tracks: Vec::new(),
            ended: Vec::new(),
            detections: Vec::new(),
            assignment: Assignment::default(),
            rows: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// Goes by other settings from now on; everybody is followed on.
    pub fn reconfigure(&mut self, settings: &config::Tracker, high: f32) {
        self.settings.clone_from(settings);
        self.high = high;
    }

    /// Takes the person detections of the frame captured at the monotonic `time`; their order does not matter. A time
    /// that does not move on is taken as the same instant. After a gap longer than `max_lost`, everybody is a stranger.
    pub fn update<'a>(&mut self, time: Duration, persons: impl IntoIterator<Item = &'a Detection>) {
        self.pass(time);
        for person in &mut self.persons {
            (person.visible, person.missed) = (false, person.missed.saturating_add(1));
        }

        self.detections.clear();
        let usable = |d: &&Detection| {
            d.score >= self.settings.low_threshold && d.rect.area() > 0.0 && d.rect.area().is_finite()
        };
        self.detections
            .extend(persons.into_iter().filter(usable).map(|&detection| Seen { detection, taken: false }));
        self.detections.sort_unstable_by(|a, b| a.detection.best_first(&b.detection));
        let sure = self.detections.partition_point(|seen| seen.detection.score >= self.high);
        let all = self.detections.len();

        self.associate(|person| person.id > 0, 0, sure);
        self.associate(|person| person.id > 0, sure, all);
        self.associate(|person| person.id == 0, 0, sure);

        self.persons.retain(|person| person.id > 0 || person.visible);
        self.begin(time, sure);
        self.publish();
    }

    /// Looks at the `picture` that the last update was of: remembers how everybody looks who was found in it, for
    /// [`Tracker::carry`]; whom the detector missed for the first time, but who is there as remembered, is visible.
    pub fn remember(&mut self, picture: &Picture) {
        for person in &mut self.persons {
            match person.missed {
                0 => person.template = Some(Template::of(picture, &person.rect)),
                1 => person.visible = person.recognise(picture),
                _ => {}
            }
        }
        self.publish();
    }

    /// Goes on to the frame `picture`, captured at the monotonic `time`, without detections: everybody is where what was
    /// remembered is found near where the motion leads, or where it leads; visible if visible before and not on the way out.
    pub fn carry(&mut self, time: Duration, picture: &Picture) {
        self.pass(time);
        let (width, height) = (picture.width as f32, picture.height as f32);
        for person in self.persons.iter_mut().filter(|person| person.visible) {
            person.recognise(picture);
            person.visible = person.rect.clamped(width, height).area() >= INSIDE * person.rect.area();
        }
        self.publish();
    }

    /// Whether it takes another look to say who is there: somebody has yet to be confirmed, or was not found this once.
    pub fn is_unsure(&self) -> bool {
        self.persons.iter().any(|person| person.id == 0 || (!person.visible && person.missed == 1))
    }

    /// The persons confirmed, visible or only expected, by rising id.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The ids that the last update gave up.
    pub fn ended(&self) -> &[u64] {
        &self.ended
    }

    /// Lets time pass until the monotonic `time`: everybody moves on; who was unseen for too long is given up.
    fn pass(&mut self, time: Duration) {
        let passed = self.time.map_or(Duration::ZERO, |last| time.saturating_sub(last));
        self.time = Some(time);
        self.ended.clear();
        let longest = Duration::from(self.settings.max_lost);
        self.persons.retain_mut(|person| {
            person.lost = person.lost.saturating_add(passed);
            let keep = person.lost <= longest;
            if keep {
                person.motion.predict(passed.as_secs_f32());
                person.rect = person.motion.rect();
            } else if person.id > 0 {
                self.ended.push(person.id);
            }
            keep
        });
    }

    /// Matches the unseen among the persons that `pick` names with the free ones of `detections[from..to]`, for the
    /// greatest sum of what their overlaps exceed `match_iou` by.
    fn associate(&mut self, pick: impl Fn(&Person) -> bool, from: usize, to: usize) {
        let Self { persons, detections, rows, columns, assignment, settings, .. } = self;
        rows.clear();
        rows.extend((0..persons.len()).filter(|&i| !persons[i].visible && pick(&persons[i])));
        columns.clear();
        columns.extend((from..to).filter(|&i| !detections[i].taken));
        assignment.reset(rows.len(), columns.len(), |row, column| {
            // `rows` and `columns` were made of valid indices just above.
            let (person, seen) = (&persons[rows[row]], &detections[columns[column]]);
            let margin = person.motion.uncertainty();
            let overlap = widened(&person.rect, margin).iou(&widened(&seen.detection.rect, margin));
            (overlap - settings.match_iou).max(0.0)
        });
        assignment.solve();
        for (row, column) in assignment.pairs() {
            let (person, seen) = (&mut persons[rows[row]], &mut detections[columns[column]]);
            seen.taken = true;
            person.motion.correct(&seen.detection.rect);
            person.rect = seen.detection.rect;
            person.score = seen.detection.score;
            person.hits = person.hits.saturating_add(1);
            (person.lost, person.missed) = (Duration::ZERO, 0);
            person.visible = true;
        }
    }

    /// Begins to follow who is in a free detection among the first `sure`. One that lies on somebody just seen is a second
    /// box of the same person, which non-maximum suppression let through; a true neighbour is seen alone soon enough.
    fn begin(&mut self, time: Duration, sure: usize) {
        for Seen { detection, taken } in &self.detections[..sure] {
            let second = |person: &Person| person.visible && person.rect.iou(&detection.rect) > SAME_IOU;
            if !taken && !self.persons.iter().any(second) {
                self.persons.push(Person {
                    id: 0,
                    motion: Motion::new(&detection.rect),
                    template: None,
                    rect: detection.rect,
                    score: detection.score,
                    since: time,
                    hits: 1,
                    lost: Duration::ZERO,
                    missed: 0,
                    visible: true,
                });
            }
        }
    }

    /// Confirms who was seen often enough, and lists the confirmed.
    fn publish(&mut self) {
        self.tracks.clear();
        for person in &mut self.persons {
            if person.id == 0 && person.hits >= self.settings.confirm {
                self.last_id += 1;
                person.id = self.last_id;
            }
            if person.id > 0 {
                let &mut Person { id, rect, score, since, visible, .. } = person;
                self.tracks.push(Track { id, rect, score, since, visible });
            }
        }
    }
}

impl Person {
    /// Moves to where what is remembered is found in `picture`, if it is.
    fn recognise(&mut self, picture: &Picture) -> bool {
        let template = self.template.as_ref();
        let Some((x, y)) = template.and_then(|template| template.find(picture, &self.rect)) else {
            return false;
        };
        let (expected_x, expected_y) = self.rect.centre();
        self.motion.correct_centre((expected_x + x, expected_y + y));
        self.rect = self.motion.rect();
        true
    }
}

fn widened(rect: &Rect, by: f32) -> Rect {
    Rect::new(rect.x1 - by, rect.y1 - by, rect.x2 + by, rect.y2 + by)
}
