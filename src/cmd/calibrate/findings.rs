//! What the footage says of each action, and how it is told.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::config::Action;
use crate::event::calibration::{Found, Peak, Tape, at_most, highest_rate, lowest};

/// Moments shown of each action.
const MOMENTS: usize = 3;
/// Steps of the curve.
const STEPS: u16 = 100;

/// What was watched.
pub struct Footage<'a> {
    /// Recordings in which nothing happens.
    pub negatives: &'a [(&'a Path, Tape)],
    /// Clips in which the action with this index happens.
    pub positives: &'a [(usize, Tape)],
}

/// What is asked of a threshold.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// False alarms an hour.
    pub per_hour: f64,
    /// Ten-thousandths; no threshold below this.
    pub floor: u16,
}

impl Wish {
    /// Whether the rate is known when nothing happened for so long (the rule of three).
    pub fn is_known_after(&self, watched: Duration) -> bool {
        watched.as_secs_f64() / 3600.0 * self.per_hour >= 3.0
    }
}

/// One action's threshold.
#[derive(Debug, Serialize)]
pub struct Finding<'a> {
    pub action: &'a str,
    pub before: AtThreshold,
    /// Absent if even a threshold of 1 begins too much.
    pub after: Option<AtThreshold>,
    /// Whether nothing but the lowest threshold allowed ended the search.
    pub is_floor: bool,
    /// The highest scores in the footage where nothing happens, each of another person.
    pub moments: Vec<Moment<'a>>,
    #[serde(skip)]
    pub curve: Vec<AtThreshold>,
}

/// What a threshold does.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct AtThreshold {
    pub threshold: f64,
    /// Occurrences that begin in the footage where nothing happens.
    pub false_alarms: usize,
    /// The rate an hour that this shows not to be exceeded, with 95 % confidence.
    pub per_hour_at_most: f64,
    /// Clips in which the action is found, and clips there are.
    pub found: Option<(usize, usize)>,
}

/// Where to look.
#[derive(Debug, Serialize)]
pub struct Moment<'a> {
    score: f32,
    recording: &'a Path,
    /// Seconds since its first frame.
    at: f64,
    track: u64,
}

impl Footage<'_> {
    /// How long nothing happened.
    pub fn watched(&self) -> Duration {
        self.negatives.iter().map(|(_, tape)| tape.watched()).sum()
    }

    fn false_alarms(&self, action: usize, threshold: f32) -> usize {
        self.negatives.iter().map(|(_, tape)| tape.begins(action, threshold)).sum()
    }

    fn at(&self, action: usize, threshold: f64) -> AtThreshold {
        let false_alarms = self.false_alarms(action, threshold as f32);
        let clips = self.positives.iter().filter(|(shown, _)| *shown == action);
        let begun = clips.clone().filter(|(_, tape)| tape.begins(action, threshold as f32) > 0).count();
        let all = clips.count();
        AtThreshold {
            threshold,
            false_alarms,
            per_hour_at_most: highest_rate(false_alarms, self.watched()),
            found: (all > 0).then_some((begun, all)),
        }
    }
}

impl<'a> Finding<'a> {
    /// The lowest threshold with which the footage has no more false alarms than wished. What is too short to know the
    /// rate may raise a threshold and never lowers one.
    pub fn new(index: usize, action: &'a Action, footage: &Footage<'a>, wish: Wish) -> Self {
        let allowed = at_most(wish.per_hour, footage.watched());
        // As it was written, not as a float of 32 bits has it.
        let before = (f64::from(action.threshold) * 1e6).round() / 1e6;
        let floor = if wish.is_known_after(footage.watched()) {
            wish.floor
        } else {
            wish.floor.max((before * 1e4 - 1e-3).ceil() as u16)
        };
        let found = lowest(floor, allowed, |threshold| footage.false_alarms(index, threshold));
        let step = |step| f64::from(step) / f64::from(STEPS);
        Self {
            action: &action.name,
            before: footage.at(index, before),
            after: found.as_ref().map(|found| footage.at(index, found.value())),
            is_floor: found.is_some_and(|found: Found| found.is_floor),
            moments: moments(footage, index),
            curve: (1..=STEPS).map(|i| footage.at(index, step(i))).collect(),
        }
    }
}

fn moments<'a>(footage: &Footage<'a>, action: usize) -> Vec<Moment<'a>> {
    let peaks = |(path, tape): &'a (&'a Path, Tape)| tape.peaks(action).map(|peak| (*path, peak));
    let mut all: Vec<(&Path, Peak)> = footage.negatives.iter().flat_map(peaks).collect();
    all.sort_unstable_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
    all.truncate(MOMENTS);
    let moment = |(recording, peak): (&'a Path, Peak)| Moment {
        score: peak.score,
        recording,
        at: peak.at.as_secs_f64(),
        track: peak.track,
    };
    all.into_iter().map(moment).collect()
}

/// The findings as a table, with what is to be said about them.
pub fn table(findings: &[Finding<'_>], watched: Duration, wish: Wish) -> Result<String, std::fmt::Error> {
    let width = findings.iter().map(|finding| finding.action.len()).max().unwrap_or_default().max(6);
    let with_clips = findings.iter().any(|finding| finding.before.found.is_some());
    let mut text = String::new();
    let out = &mut text;
    write!(out, "{:width$}  {:^16}  {:>12}  {:>12}", "action", "threshold", "false alarms", "an hour, 95 %")?;
    writeln!(out, "{}", if with_clips { "  clips found" } else { "" })?;
    for Finding { action, before, after, .. } in findings {
        let Some(after) = after else {
            let alarms = before.false_alarms;
            writeln!(out, "{action:width$}  {:>6} left as is  {alarms:>12}", before.threshold)?;
            continue;
        };
        let thresholds = format!("{:>6} → {:<6}", before.threshold, after.threshold);
        let alarms = format!("{} → {}", before.false_alarms, after.false_alarms);
        let bound = format!("≤ {}", rate(after.per_hour_at_most));
        write!(out, "{action:width$}  {thresholds:16}  {alarms:>12}  {bound:>12}")?;
        match (before.found, after.found) {
            (Some((before, _)), Some((after, all))) => writeln!(out, "  {before} → {after} of {all}")?,
            _ => writeln!(out)?,
        }
    }
    writeln!(out)?;
    let allowed = at_most(wish.per_hour, watched);
    writeln!(
        out,
        "{} of footage; {} an hour allows {allowed} in it, of each action. \"95 %\": the rate is no higher, if the \
         footage is like all days.",
        length(watched),
        wish.per_hour
    )?;
    if !wish.is_known_after(watched) {
        writeln!(
            out,
            "This is too short to know a rate of {} an hour: what never happens in it may still happen {} times an hour \
             (3 / hours, at 95 %). So the thresholds are the lowest that {}, and none is lowered. {} would tell.",
            wish.per_hour,
            rate(highest_rate(0, watched)),
            if allowed == 0 {
                "nothing in it reaches for long enough"
            } else {
                "keep to what is allowed in it"
            },
            length(Duration::from_secs_f64(3.0 / wish.per_hour * 3600.0)),
        )?;
    }
    for finding in findings {
        finding.remark(out)?;
    }
    Ok(text)
}

impl Finding<'_> {
    fn remark(&self, out: &mut String) -> std::fmt::Result {
        let action = self.action;
        if self.after.is_none() {
            writeln!(
                out,
                "{action}: even with a threshold of 1 there is too much; say it in other words, or add what is seen here \
                 to vocabulary.background."
            )?;
        }
        if self.is_floor {
            writeln!(
                out,
                "{action}: nothing comes near it; the threshold is the lowest allowed (--lowest)."
            )?;
        }
        if let Some(AtThreshold { found: Some((0, all)), .. }) = self.after {
            writeln!(
                out,
                "{action}: found in none of {all} clips with this threshold: these words do not tell it from an ordinary \
                 day."
            )?;
        }
        if !self.is_floor && !self.moments.is_empty() {
            write!(out, "{action}: highest")?;
            for (i, moment) in self.moments.iter().enumerate() {
                let comma = if i == 0 { "" } else { "," };
                let at = clock(moment.at);
                write!(out, "{comma} {:.3} at {at} of {}", moment.score, moment.recording.display())?;
            }
            writeln!(out, ". If that is what you watch for, leave it out of the footage.")?;
        }
        Ok(())
    }
}

fn rate(per_hour: f64) -> String {
    if per_hour < 10.0 { format!("{per_hour:.2}") } else { format!("{per_hour:.0}") }
}

fn length(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

fn clock(seconds: f64) -> String {
    let whole = seconds as u64;
    format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}
