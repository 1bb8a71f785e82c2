//! Occurrences from outside: frames in, events out.

use proptest::prelude::*;

use super::*;
use crate::clock::FrameTime;
use crate::config::{self, Config, Span};
use crate::frame::Rect;
use crate::track::Track;

const SIZE: (f32, f32) = (100.0, 100.0);
/// 2026-11-22T20:14:00Z.
const EPOCH: i64 = 1_795_378_440;
/// A box whose feet are outside the zone `floor`, and one whose feet are in it.
const AWAY: [f32; 4] = [10.0, 10.0, 20.0, 40.0];
const ON_FLOOR: [f32; 4] = [10.0, 10.0, 20.0, 90.0];

fn at(seconds: f64) -> FrameTime {
    FrameTime { monotonic: Duration::from_secs(1000) + Duration::from_secs_f64(seconds), utc: utc(seconds) }
}

fn utc(seconds: f64) -> Timestamp {
    let (start, by) = (Timestamp::from_second(EPOCH).unwrap(), Duration::from_secs_f64(seconds.abs()));
    if seconds < 0.0 { start - by } else { start + by }
}

fn track(id: u64, visible: bool, [x1, y1, x2, y2]: [f32; 4]) -> Track {
    Track { id, rect: Rect::new(x1, y1, x2, y2), score: 0.9, since: Duration::ZERO, visible }
}

/// `running` anywhere and `climbing` on the floor; threshold 0.5, hysteresis 0.1, no smoothing; minimum duration,
/// release, cool-down and update interval 1 s, 0.5 s, 2 s and 1 s.
pub(super) fn config() -> Config {
    let action = |name: &str, zones: &[&str]| config::Action {
        name: name.into(),
        phrases: vec![format!("{name} about")],
        minimum_duration: Span::from_secs_f64(1.0),
        zones: zones.iter().map(|z| z.to_string()).collect(),
        ..config::Action::default()
    };
    let floor =
        config::Zone { name: "floor".into(), polygon: vec![[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]] };
    Config {
        cameras: vec![config::Camera { name: "gate".into(), zones: vec![floor], ..Default::default() }],
        actions: vec![action("running", &[]), action("climbing", &["floor"])],
        scoring: config::Scoring { smoothing: Span::default(), ..Default::default() },
        ..Config::default()
    }
}

/// One track, 7, seen through [`Occurrences`].
struct Scene {
    occurrences: Occurrences,
    events: Vec<ActionEvent>,
}

impl Scene {
    fn new(config: &Config) -> Self {
        let mut count = 0;
        let ids = move |_| {
            count += 1;
            Ulid::from(count)
        };
        let occurrences = Occurrences::with_ids(&config.cameras[0], config, ids);
        Self { occurrences, events: Vec::new() }
    }

    /// A frame with the track visible, `scores` for both actions.
    fn scored(&mut self, time: FrameTime, rect: [f32; 4], scores: [f32; 2]) {
        self.occurrences.observe(time, SIZE, &[track(7, true, rect)], [&scores[..]], &mut self.events);
    }

    /// A frame in which the track is hidden.
    fn hidden(&mut self, time: FrameTime) {
        self.occurrences.observe(time, SIZE, &[track(7, false, AWAY)], [], &mut self.events);
    }

    /// A frame with nobody.
    fn empty(&mut self, time: FrameTime) {
        self.occurrences.observe(time, SIZE, &[], [], &mut self.events);
    }

    /// Frames at 10 Hz from `from` up to and without `to`, `running` at `score`.
    fn run(&mut self, from: f64, to: f64, score: f32) {
        for i in 0..((to - from) * 10.0).round() as u32 {
            self.scored(at(from + f64::from(i) / 10.0), AWAY, [score, 0.0]);
        }
    }

    fn changes(&self) -> Vec<(Change, Timestamp)> {
        self.events.iter().map(|e| (e.change, e.time)).collect()
    }
}

#[test]
fn an_occurrence_begins_lasts_and_ends() {
    let mut scene = Scene::new(&config());
    scene.run(0.0, 1.0, 0.3);
    scene.run(1.0, 3.5, 0.8);
    scene.run(3.5, 5.0, 0.2);
    assert_eq!(
        scene.changes(),
        [(Change::Begin, utc(2.0)), (Change::Update, utc(3.0)), (Change::End, utc(4.0))]
    );
    let (begin, end) = (&scene.events[0], &scene.events[2]);
    assert_eq!(
        *begin,
        ActionEvent {
            id: Ulid::from(1u128),
            change: Change::Begin,
            camera: "gate".into(),
            track: 7,
            action: "running".into(),
            label: "running about".into(),
            score: 0.8,
            peak_score: 0.8,
            rect: [0.1, 0.1, 0.2, 0.4],
            zones: vec![],
            begin: utc(1.0),
            time: utc(2.0),
            end: None,
            reason: None,
            provisional: false,
            captured: at(2.0).monotonic,
        }
    );
    assert!(scene.events.iter().all(|e| e.id == begin.id && e.begin == begin.begin));
    assert_eq!((end.score, end.peak_score, end.end, end.reason), (0.2, 0.8, Some(utc(3.5)), None));
}

#[test]
fn what_is_shorter_than_the_minimum_duration_is_nothing() {
    let mut scene = Scene::new(&config());
    scene.run(0.0, 1.0, 0.9);
    scene.run(1.0, 1.1, 0.49);
    scene.run(1.1, 2.1, 0.9);
    scene.empty(at(2.2));
    assert_eq!(scene.events, []);
}

#[test]
fn no_minimum_duration_begins_with_the_first_frame() {
    let mut config = config();
    config.actions[0].minimum_duration = Span::default();
    let mut scene = Scene::new(&config);
    scene.run(0.0, 0.1, 0.5);
    assert_eq!(scene.changes(), [(Change::Begin, utc(0.0))]);
    assert_eq!(scene.events[0].begin, utc(0.0));
}

#[test]
fn between_threshold_and_hysteresis_it_goes_on_but_does_not_begin() {
    let mut scene = Scene::new(&config());
    scene.run(0.0, 3.0, 0.45);
    assert_eq!(scene.events, []);
    scene.run(3.0, 4.1, 0.5);
    scene.run(4.1, 9.0, 0.45);
    // A dip shorter than the release is no end.
    scene.run(9.0, 9.4, 0.0);
    scene.run(9.4, 12.0, 0.45);
    assert!(scene.events.iter().all(|e| e.change != Change::End), "{:?}", scene.changes());
}

#[test]
fn a_score_that_moves_is_worth_an_update_before_its_time() {
    let mut scene = Scene::new(&config());
    scene.run(0.0, 1.1, 0.6);
    scene.run(1.1, 1.2, 0.65);
    scene.run(1.2, 1.3, 0.75);
    scene.run(1.3, 1.4, 0.8);
    assert_eq!(scene.changes(), [(Change::Begin, utc(1.0)), (Change::Update, utc(1.2))]);
    assert_eq!((scene.events[1].score, scene.events[1].peak_score), (0.75, 0.75));
}

#[test]
fn after_an_end_it_is_silent_for_the_cool_down() {
    let mut scene = Scene::new(&config());
    scene.run(0.0, 2.0, 0.9);
    scene.run(2.0, 2.6, 0.0);
    assert_eq!(scene.events.last().unwrap().change, Change::End);
    assert_eq!(scene.events.last().unwrap().time, utc(2.5));
    scene.events.clear();
    scene.run(2.6, 7.0, 0.9);
    // Silent up to 4.5; from there on it must hold for a second.
    assert_eq!(scene.changes()[0], (Change::Begin, utc(5.5)));
    assert_eq!(scene.events[0].begin, utc(4.5));
    assert_eq!(scene.events[0].id, Ulid::from(2u128));
}

#[test]
fn feet_in_the_zone_decide_and_leaving_it_ends() {
    let mut scene = Scene::new(&config());
    for i in 0..20 {
        scene.scored(at(f64::from(i) / 10.0), AWAY, [0.0, 0.9]);
    }
    assert_eq!(scene.events, []);
    for i in 20..40 {
        scene.scored(at(f64::from(i) / 10.0), ON_FLOOR, [0.0, 0.9]);
    }
    assert_eq!(scene.changes(), [(Change::Begin, utc(3.0))]);
    assert_eq!((scene.events[0].action.as_str(), scene.events[0].begin), ("climbing", utc(2.0)));
    assert_eq!(scene.events[0].zones, ["floor"]);
    for i in 40..50 {
        scene.scored(at(f64::from(i) / 10.0), AWAY, [0.0, 0.9]);
    }
    let end = scene.events.last().unwrap();
    assert_eq!((end.change, end.end, end.zones.len()), (Change::End, Some(utc(4.0)), 0));
}

#[test]
fn a_camera_without_the_zone_never_sees_the_action() {
    let mut config = config();
    config.cameras[0].zones.clear();
    let mut scene = Scene::new(&config);
    for i in 0..30 {
        scene.scored(at(f64::from(i) / 10.0), ON_FLOOR, [0.0, 0.9]);
    }
    assert_eq!(scene.events, []);
}

#[test]
fn a_hidden_person_keeps_the_score_is_no_news_and_ends_when_last_seen() {
    let mut scene = Scene::new(&config());
    scene.run(0.0, 0.5, 0.9);
    (5..20).for_each(|i| scene.hidden(at(f64::from(i) / 10.0)));
    assert_eq!(scene.events, [], "begins only when seen");
    assert_eq!(scene.occurrences.smoothed(7), Some(&[0.9, 0.0][..]));
    scene.run(2.0, 2.1, 0.9);
    assert_eq!(scene.changes(), [(Change::Begin, utc(2.0))]);
    (21..50).for_each(|i| scene.hidden(at(f64::from(i) / 10.0)));
    assert_eq!(scene.events.len(), 1);
    scene.empty(at(5.0));
    let end = scene.events.last().unwrap();
    assert_eq!((end.change, end.time, end.end, end.score), (Change::End, utc(5.0), Some(utc(2.0)), 0.9));
    assert_eq!(scene.occurrences.smoothed(7), None);
}

#[test]
fn closing_ends_what_is_open_with_its_reason() {
    let mut scene = Scene::new(&config());
    scene.run(0.0, 2.0, 0.9);
    scene.events.clear();
    scene.occurrences.close(at(2.0), Reason::Shutdown, &mut scene.events);
    let [end] = &scene.events[..] else { panic!("{:?}", scene.changes()) };
    assert_eq!((end.change, end.reason, end.end), (Change::End, Some(Reason::Shutdown), Some(utc(1.9))));
    scene.occurrences.close(at(2.1), Reason::Shutdown, &mut scene.events);
    assert_eq!(scene.events.len(), 1);
}

#[test]
fn other_thresholds_and_words_leave_alone_what_goes_on() {
    let mut scene = Scene::new(&config());
    scene.run(0.0, 2.0, 0.8);
    let mut changed = config();
    changed.actions[0].threshold = 0.7;
    changed.actions[0].phrases = vec!["hurrying".into()];
    changed.actions.swap(0, 1);
    changed.actions.push(config::Action {
        name: "new".into(),
        phrases: vec!["new".into()],
        ..Default::default()
    });
    let told = scene.events.len();
    scene.occurrences.reconfigure(&changed.cameras[0], &changed, at(2.0), &mut scene.events);
    assert_eq!(scene.events.len(), told, "a change of settings alone is no event");
    assert!(scene.occurrences.is_open(7));
    assert_eq!(scene.occurrences.smoothed(7).unwrap(), [0.0, 0.8, 0.0], "scores moved with their actions");
    for i in 0..30 {
        let (time, row) = (at(2.0 + f64::from(i) / 10.0), [0.0, 0.8, 0.0]);
        scene.occurrences.observe(time, SIZE, &[track(7, true, AWAY)], [&row[..]], &mut scene.events);
    }
    let last = scene.events.last().unwrap();
    assert_eq!((last.change, last.label.as_str()), (Change::Update, "hurrying"));
    assert!(scene.events.iter().all(|event| event.id == last.id && event.action == "running"));
}

#[test]
fn an_action_taken_out_ends_with_its_reason_and_the_others_live_on() {
    let mut scene = Scene::new(&config());
    for i in 0..20 {
        scene.scored(at(f64::from(i) / 10.0), ON_FLOOR, [0.8, 0.9]);
    }
    let begun: Vec<_> = scene.events.iter().filter(|e| e.change == Change::Begin).cloned().collect();
    assert_eq!(begun.len(), 2);
    let mut config = config();
    config.actions.remove(0);
    scene.events.clear();
    scene.occurrences.reconfigure(&config.cameras[0], &config, at(2.5), &mut scene.events);
    let [end] = &scene.events[..] else { panic!("{:?}", scene.events) };
    assert_eq!((end.change, end.reason), (Change::End, Some(Reason::VocabularyChanged)));
    assert_eq!((end.id, end.action.as_str()), (begun[0].id, "running"));
    assert_eq!((end.time, end.end), (utc(2.5), Some(utc(1.9))), "told now, over when last seen");
    assert!(scene.occurrences.is_open(7), "the other one lives on");
    scene.occurrences.close(at(3.0), Reason::Shutdown, &mut scene.events);
    assert_eq!(scene.events.last().map(|e| e.id), Some(begun[1].id));
}

#[test]
fn an_action_put_in_begins_as_any_other() {
    let config = config();
    let less = Config { actions: vec![config.actions[0].clone()], ..config.clone() };
    let mut scene = Scene::new(&less);
    scene.occurrences.observe(at(0.0), SIZE, &[track(7, true, ON_FLOOR)], [&[0.1][..]], &mut scene.events);
    scene.occurrences.reconfigure(&config.cameras[0], &config, at(0.05), &mut scene.events);
    for i in 1..30 {
        scene.scored(at(f64::from(i) / 10.0), ON_FLOOR, [0.1, 0.9]);
    }
    let begun: Vec<_> = scene.events.iter().filter(|e| e.change == Change::Begin).collect();
    assert_eq!(
        begun.iter().map(|e| e.action.as_str()).collect::<Vec<_>>(),
        [config.actions[1].name.as_str()]
    );
}

#[test]
fn a_wall_clock_that_is_set_does_not_turn_an_occurrence_around() {
    let mut scene = Scene::new(&config());
    let back = |seconds: f64| FrameTime { utc: utc(seconds - 3600.0), ..at(seconds) };
    scene.run(0.0, 1.5, 0.9);
    for i in 15..40 {
        scene.scored(back(f64::from(i) / 10.0), AWAY, [if i < 30 { 0.9 } else { 0.0 }, 0.0]);
    }
    let end = scene.events.last().unwrap();
    assert_eq!((end.change, end.begin, end.end, end.time), (Change::End, utc(0.0), Some(utc(3.0)), utc(3.5)));
    // The next one is dated by the clock as it is then.
    scene.events.clear();
    for i in 60..80 {
        scene.scored(back(f64::from(i) / 10.0), AWAY, [0.9, 0.0]);
    }
    assert_eq!(scene.events[0].begin, back(6.0).utc);
}

#[test]
fn frames_from_the_past_and_rows_too_short_are_borne() {
    let mut scene = Scene::new(&config());
    scene.run(5.0, 6.5, 0.9);
    scene.scored(at(1.0), AWAY, [0.9, f32::NAN]);
    scene.occurrences.observe(at(7.0), SIZE, &[track(7, true, AWAY)], [&[][..]], &mut scene.events);
    scene.occurrences.observe(
        at(8.0),
        SIZE,
        &[track(7, true, AWAY), track(8, true, AWAY)],
        [],
        &mut scene.events,
    );
    assert_eq!(scene.occurrences.smoothed(8), None);
    assert!(scene.events.is_sorted_by_key(|e| e.time));
}

#[test]
fn people_are_told_apart_and_memory_is_reused_clean() {
    let mut scene = Scene::new(&config());
    scene.run(0.0, 2.0, 0.9);
    scene.empty(at(2.0));
    scene.events.clear();
    for i in 21..40 {
        let (high, low) = ([0.9, 0.0], [0.1, 0.0]);
        let tracks = [track(8, true, AWAY), track(9, false, AWAY), track(10, true, AWAY)];
        scene.occurrences.observe(
            at(f64::from(i) / 10.0),
            SIZE,
            &tracks,
            [&low[..], &high[..]],
            &mut scene.events,
        );
    }
    assert!(scene.events.iter().all(|e| e.track == 10), "{:?}", scene.events);
    assert_eq!((scene.events[0].change, scene.events[0].begin), (Change::Begin, utc(2.1)));
    assert_eq!(scene.occurrences.smoothed(8), Some(&[0.1, 0.0][..]));
}

#[test]
fn ids_sort_by_begin() {
    let config = config();
    let mut occurrences = Occurrences::new(&config.cameras[0], &config);
    let mut events = Vec::new();
    for i in 0..20 {
        let scores = [if i < 5 { 0.0 } else { 0.9 }, 0.9];
        occurrences.observe(
            at(f64::from(i) / 10.0),
            SIZE,
            &[track(1, true, ON_FLOOR)],
            [&scores[..]],
            &mut events,
        );
    }
    let begins: Vec<_> = events.iter().filter(|e| e.change == Change::Begin).collect();
    assert_eq!(begins.len(), 2);
    assert!(begins[0].id < begins[1].id);
    assert_eq!(begins[0].id.timestamp_ms(), begins[0].begin.as_millisecond() as u64);
}

/// One frame of a random scene: time since the frame before, and for each of two tracks what becomes of it.
#[derive(Debug, Clone)]
struct Shot {
    step: f64,
    wall_clock_off: i64,
    /// `None`: not there. Else whether visible, whether on the floor, and both scores.
    tracks: [Option<(bool, bool, [f32; 2])>; 2],
}

fn shots() -> impl Strategy<Value = Vec<Shot>> {
    // Scores that linger around the thresholds, and steps around the durations.
    let score =
        prop_oneof![Just(0.0f32), Just(0.4), Just(0.45), Just(0.5), 0.0f32..=1.0, Just(0.9), Just(0.9)];
    let seen = (prop::bool::weighted(0.85), prop::bool::weighted(0.8), prop::array::uniform2(score));
    let shot = (
        prop_oneof![Just(0.0), 0.01f64..0.3, 0.01f64..0.3, 0.3f64..2.5],
        prop_oneof![8 => Just(0i64), 1 => -10_000i64..10_000],
        prop::array::uniform2(prop::option::weighted(0.95, seen)),
    );
    let shot = shot.prop_map(|(step, wall_clock_off, tracks)| Shot { step, wall_clock_off, tracks });
    prop::collection::vec(shot, 0..120)
}

/// What the reference needs of one track and action in a frame.
#[derive(Debug, Clone, Copy)]
struct Sample {
    time: Duration,
    /// Smoothed; 0 outside the zone.
    score: f32,
    seen: bool,
}

/// When the score crossed, and the frame in which that was published.
type Told = (Duration, Duration);

/// The begins and ends of samples without a gap, worked out with hindsight over the whole series.
fn reference(samples: &[Sample], config: &Config) -> Vec<(Told, Option<Told>)> {
    let second = |span: Span| Duration::from(span);
    let (threshold, low) = (0.5, 0.5 - config.events.hysteresis);
    let mut found = Vec::new();
    let mut i = 0;
    let mut silent_until = Duration::ZERO;
    while let Some(first) = samples.get(i) {
        let starts = first.seen && first.score >= threshold && first.time >= silent_until;
        let run = samples[i..].iter().take_while(|s| s.score >= threshold).count();
        let published = samples[i..i + run]
            .iter()
            .position(|s| s.seen && s.time - first.time >= second(config.actions[0].minimum_duration));
        let (true, Some(published)) = (starts, published) else {
            i += if starts { run } else { 1 };
            continue;
        };
        let begin = (first.time, samples[i + published].time);
        let after = i + published + 1;
        let end = (after..samples.len()).find_map(|e| {
            let fell =
                samples[after..=e].iter().rposition(|s| s.score >= low).map_or(after, |k| after + k + 1);
            let fell = samples.get(fell).filter(|_| fell <= e)?;
            (samples[e].time - fell.time >= second(config.events.release)).then_some((e, fell.time))
        });
        found.push((begin, end.map(|(e, fell)| (fell, samples[e].time))));
        let Some((e, _)) = end else { break };
        silent_until = samples[e].time + second(config.events.cool_down);
        i = e + 1;
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn occurrences_are_well_formed_whatever_is_seen(
        shots in shots(),
        smoothing in prop_oneof![Just(0.0), 0.1f64..2.0],
        minimum in prop_oneof![Just(0.0), 0.1f64..1.5],
    ) {
        let mut config = config();
        config.scoring.smoothing = Span::from_secs_f64(smoothing);
        for action in &mut config.actions {
            action.minimum_duration = Span::from_secs_f64(minimum);
        }
        let mut scene = Scene::new(&config);
        let mut seconds = 0.0;
        let mut series: Vec<((u64, usize), Vec<Sample>)> = Vec::new();
        let mut ids = [1u64, 2];
        let mut previous = [false; 2];
        for shot in &shots {
            seconds += shot.step;
            let time = FrameTime { utc: utc(seconds + shot.wall_clock_off as f64 / 1000.0), ..at(seconds) };
            let mut tracks = Vec::new();
            let mut rows = Vec::new();
            for (i, seen) in shot.tracks.iter().enumerate() {
                if previous[i] && seen.is_none() {
                    ids[i] += 2; // a tracker's id never comes back
                }
                previous[i] = seen.is_some();
                if let Some((visible, floor, scores)) = seen {
                    tracks.push(track(ids[i], *visible, if *floor { ON_FLOOR } else { AWAY }));
                    if *visible {
                        rows.push(&scores[..]);
                    }
                }
            }
            let before = scene.events.len();
            scene.occurrences.observe(time, SIZE, &tracks, rows.iter().copied(), &mut scene.events);
            for track in &tracks {
                let smoothed = scene.occurrences.smoothed(track.id).unwrap_or_default();
                for (action, score) in smoothed.iter().enumerate() {
                    prop_assert!((0.0..=1.0).contains(score));
                    let inside = action == 0 || track.rect.y2 > 50.0;
                    let sample = Sample {
                        time: time.monotonic,
                        score: if inside { *score } else { 0.0 },
                        seen: track.visible,
                    };
                    match series.iter_mut().find(|(key, _)| *key == (track.id, action)) {
                        Some((_, samples)) => samples.push(sample),
                        None => series.push(((track.id, action), vec![sample])),
                    }
                }
            }
            let new = &scene.events[before..];
            prop_assert!(new.iter().all(|e| e.captured == time.monotonic));
            let once = |e: &ActionEvent| new.iter().filter(|other| other.id == e.id).count() == 1;
            prop_assert!(new.iter().all(once), "an occurrence has one event a frame at most");
        }
        let last = at(seconds);
        scene.occurrences.close(last, Reason::SourceEnded, &mut scene.events);

        let mut occurrences: Vec<Vec<&ActionEvent>> = Vec::new();
        for event in &scene.events {
            match occurrences.iter_mut().find(|o| o[0].id == event.id) {
                Some(occurrence) => occurrence.push(event),
                None => occurrences.push(vec![event]),
            }
        }
        for events in &occurrences {
            let (first, rest) = events.split_first().unwrap();
            let (end, updates) = rest.split_last().expect("every occurrence ends");
            prop_assert_eq!((first.change, end.change), (Change::Begin, Change::End));
            prop_assert!(updates.iter().all(|e| e.change == Change::Update));
            prop_assert!(events.is_sorted_by_key(|e| e.time));
            prop_assert!(events.is_sorted_by_key(|e| e.peak_score.to_bits()));
            prop_assert!(first.score >= 0.5 && first.peak_score >= first.score);
            let held = first.time.duration_since(first.begin);
            prop_assert!(held.as_secs_f64() >= minimum - 1e-6, "published after {held:?}");
            let ended = end.end.unwrap();
            prop_assert!(ended >= first.begin && ended <= end.time);
            prop_assert!(events.iter().all(|e| e.begin == first.begin && e.track == first.track && e.action == first.action));
            prop_assert!(rest.iter().all(|e| (e.change == Change::End) == e.end.is_some()));
        }

        for ((track, action), samples) in &series {
            let expected = reference(samples, &config);
            let name = &config.actions[*action].name;
            let found: Vec<_> = occurrences.iter().filter(|o| o[0].track == *track && o[0].action == *name).collect();
            prop_assert_eq!(found.len(), expected.len(), "track {} {}: {:?}", track, name, samples);
            for (events, (begin, end)) in found.iter().zip(&expected) {
                let first = events[0];
                let since = first.captured.as_secs_f64() - first.time.duration_since(first.begin).as_secs_f64();
                prop_assert_eq!(first.captured, begin.1);
                prop_assert!((since - begin.0.as_secs_f64()).abs() < 1e-6);
                if let Some((fell, published)) = end {
                    let last = events[events.len() - 1];
                    prop_assert_eq!(last.captured, *published);
                    prop_assert_eq!(last.end.unwrap().duration_since(last.begin).as_secs_f64() as f32, (*fell - begin.0).as_secs_f64() as f32);
                }
            }
        }
    }
}
