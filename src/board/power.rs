//! How much power the machine draws, where something on it measures that.
//!
//! Sources: the kernel's Documentation/hwmon/sysfs-interface.rst, ina2xx.rst, ina3221.rst and power/powercap/powercap.rst;
//! NVIDIA's Jetson Linux Developer Guide, "Jetson Orin NX and Nano Series: INA3221", for the names of rails.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::Tree;
use crate::clock::{Clock, SystemClock};

/// Between two samples.
const INTERVAL: Duration = Duration::from_millis(100);
/// How the names of chips begin that are put on boards to measure their supply. Others with the same files measure a
/// graphics card, or the light of a network's fibre.
const CHIPS: [&str; 4] = ["ina", "ltc29", "pac19", "power_meter"];

/// Why the power is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPower {
    #[error("no power sensor")]
    Absent,
    #[error("{} does not answer; run this as root", .0.display())]
    Silent(PathBuf),
}

/// Sensors that together say what the machine draws, and the mean of what they said.
#[derive(Debug)]
pub struct PowerMeter {
    tree: Tree,
    description: String,
    rails: Vec<Rail>,
    sum: f64,
    samples: u32,
}

/// One sensor.
#[derive(Debug, Clone, PartialEq)]
struct Rail {
    /// `ina3221 VDD_IN`
    name: String,
    gauge: Gauge,
}

#[derive(Debug, Clone, PartialEq)]
enum Gauge {
    /// µW.
    Power(PathBuf),
    /// mV and mA.
    Product(PathBuf, PathBuf),
    /// µJ, which begin anew at `range`, and what they were when.
    Energy { path: PathBuf, range: i64, before: Option<(Duration, i64)> },
}

impl PowerMeter {
    /// Looks for sensors: those of the board's supply, and where there are none the processor's own. If one of them is of
    /// all that comes in, the others are parts of it and left out; otherwise the sum counts.
    ///
    /// # Errors
    /// If there is none, or none answers.
    pub fn find(tree: &Tree) -> Result<Self, NoPower> {
        let (mut rails, processor) = match board(tree) {
            rails if rails.is_empty() => (processor(tree), true),
            rails => (rails, false),
        };
        let first = rails.first().map(|rail| rail.gauge.path().to_owned()).ok_or(NoPower::Absent)?;
        rails.retain(|rail| rail.gauge.answers(tree));
        if rails.is_empty() {
            return Err(NoPower::Silent(tree.path(first)));
        }
        if rails.iter().any(Rail::is_all) {
            rails.retain(Rail::is_all);
        }
        let names: Vec<_> = rails.iter().map(|rail| rail.name.as_str()).collect();
        let alone = if processor && !rails.iter().any(Rail::is_all) { ", the processor alone" } else { "" };
        let description = format!("{}{alone}", names.join(" + "));
        Ok(Self { tree: tree.clone(), description, rails, sum: 0.0, samples: 0 })
    }

    /// What is measured, such as `ina3221 VDD_IN`.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What `work` gives, and the mean power in watts while it ran; `None` if that was too short, or no sensor answered.
    pub fn during<T>(&mut self, work: impl FnOnce() -> T) -> (T, Option<f64>) {
        self.begin();
        let (ends, ended) = mpsc::channel::<()>();
        let meter = &mut *self;
        let done = thread::scope(|scope| {
            scope.spawn(move || {
                meter.sample(SystemClock.monotonic());
                while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    meter.sample(SystemClock.monotonic());
                }
            });
            let done = work();
            drop(ends);
            done
        });
        (done, self.mean())
    }

    fn begin(&mut self) {
        (self.sum, self.samples) = (0.0, 0);
        for rail in &mut self.rails {
            if let Gauge::Energy { before, .. } = &mut rail.gauge {
                *before = None;
            }
        }
    }

    /// Asks every sensor at the monotonic time `now`.
    fn sample(&mut self, now: Duration) {
        // Each is asked, also if one before it says nothing: energy is counted from the latest answer.
        let watts: Vec<_> = self.rails.iter_mut().map(|rail| rail.gauge.watts(&self.tree, now)).collect();
        if let Some(watts) = watts.into_iter().sum::<Option<f64>>() {
            self.sum += watts;
            self.samples += 1;
        }
    }

    fn mean(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.sum / f64::from(self.samples))
    }
}

impl Rail {
    /// Whether all that the machine draws goes through it.
    fn is_all(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        name.ends_with("_in") || name.ends_with(" psys") || name.starts_with("power_meter")
    }
}

impl Gauge {
    fn path(&self) -> &Path {
        match self {
            Self::Power(path) | Self::Product(path, _) | Self::Energy { path, .. } => path,
        }
    }

    fn answers(&self, tree: &Tree) -> bool {
        match self {
            Self::Power(path) | Self::Energy { path, .. } => tree.number(path).is_some(),
            Self::Product(volts, amperes) => tree.number(volts).is_some() && tree.number(amperes).is_some(),
        }
    }

    /// Watts at `now`, or since the sample before; `None` without an answer, and at the first sample of an energy.
    fn watts(&mut self, tree: &Tree, now: Duration) -> Option<f64> {
        match self {
            Self::Power(path) => Some(tree.number(path)? as f64 / 1e6),
            Self::Product(volts, amperes) => {
                Some(tree.number(volts)? as f64 * tree.number(amperes)? as f64 / 1e6)
            }
            Self::Energy { path, range, before } => {
                let energy = tree.number(path)?;
                let (then, earlier) = before.replace((now, energy))?;
                let grown = if energy < earlier { energy + *range - earlier } else { energy - earlier };
                let seconds = now.saturating_sub(then).as_secs_f64();
                (seconds > 0.0).then(|| grown as f64 / 1e6 / seconds)
            }
        }
    }
}

/// Chips that were put on the board for it.
fn board(tree: &Tree) -> Vec<Rail> {
    let mut rails = Vec::new();
    for chip in tree.entries("sys/class/hwmon", "hwmon") {
        let Some(name) = tree.text(chip.join("name")) else { continue };
        if !CHIPS.iter().any(|known| name.starts_with(known)) {
            continue;
        }
        let label = |file: String| tree.text(chip.join(file)).or_else(|| tree.text(chip.join("label")));
        let named = |label: Option<String>| label.map_or(name.clone(), |label| format!("{name} {label}"));
        let before = rails.len();
        for n in 1..=8 {
            let paths = ["input", "average"].map(|kind| chip.join(format!("power{n}_{kind}")));
            if let Some(path) = paths.into_iter().find(|path| tree.exists(path)) {
                let name = named(label(format!("power{n}_label")));
                rails.push(Rail { name, gauge: Gauge::Power(path) });
            }
        }
        if rails.len() > before {
            continue;
        }
        // An INA3221's three channels; what it numbers higher are the shunts' voltages and the sum of currents.
        for n in 1..=3 {
            let (volts, amperes) = (chip.join(format!("in{n}_input")), chip.join(format!("curr{n}_input")));
            if tree.exists(&volts) && tree.exists(&amperes) {
                let name = named(label(format!("in{n}_label")));
                rails.push(Rail { name, gauge: Gauge::Product(volts, amperes) });
            }
        }
    }
    rails
}

/// What the processor counts itself. Its zones' parts (`intel-rapl:0:0`) are in the whole.
fn processor(tree: &Tree) -> Vec<Rail> {
    let zones = tree.entries("sys/class/powercap", "intel-rapl:");
    let rails = zones.into_iter().filter_map(|zone| {
        let name = tree.text(zone.join("name"))?;
        let whole = name == "psys" || name.starts_with("package");
        let range = tree.number(zone.join("max_energy_range_uj")).unwrap_or(0);
        let gauge = Gauge::Energy { path: zone.join("energy_uj"), range, before: None };
        whole.then(|| Rail { name: format!("RAPL {name}"), gauge })
    });
    rails.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tree::tests::plant;
    use super::*;

    const HWMON: &str = "sys/class/hwmon";
    const RAPL: &str = "sys/class/powercap";

    fn planted(files: &[(String, &str)]) -> (tempfile::TempDir, Tree) {
        plant(&files.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>())
    }

    /// An INA3221 of three channels, each with its label, mV and mA, and what else the kernel shows of one.
    fn ina3221(
        hwmon: usize,
        channels: [(&'static str, &'static str, &'static str); 3],
    ) -> Vec<(String, &'static str)> {
        let chip = format!("{HWMON}/hwmon{hwmon}");
        let mut files = vec![(format!("{chip}/name"), "ina3221\n")];
        for (n, (label, volts, amperes)) in (1..).zip(channels) {
            files.push((format!("{chip}/in{n}_label"), label));
            files.push((format!("{chip}/in{n}_input"), volts));
            files.push((format!("{chip}/curr{n}_input"), amperes));
            files.push((format!("{chip}/in{}_input", n + 3), "8"));
        }
        files.push((format!("{chip}/in7_label"), "sum of shunt voltages"));
        files.push((format!("{chip}/curr4_input"), "9999"));
        files
    }

    /// Mean of two samples, a second apart.
    fn watts(meter: &mut PowerMeter) -> Option<f64> {
        meter.begin();
        meter.sample(Duration::from_secs(1));
        meter.sample(Duration::from_secs(2));
        meter.mean()
    }

    #[test]
    fn the_rail_of_all_that_comes_in_counts_alone() {
        let orin_nano =
            [("VDD_IN\n", "5000\n", "1400\n"), ("VDD_CPU_GPU_CV", "5000", "400"), ("VDD_SOC", "5000", "300")];
        let (_root, tree) = planted(&ina3221(1, orin_nano));
        let mut meter = PowerMeter::find(&tree).unwrap();
        assert_eq!((watts(&mut meter), meter.description()), (Some(7.0), "ina3221 VDD_IN"));
    }

    #[test]
    fn rails_of_which_none_is_all_are_added_up() {
        let mut files = ina3221(
            1,
            [("VDD_GPU_SOC", "19000", "100"), ("VDD_CPU_CV", "19000", "50"), ("VIN_SYS_5V0", "5000", "600")],
        );
        files.extend(ina3221(2, [("NC", "0", "0"), ("VDDQ_VDD2_1V8AO", "5000", "100"), ("NC", "0", "0")]));
        let (_root, tree) = planted(&files);
        let mut meter = PowerMeter::find(&tree).unwrap();
        let sum = watts(&mut meter).unwrap();
        assert!((sum - (1.9 + 0.95 + 3.0 + 0.5)).abs() < 1e-9, "{sum}");
        assert!(meter.description().starts_with("ina3221 VDD_GPU_SOC + ina3221 VDD_CPU_CV + "));
    }

    #[test]
    fn a_monitor_that_multiplies_itself_is_believed_and_other_chips_are_not_asked() {
        let files = [
            ("hwmon0/name", "amdgpu"),
            ("hwmon0/power1_average", "90000000"),
            ("hwmon1/name", "sfp"),
            ("hwmon1/power1_input", "500"),
            ("hwmon2/name", "ina226"),
            ("hwmon2/power1_input", "4250000"),
            ("hwmon2/in1_input", "12000"),
            ("hwmon2/curr1_input", "1"),
        ]
        .map(|(path, text)| (format!("{HWMON}/{path}"), text));
        let (_root, tree) = planted(&files);
        let mut meter = PowerMeter::find(&tree).unwrap();
        assert_eq!((watts(&mut meter), meter.description()), (Some(4.25), "ina226"));
        let ((), mean) = meter.during(|| ());
        assert_eq!(mean, Some(4.25));
        // It falls silent: nothing is said rather than something wrong.
        fs::write(tree.path(format!("{HWMON}/hwmon2/power1_input")), "").unwrap();
        assert_eq!(watts(&mut meter), None);
    }

    #[test]
    fn energy_is_counted_over_time_and_begins_anew_at_its_end() {
        let files = [
            ("intel-rapl:0/name", "package-0"),
            ("intel-rapl:0/energy_uj", "9000000"),
            ("intel-rapl:0/max_energy_range_uj", "10000000"),
            ("intel-rapl:0:0/name", "core"),
            ("intel-rapl:0:0/energy_uj", "1"),
            ("intel-rapl:1/name", "package-1"),
            ("intel-rapl:1/energy_uj", "0"),
        ]
        .map(|(path, text)| (format!("{RAPL}/{path}"), text));
        let (_root, tree) = planted(&files);
        let mut meter = PowerMeter::find(&tree).unwrap();
        assert_eq!(meter.description(), "RAPL package-0 + RAPL package-1, the processor alone");
        meter.sample(Duration::from_secs(10));
        assert_eq!(meter.mean(), None);
        fs::write(tree.path(format!("{RAPL}/intel-rapl:0/energy_uj")), "3000000").unwrap();
        fs::write(tree.path(format!("{RAPL}/intel-rapl:1/energy_uj")), "6000000").unwrap();
        meter.sample(Duration::from_secs(12));
        assert_eq!(meter.mean(), Some(2.0 + 3.0));
        meter.begin();
        assert_eq!(meter.mean(), None);
    }

    #[test]
    fn the_whole_platform_is_more_than_its_processor() {
        let files = [
            ("intel-rapl:0/name", "package-0"),
            ("intel-rapl:0/energy_uj", "0"),
            ("intel-rapl:1/name", "psys"),
            ("intel-rapl:1/energy_uj", "0"),
        ]
        .map(|(path, text)| (format!("{RAPL}/{path}"), text));
        let (_root, tree) = planted(&files);
        assert_eq!(PowerMeter::find(&tree).unwrap().description(), "RAPL psys");
    }

    #[test]
    fn no_sensor_and_one_that_may_not_be_read_are_told_apart() {
        let (_root, tree) = plant(&[("sys/class/hwmon/hwmon0/name", "nvme")]);
        assert_eq!(PowerMeter::find(&tree).unwrap_err(), NoPower::Absent);
        let (_root, tree) = plant(&[("sys/class/powercap/intel-rapl:0/name", "package-0")]);
        // Unreadable even for root, on whom the kernel's mode 0400 is lost.
        let energy = tree.path("sys/class/powercap/intel-rapl:0/energy_uj");
        fs::create_dir(&energy).unwrap();
        assert_eq!(PowerMeter::find(&tree).unwrap_err(), NoPower::Silent(energy));
    }
}
