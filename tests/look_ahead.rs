//! Heads whose memory reaches into the future judge a frame when that future is in.

#[path = "common/puppets.rs"]
mod puppets;

use std::time::Duration;

use puppets::{frame, heads, networks, vocabulary};
use watchword::clock::FrameTime;
use watchword::config::{self, Config, Scoring, Span};
use watchword::event::{ActionEvent, Change, Reason};
use watchword::frame::PixelFormat;
use watchword::pipeline::View;

/// Frames a second.
const RATE: u64 = 10;

fn config(look_ahead: f64, provisional: bool) -> Config {
    let mut config = puppets::config();
    config.actions.iter_mut().for_each(|action| action.threshold = 0.05);
    let scoring = Scoring { look_ahead: Span::from_secs_f64(look_ahead), provisional, ..config.scoring };
    Config { scoring, ..config }
}

/// Number and time of each judged frame, and all events, frame by frame; the last of all comes with the close.
fn watch(config: &Config, frames: u64) -> (Vec<Vec<u64>>, Vec<Vec<ActionEvent>>) {
    let (mut networks, vocabulary) = (networks(config, heads()), vocabulary(config));
    let mut view = View::new(&config::Camera::default(), config, &networks);
    let mut frame = frame(PixelFormat::Rgb24);
    let (mut judged, mut events) = (Vec::new(), Vec::new());
    let mut keep = |view: &View| {
        judged.push(view.judged().iter().map(|frame| frame.sequence).collect());
        events.push(view.events().to_vec());
    };
    for sequence in 0..frames {
        let monotonic = Duration::from_millis(1000 / RATE * sequence);
        frame.sequence = sequence;
        frame.time = FrameTime { monotonic, utc: frame.time.utc };
        view.analyse(&frame, monotonic, &mut networks, &vocabulary).unwrap();
        keep(&view);
    }
    view.close(frame.time, Reason::SourceEnded, &mut networks, &vocabulary);
    keep(&view);
    (judged, events)
}

fn begun(events: &[Vec<ActionEvent>], provisional: bool) -> Option<usize> {
    let begins = |event: &ActionEvent| event.change == Change::Begin && event.provisional == provisional;
    events.iter().position(|events| events.iter().any(begins))
}

#[test]
fn every_frame_is_judged_once_when_its_future_is_in() {
    let (judged, _) = watch(&config(1.0, false), 30);
    for (now, frames) in judged.iter().take(30).enumerate() {
        let due: Vec<u64> = (now as u64).checked_sub(RATE).into_iter().collect();
        assert_eq!(*frames, due, "at frame {now}");
    }
    assert_eq!(judged[30], (20..30).collect::<Vec<_>>(), "the end of the source ends the waiting");
    let (judged, _) = watch(&config(0.0, false), 5);
    assert_eq!(judged[..5], [[0], [1], [2], [3], [4]]);
}

#[test]
fn the_decision_waits_and_the_provisional_one_does_not() {
    let (_, at_once) = watch(&config(0.0, false), 40);
    let (_, later) = watch(&config(1.0, false), 40);
    let first = begun(&at_once, false).expect("something is seen");
    assert_eq!(begun(&later, false), Some(first + RATE as usize));
    assert_eq!(begun(&later, true), None);

    let (_, both) = watch(&config(1.0, true), 40);
    assert_eq!((begun(&both, true), begun(&both, false)), (Some(first), Some(first + RATE as usize)));
    let all: Vec<_> = both.concat();
    for event in &all {
        let open = |other: &&ActionEvent| other.id == event.id && other.change == Change::End;
        assert_eq!(all.iter().filter(open).count(), 1, "whatever begins ends once, told ahead or not");
        assert!(all.iter().all(|other| other.id != event.id || other.provisional == event.provisional));
    }
    // The event is about the frame it was seen in, however late it is told.
    let begin = |events: &[Vec<ActionEvent>]| {
        events.iter().flatten().find(|e| e.change == Change::Begin && !e.provisional).map(|e| e.captured)
    };
    assert_eq!(begin(&later), begin(&at_once));
}
