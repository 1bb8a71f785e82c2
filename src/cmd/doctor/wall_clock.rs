//! Whether the clock that events are dated by is right.

use std::process::Command;

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

use super::finding::Finding;
use crate::board::Tree;

const CLOCK: &str = "clock";

pub fn finding(tree: &Tree) -> Finding {
    judge(Timestamp::now(), synchronised(tree), tree.exists("sys/class/rtc/rtc0"))
}

/// Whether something keeps the clock right; none if that cannot be found out.
fn synchronised(tree: &Tree) -> Option<bool> {
    if tree.exists("run/systemd/timesync/synchronized") {
        return Some(true);
    }
    if !tree.is_machine() {
        return None;
    }
    // It asks the kernel, and so knows of chrony and others, too.
    let output =
        Command::new("timedatectl").args(["show", "--property=NTPSynchronized", "--value"]).output().ok()?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn judge(now: Timestamp, synchronised: Option<bool>, has_battery_clock: bool) -> Finding {
    const NTP: &str = "let it reach a time server: timedatectl set-ntp true, and UDP port 123 open to the outside, or your \
                       own server in /etc/systemd/timesyncd.conf";
    // Nothing of this program is older.
    let earliest = date(2026, 1, 1).to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    let shown = now.strftime("%Y-%m-%d %H:%M:%S UTC");
    if earliest.is_ok_and(|earliest| now < earliest) {
        return Finding::fail(
            CLOCK,
            format!("{shown}, which is long past: events are dated wrong, and TLS fails"),
            NTP,
        );
    }
    let start = if has_battery_clock {
        ""
    } else {
        "; no clock with a battery: after a power cut wrong until the network is there"
    };
    match synchronised {
        Some(true) => Finding::ok(CLOCK, format!("{shown}, kept right over the network{start}")),
        Some(false) => Finding::warn(CLOCK, format!("{shown}, kept right by nothing{start}"), NTP),
        None => {
            Finding::warn(CLOCK, format!("{shown}; nothing here says whether it is kept right{start}"), NTP)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn a_clock_that_nobody_keeps_is_a_warning_and_one_long_past_a_failure() {
        let at = |text: &str, synchronised| judge(text.parse().unwrap(), synchronised, true).status;
        assert_eq!(at("2027-03-01T12:00:00Z", Some(true)), Status::Ok);
        assert_eq!(at("2027-03-01T12:00:00Z", Some(false)), Status::Warn);
        assert_eq!(at("2027-03-01T12:00:00Z", None), Status::Warn);
        assert_eq!(at("1970-01-01T00:02:00Z", Some(false)), Status::Fail);
        let pi = judge("2027-03-01T12:00:00Z".parse().unwrap(), Some(true), false);
        assert!(pi.status == Status::Ok && pi.found.contains("battery"));
    }
}
