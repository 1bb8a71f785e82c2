//! Whether the machine is held back, and by what: heat, a weak power supply, or a limit on its clocks.
//!
//! Sources: the kernel's thermal, cpufreq and hwmon interfaces; drivers/hwmon/raspberrypi-hwmon.c and the firmware's
//! `get_throttled` (raspberrypi.com, "vcgencmd"); NVIDIA's Jetson Linux Developer Guide, "Over-Current Event Counters".

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Tree, zones};

/// What holds the machine back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlowedBy {
    /// The kernel or the firmware slows the processors down because of the heat.
    Heat,
    /// The supply does not hold its voltage.
    UnderVoltage,
    /// The machine draws more current than its supply or regulator is good for.
    OverCurrent,
    /// A processor may not run as fast as it could before, for none of the reasons above.
    FrequencyLimit,
}

impl SlowedBy {
    /// As `stats` says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heat => "heat",
            Self::UnderVoltage => "under_voltage",
            Self::OverCurrent => "over_current",
            Self::FrequencyLimit => "frequency_limit",
        }
    }
}

/// Watches what holds the machine back, from one look to the next.
#[derive(Debug, Default)]
pub struct Pace {
    /// The highest limit seen of each cpufreq policy, kHz: a power mode that was chosen is no trouble.
    highest: BTreeMap<PathBuf, i64>,
    /// Counters of events since the machine started, as they were.
    counted: BTreeMap<PathBuf, i64>,
}

/// Bits of the Raspberry Pi firmware's `get_throttled`: what is so now. (16 bits higher: what ever was.)
const PI_UNDER_VOLTAGE: i64 = 1;
const PI_FREQUENCY_CAPPED: i64 = 1 << 1;
const PI_THROTTLED: i64 = 1 << 2;
const PI_SOFT_LIMIT: i64 = 1 << 3;

impl Pace {
    /// What holds the machine back now, or has since the last look; in the order of [`SlowedBy`].
    pub fn look(&mut self, tree: &Tree) -> Vec<SlowedBy> {
        let mut found = Vec::new();
        let pi = pi_throttled(tree).unwrap_or(0);
        if zones(tree).iter().any(super::Zone::is_hot)
            || cooling(tree).next().is_some()
            || pi & (PI_THROTTLED | PI_SOFT_LIMIT) != 0
            || self.grew(tree, heat_counters(tree))
        {
            found.push(SlowedBy::Heat);
        }
        let alarm = |folder: &PathBuf| tree.number(folder.join("in0_lcrit_alarm")) == Some(1);
        let (under, over) = over_current_counters(tree);
        if pi & PI_UNDER_VOLTAGE != 0 || sensors(tree, "rpi_volt").iter().any(alarm) || self.grew(tree, under)
        {
            found.push(SlowedBy::UnderVoltage);
        }
        if self.grew(tree, over) {
            found.push(SlowedBy::OverCurrent);
        }
        // Each of the above lowers the limit, too.
        if (self.is_limited(tree) || pi & PI_FREQUENCY_CAPPED != 0) && found.is_empty() {
            found.push(SlowedBy::FrequencyLimit);
        }
        found
    }

    /// What has held the machine back at some time since it was started, as far as it keeps count.
    pub fn since_start(tree: &Tree) -> Vec<SlowedBy> {
        let pi = pi_throttled(tree).unwrap_or(0) >> 16;
        let any = |mut counters: Vec<PathBuf>| {
            counters.retain(|path| tree.number(path).is_some_and(|count| count > 0));
            !counters.is_empty()
        };
        let (under, over) = over_current_counters(tree);
        let causes = [
            (SlowedBy::Heat, pi & (PI_THROTTLED | PI_SOFT_LIMIT) != 0 || any(heat_counters(tree))),
            (SlowedBy::UnderVoltage, pi & PI_UNDER_VOLTAGE != 0 || any(under)),
            (SlowedBy::OverCurrent, any(over)),
        ];
        causes.into_iter().filter_map(|(cause, has)| has.then_some(cause)).collect()
    }

    fn is_limited(&mut self, tree: &Tree) -> bool {
        let mut limited = false;
        for policy in tree.entries("sys/devices/system/cpu/cpufreq", "policy") {
            if let Some(limit) = tree.number(policy.join("scaling_max_freq")) {
                let highest = self.highest.entry(policy).or_insert(limit);
                limited |= limit < *highest;
                *highest = limit.max(*highest);
            }
        }
        limited
    }

    /// Whether one of these counters has grown since the last look.
    fn grew(&mut self, tree: &Tree, counters: Vec<PathBuf>) -> bool {
        let mut grew = false;
        for path in counters {
            if let Some(count) = tree.number(&path) {
                grew |= self.counted.insert(path, count).is_some_and(|before| count > before);
            }
        }
        grew
    }
}

/// The names of what cools by slowing down, and does it now. A fan that turns is not among them.
pub(super) fn cooling(tree: &Tree) -> impl Iterator<Item = String> {
    let devices = tree.entries("sys/class/thermal", "cooling_device");
    devices.into_iter().filter_map(|device| {
        let name = tree.text(device.join("type"))?;
        let slows =
            ["cpufreq", "devfreq", "Processor", "throttle-alert"].iter().any(|part| name.contains(part));
        (slows && tree.number(device.join("cur_state"))? > 0).then_some(name)
    })
}

/// hwmon's folders of sensors with this name.
fn sensors(tree: &Tree, name: &str) -> Vec<PathBuf> {
    let mut folders = tree.entries("sys/class/hwmon", "hwmon");
    folders.retain(|folder| tree.text(folder.join("name")).as_deref() == Some(name));
    folders
}

/// A Raspberry Pi's; only its own kernel shows it.
fn pi_throttled(tree: &Tree) -> Option<i64> {
    let soc = tree.entries("sys/devices/platform", "soc");
    let inside = soc.iter().flat_map(|folder| tree.entries(folder, "")).chain(soc.iter().cloned());
    let firmware = inside.filter(|path| path.to_string_lossy().contains("firmware"));
    let text = firmware.into_iter().find_map(|folder| tree.text(folder.join("get_throttled")))?;
    i64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// A Jetson's: 1 counts falls of the voltage; 2 and 3 too much current, on average and at once.
fn over_current_counters(tree: &Tree) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let folders = sensors(tree, "soctherm_oc");
    let of = |numbers: &[u32]| {
        let file = |n: &u32| format!("oc{n}_event_cnt");
        folders.iter().flat_map(|folder| numbers.iter().map(move |n| folder.join(file(n)))).collect()
    };
    (of(&[1]), of(&[2, 3]))
}

/// An x86 processor's own.
fn heat_counters(tree: &Tree) -> Vec<PathBuf> {
    let cpus = tree.entries("sys/devices/system/cpu", "cpu");
    cpus.iter().map(|cpu| cpu.join("thermal_throttle/core_throttle_count")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tree::tests::plant;
    use super::SlowedBy::{FrequencyLimit, Heat, OverCurrent, UnderVoltage};
    use super::*;

    const POLICY: &str = "sys/devices/system/cpu/cpufreq/policy4";
    const NOTHING: [SlowedBy; 0] = [];

    fn set(tree: &Tree, path: &str, text: &str) {
        fs::write(tree.path(path), text).unwrap();
    }

    #[test]
    fn heat_shows_in_a_zone_and_in_what_cools() {
        let zone = "sys/class/thermal/thermal_zone0";
        let fan = "sys/class/thermal/cooling_device0";
        let cpu = "sys/class/thermal/cooling_device1";
        let (_root, tree) = plant(&[
            (&format!("{zone}/type"), "soc-thermal"),
            (&format!("{zone}/temp"), "60000"),
            (&format!("{zone}/trip_point_0_type"), "passive"),
            (&format!("{zone}/trip_point_0_temp"), "85000"),
            (&format!("{fan}/type"), "pwm-fan"),
            (&format!("{fan}/cur_state"), "3"),
            (&format!("{cpu}/type"), "cpufreq-cpu4"),
            (&format!("{cpu}/cur_state"), "0"),
            (&format!("{POLICY}/scaling_max_freq"), "2400000"),
        ]);
        let mut pace = Pace::default();
        assert_eq!(pace.look(&tree), NOTHING, "a fan may turn");
        set(&tree, &format!("{cpu}/cur_state"), "2");
        set(&tree, &format!("{POLICY}/scaling_max_freq"), "1800000");
        assert_eq!(pace.look(&tree), [Heat], "the limit is the heat's");
        set(&tree, &format!("{cpu}/cur_state"), "0");
        assert_eq!(pace.look(&tree), [FrequencyLimit]);
        set(&tree, &format!("{zone}/temp"), "85000");
        assert_eq!(pace.look(&tree), [Heat]);
    }

    #[test]
    fn a_power_mode_that_was_chosen_is_no_trouble() {
        let limit = format!("{POLICY}/scaling_max_freq");
        let (_root, tree) = plant(&[(&limit, "1200000"), (&format!("{POLICY}/cpuinfo_max_freq"), "2000000")]);
        let mut pace = Pace::default();
        assert_eq!(pace.look(&tree), NOTHING);
        set(&tree, &limit, "1000000");
        assert_eq!(pace.look(&tree), [FrequencyLimit]);
        set(&tree, &limit, "1200000");
        assert_eq!(pace.look(&tree), NOTHING);
    }

    #[test]
    fn a_raspberry_pi_tells_by_its_firmware_or_by_hwmon() {
        for soc in ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"] {
            let throttled = format!("sys/devices/platform/{soc}/get_throttled");
            let (_root, tree) = plant(&[(&throttled, "0")]);
            let mut pace = Pace::default();
            for (bits, expected) in [
                ("0", vec![]),
                ("50000", vec![]), // was, since the firmware was asked last
                ("50005", vec![Heat, UnderVoltage]),
                ("2", vec![FrequencyLimit]),
                ("80008", vec![Heat]),
            ] {
                set(&tree, &throttled, bits);
                assert_eq!(pace.look(&tree), expected, "{bits}");
            }
        }
        let alarm = "sys/class/hwmon/hwmon1/in0_lcrit_alarm";
        let (_root, tree) = plant(&[(alarm, "1"), ("sys/class/hwmon/hwmon1/name", "rpi_volt\n")]);
        assert_eq!(Pace::default().look(&tree), [UnderVoltage]);
        set(&tree, alarm, "0");
        assert_eq!(Pace::default().look(&tree), NOTHING);
    }

    #[test]
    fn counters_count_from_the_first_look() {
        let folder = "sys/class/hwmon/hwmon3";
        let core = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count";
        let [under, over] = [1, 3].map(|n| format!("{folder}/oc{n}_event_cnt"));
        let (_root, tree) =
            plant(&[(&format!("{folder}/name"), "soctherm_oc"), (&under, "4"), (&over, "37"), (core, "7")]);
        let mut pace = Pace::default();
        assert_eq!(pace.look(&tree), NOTHING);
        set(&tree, &over, "39");
        assert_eq!(pace.look(&tree), [OverCurrent]);
        set(&tree, &under, "5");
        set(&tree, core, "8");
        assert_eq!(pace.look(&tree), [Heat, UnderVoltage]);
        assert_eq!(pace.look(&tree), NOTHING);
    }
}
