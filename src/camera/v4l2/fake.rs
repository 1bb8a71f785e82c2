//! A driver that follows a script, and fails where the script says so.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::io::Errno;

use super::driver::*;
use crate::clock::ManualClock;

/// What happens next to the stream.
#[derive(Debug, Clone)]
pub enum Step {
    /// A buffer is filled, if one is queued.
    Frame { sequence: u32, flags: u32, timestamp: Option<Duration>, data: Vec<Vec<u8>> },
    /// Nothing, for as long as is waited.
    Silence,
    /// An event, and whether it says that the picture has changed.
    Event { changed: bool },
    /// `poll` says POLLERR, and taking a frame fails so.
    Failed(Errno),
    /// `poll` says that there is a frame, and there is none.
    Spurious,
}

/// What a test wants to know after the driver has moved into a device.
#[derive(Debug, Default)]
pub struct Log {
    pub queued: Vec<u32>,
    /// Calls of `wait`.
    pub waits: usize,
    pub set: Vec<(u32, i64)>,
    pub interval: Option<Interval>,
}

#[derive(Default)]
pub struct Fake {
    pub identity: Identity,
    /// Format, size, rate.
    pub offers: Vec<(FourCc, [u32; 2], f64)>,
    pub format: Format,
    pub controls: Vec<Control>,
    pub set: Vec<(u32, i64)>,
    pub script: VecDeque<Step>,
    /// When the script is at its end, frames of this go on, one each time that is waited for; else there is silence.
    pub endless: Option<Vec<Vec<u8>>>,
    /// Errors of the next calls, by name of the call; taken from the front.
    pub errors: Vec<(&'static str, Errno)>,
    pub clock: Option<Arc<ManualClock>>,
    pub log: Arc<Mutex<Log>>,
    pub buffers: Vec<Vec<Vec<u8>>>,
    pub sequence: u32,
}

pub fn control(id: u32, name: &str, kind: ControlKind, minimum: i64, maximum: i64) -> Control {
    let (name, items) = (name.to_owned(), Vec::new());
    let (step, default, read_only, inactive) = (1, minimum, false, false);
    Control { id, name, kind, minimum, maximum, step, default, read_only, inactive, items }
}

impl Fake {
    fn fails(&mut self, call: &str) -> io::Result<()> {
        match self.errors.iter().position(|(name, _)| *name == call) {
            Some(at) => Err(self.errors.remove(at).1.into()),
            None => Ok(()),
        }
    }

    /// Lets `time` pass.
    fn silent(&self, time: Duration) -> Ready {
        self.clock.as_ref().expect("a clock, to wait by").advance(time);
        Ready::default()
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }
}

impl Driver for Fake {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn formats(&self) -> io::Result<Vec<Description>> {
        let mut formats: Vec<FourCc> = self.offers.iter().map(|(format, ..)| *format).collect();
        formats.dedup();
        Ok(formats.into_iter().map(|format| Description { format, text: String::new() }).collect())
    }

    fn sizes(&self, format: FourCc) -> Vec<SizeRange> {
        let of_format = self.offers.iter().filter(|offer| offer.0 == format);
        of_format.map(|(_, [w, h], _)| SizeRange { width: Steps::one(*w), height: Steps::one(*h) }).collect()
    }

    fn intervals(&self, format: FourCc, width: u32, height: u32) -> Vec<IntervalRange> {
        let fitting = self.offers.iter().filter(|offer| (offer.0, offer.1) == (format, [width, height]));
        let intervals = fitting.map(|offer| Interval::of_rate(offer.2));
        intervals.map(|interval| IntervalRange { shortest: interval, longest: interval }).collect()
    }

    fn format(&self) -> io::Result<Format> {
        Ok(self.format)
    }

    fn set_format(&mut self, format: FourCc, width: u32, height: u32) -> io::Result<Format> {
        self.fails("set_format")?;
        if self.format.format == FourCc::default() {
            (self.format.format, self.format.width, self.format.height) = (format, width, height);
        }
        Ok(self.format)
    }

    fn interval(&self) -> io::Result<Interval> {
        self.log().interval.ok_or(Errno::NOTTY.into())
    }

    fn set_interval(&mut self, interval: Interval) -> io::Result<Interval> {
        self.fails("set_interval")?;
        self.log().interval = Some(interval);
        Ok(interval)
    }

    fn controls(&self) -> Vec<Control> {
        self.controls.clone()
    }

    fn control(&self, control: &Control) -> io::Result<i64> {
        Ok(control.default)
    }

    fn set_control(&mut self, control: &Control, value: i64) -> io::Result<()> {
        self.fails("set_control")?;
        self.set.push((control.id, value));
        self.log().set.push((control.id, value));
        Ok(())
    }

    fn make_buffers(&mut self, count: u32) -> io::Result<u32> {
        self.fails("make_buffers")?;
        self.buffers = vec![Vec::new(); count as usize];
        Ok(count)
    }

    fn queue(&mut self, index: u32) -> io::Result<()> {
        self.fails("queue")?;
        self.log().queued.push(index);
        Ok(())
    }

    fn start(&mut self) -> io::Result<()> {
        self.fails("start")
    }

    fn wait(&mut self, timeout: Duration) -> io::Result<Ready> {
        self.log().waits += 1;
        Ok(match self.script.front() {
            Some(Step::Frame { .. } | Step::Spurious) => Ready { frame: true, ..Ready::default() },
            Some(Step::Event { .. }) => Ready { event: true, ..Ready::default() },
            Some(Step::Failed(_)) => Ready { failed: true, ..Ready::default() },
            Some(Step::Silence) => {
                self.script.pop_front();
                self.silent(timeout)
            }
            None => {
                let ready = self.silent(timeout);
                Ready { frame: self.endless.is_some(), ..ready }
            }
        })
    }

    fn dequeue(&mut self) -> io::Result<Filled> {
        self.sequence += 1;
        let endless = self.endless.clone().map(|data| Step::Frame {
            sequence: self.sequence,
            flags: 0,
            timestamp: None,
            data,
        });
        match self.script.pop_front().or(endless).expect("a frame was announced") {
            Step::Frame { sequence, flags, timestamp, data } => {
                let mut log = self.log();
                assert!(!log.queued.is_empty(), "the driver has no buffer to fill");
                let index = log.queued.remove(0);
                drop(log);
                let mut ranges = [(0, 0); MAX_PLANES];
                for (range, data) in ranges.iter_mut().zip(&data) {
                    *range = (0, data.len() as u32);
                }
                self.buffers[index as usize] = data;
                Ok(Filled { index, flags, sequence, timestamp, ranges })
            }
            Step::Failed(error) => Err(error.into()),
            _ => Err(Errno::AGAIN.into()),
        }
    }

    fn data(&self, filled: &Filled, plane: usize) -> &[u8] {
        assert!(!self.log().queued.contains(&filled.index), "the buffer has been given back");
        self.buffers[filled.index as usize].get(plane).map_or(&[], Vec::as_slice)
    }

    fn changed(&mut self) -> io::Result<bool> {
        match self.script.pop_front() {
            Some(Step::Event { changed }) => Ok(changed),
            other => panic!("an event was announced, not {other:?}"),
        }
    }
}
