//! Looks at heat and pace every few seconds, beside whatever else runs: some sensors take their time to answer, and a
//! voltage that falls is back before the next report. Says in the log when something changes, and only then.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{info, warn};

use super::{Pace, SlowedBy, Tree, zones};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// What was seen since it was asked last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// °C, by the sensor's name, at the latest look.
    pub temperatures: BTreeMap<String, f64>,
    /// What holds the machine back, or did in the meantime.
    pub slowed_by: BTreeSet<SlowedBy>,
}

/// A thread that looks. It ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    latest: Arc<Mutex<Sample>>,
    _ends: Sender<()>,
}

impl Watch {
    /// Looks once, and then every few seconds.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(tree: Tree) -> io::Result<Self> {
        Self::start_with(tree, INTERVAL)
    }

    fn start_with(tree: Tree, interval: Duration) -> io::Result<Self> {
        let (ends, ended) = mpsc::channel();
        let (mut pace, mut before) = (Pace::default(), BTreeSet::new());
        let first = look(&tree, &mut pace, &mut before);
        let latest = Arc::new(Mutex::new(first));
        let shared = Arc::clone(&latest);
        thread::Builder::new().name("board".into()).spawn(move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let sample = look(&tree, &mut pace, &mut before);
                let mut latest = shared.lock().unwrap_or_else(PoisonError::into_inner);
                latest.temperatures = sample.temperatures;
                latest.slowed_by.extend(sample.slowed_by);
            }
        })?;
        Ok(Self { latest, _ends: ends })
    }

    /// What was seen since this was called last.
    pub fn take(&self) -> Sample {
        // A sample is whole whoever panicked.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        Sample { temperatures: latest.temperatures.clone(), slowed_by: std::mem::take(&mut latest.slowed_by) }
    }
}

fn look(tree: &Tree, pace: &mut Pace, before: &mut BTreeSet<SlowedBy>) -> Sample {
    let zones = zones(tree);
    let slowed_by: BTreeSet<SlowedBy> = pace.look(tree).into_iter().collect();
    for cause in slowed_by.difference(before) {
        let remedy = remedy(*cause);
        let hottest = zones.iter().map(|zone| zone.celsius).max_by(f64::total_cmp);
        warn!(hottest, "this machine is slowed down: {}; {remedy}", cause.name());
    }
    for cause in before.difference(&slowed_by) {
        info!("this machine is no longer slowed down: {}", cause.name());
    }
    before.clone_from(&slowed_by);
    Sample { temperatures: zones.into_iter().map(|zone| (zone.name, zone.celsius)).collect(), slowed_by }
}

/// What to do about it.
pub(crate) const fn remedy(cause: SlowedBy) -> &'static str {
    match cause {
        SlowedBy::Heat => "give it air, a larger heat sink or shade, or lower `analysis_fps`",
        SlowedBy::UnderVoltage => {
            "use the maker's power supply and a short, thick cable, and fewer USB devices on its power"
        }
        SlowedBy::OverCurrent => "use a stronger power supply, or a lower power mode (Jetson: nvpmodel)",
        SlowedBy::FrequencyLimit => "see what lowered scaling_max_freq in /sys/devices/system/cpu/cpufreq",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::super::tree::tests::plant;
    use super::*;

    #[test]
    fn what_happened_between_two_reports_is_in_the_second() {
        let alarm = "sys/class/hwmon/hwmon1/in0_lcrit_alarm";
        let zone = "sys/class/thermal/thermal_zone0";
        let (_root, tree) = plant(&[
            (alarm, "1"),
            ("sys/class/hwmon/hwmon1/name", "rpi_volt\n"),
            (&format!("{zone}/type"), "cpu-thermal"),
            (&format!("{zone}/temp"), "51500"),
        ]);
        let watch = Watch::start_with(tree.clone(), Duration::from_millis(2)).unwrap();
        let start = Instant::now();
        let until = |done: &dyn Fn(&Sample) -> bool| loop {
            let sample = watch.take();
            if done(&sample) {
                return sample;
            }
            assert!(start.elapsed() < Duration::from_secs(30));
            thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(
            until(&|sample| !sample.slowed_by.is_empty()),
            Sample {
                temperatures: [("cpu-thermal".into(), 51.5)].into(),
                slowed_by: [SlowedBy::UnderVoltage].into(),
            }
        );
        // The alarm goes away; what had been seen of it is told once more at most.
        fs::write(tree.path(alarm), "0").unwrap();
        fs::write(tree.path(format!("{zone}/temp")), "40000").unwrap();
        until(&|sample| sample.slowed_by.is_empty() && sample.temperatures["cpu-thermal"] == 40.0);
    }
}
