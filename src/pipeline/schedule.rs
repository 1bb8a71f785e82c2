//! When a camera is to be watched, by the clock on the wall.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::config::{Camera, Hours, Node};

/// Hours of the week in a time zone. Without any hours: always.
///
/// Hours begin and end at instants: if the clocks are put back between the two, they last an hour longer, and do not end
/// twice. A time that the clocks leap over stands for as much later. Whether they go on is a question about one instant,
/// whatever was before: a clock that jumps is followed at once.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    hours: Vec<Hours>,
    /// `None`: the system's, as it is when it is asked.
    zone: Option<TimeZone>,
}

impl Schedule {
    /// A camera's, in the node's time zone.
    pub fn of(camera: &Camera, node: &Node) -> Self {
        // The configuration has been validated: the zone is there. If it vanished since, the system's is nearest.
        let zone = node.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        Self { hours: camera.schedule.clone(), zone }
    }

    /// Whether the camera is to be watched at `now`.
    pub fn covers(&self, now: Timestamp) -> bool {
        if self.hours.is_empty() {
            return true;
        }
        let zone = self.zone.clone().unwrap_or_else(TimeZone::system);
        let today = now.to_zoned(zone.clone()).date();
        // What goes on now began today or the day before.
        [Some(today), today.yesterday().ok()].into_iter().flatten().any(|date| {
            self.hours.iter().filter(|hours| hours.begin_on(date.weekday())).any(|hours| {
                let at = |minutes| instant(&zone, date, minutes);
                at(hours.start()).is_some_and(|start| start <= now)
                    && at(hours.end()).is_some_and(|end| now < end)
            })
        })
    }
}

/// So many minutes by the wall clock after the midnight at which `date` begins. `None` beyond the calendar's end.
fn instant(zone: &TimeZone, date: Date, minutes: u16) -> Option<Timestamp> {
    let time: DateTime = date.at(0, 0, 0, 0).checked_add(i64::from(minutes).minutes()).ok()?;
    zone.to_ambiguous_timestamp(time).compatible().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(zone: &str, hours: &[&str]) -> Schedule {
        let hours = hours.iter().map(|text| text.parse().unwrap()).collect();
        Schedule { hours, zone: Some(TimeZone::get(zone).unwrap()) }
    }

    /// Whether each minute of a week (Monday first) is one to watch, by walking through it.
    fn walked(hours: &[Hours]) -> Vec<bool> {
        let mut week = vec![hours.is_empty(); 7 * 24 * 60];
        for hours in hours {
            let mut day = jiff::civil::Weekday::Monday;
            for monday_offset in 0..7usize {
                if hours.begin_on(day) {
                    for minute in hours.start()..hours.end() {
                        let at = (monday_offset * 24 * 60 + usize::from(minute)) % week.len();
                        week[at] = true;
                    }
                }
                day = day.next();
            }
        }
        week
    }

    fn hours() -> impl Strategy<Value = Hours> {
        let days = prop::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1..=7);
        (days, 0u16..24 * 60, 1u16..24 * 60).prop_map(|(days, start, length)| {
            let end = (start + length) % (24 * 60);
            let time = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
            format!("{} {}-{}", days.join(","), time(start), time(end)).parse().unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Away from the nights in which the clocks are changed, the wall clock says it all.
        #[test]
        fn a_week_is_as_walked_minute_by_minute(
            hours in prop::collection::vec(hours(), 0..4),
            zone in prop::sample::select(&["UTC", "Asia/Kathmandu", "Europe/Berlin", "America/St_Johns"][..]),
            // Two weeks of June, begun anywhere.
            minutes in prop::collection::vec(0i64..14 * 24 * 60, 400), second in 0i64..60,
        ) {
            let week = walked(&hours);
            let zone = TimeZone::get(zone).unwrap();
            let schedule = Schedule { hours, zone: Some(zone.clone()) };
            let june: Timestamp = "2026-06-03T00:00:00Z".parse().unwrap();
            for minute in minutes {
                let now = june + minute.minutes() + second.seconds();
                let wall = now.to_zoned(zone.clone());
                let day = wall.weekday().to_monday_zero_offset() as usize;
                let at = day * 24 * 60 + wall.hour() as usize * 60 + wall.minute() as usize;
                prop_assert_eq!(schedule.covers(now), week[at], "{}", wall);
            }
        }
    }

    /// The stretches in which it is open between two instants, by asking each minute.
    fn stretches(schedule: &Schedule, from: &str, to: &str) -> Vec<(String, String)> {
        let (from, to): (Timestamp, Timestamp) = (from.parse().unwrap(), to.parse().unwrap());
        let mut stretches = Vec::new();
        let mut open = None;
        let mut now = from;
        while now <= to {
            match (schedule.covers(now) && now < to, open) {
                (true, None) => open = Some(now),
                (false, Some(start)) => {
                    stretches.push((start.to_string(), now.to_string()));
                    open = None;
                }
                _ => {}
            }
            now += 1.minute();
        }
        stretches
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn a_night_in_which_the_clocks_are_changed_is_one_night() {
        let night = schedule("Europe/Berlin", &["sat 22:00-06:00"]);
        // 2026-03-29: 02:00 becomes 03:00. Seven hours.
        assert_eq!(
            stretches(&night, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
            pairs(&[("2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z")])
        );
        // 2026-10-25: 03:00 becomes 02:00. Nine hours, and not two pieces.
        assert_eq!(
            stretches(&night, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
            pairs(&[("2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z")])
        );
        // Half past two comes twice; the hours begin with the first and end once.
        let twice = schedule("Europe/Berlin", &["02:30-03:30"]);
        assert_eq!(
            stretches(&twice, "2026-10-24T22:00:00Z", "2026-10-25T12:00:00Z"),
            pairs(&[("2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z")])
        );
        // It does not come at all; an hour later it does.
        let never = schedule("Europe/Berlin", &["02:15-02:45"]);
        assert_eq!(
            stretches(&never, "2026-03-28T23:00:00Z", "2026-03-29T12:00:00Z"),
            pairs(&[("2026-03-29T01:15:00Z", "2026-03-29T01:45:00Z")])
        );
    }

    #[test]
    fn days_join_at_midnight_also_where_the_clocks_change_then() {
        // Cairo, 2026-04-24: 00:00 becomes 01:00.
        for zone in ["Africa/Cairo", "Europe/Berlin"] {
            let whole = schedule(zone, &["00:00-24:00"]);
            let (from, to) = ("2026-04-20T10:00:00Z", "2026-04-28T10:00:00Z");
            assert_eq!(stretches(&whole, from, to), pairs(&[(from, to)]), "{zone}");
        }
    }

    #[test]
    fn without_hours_it_is_always_time() {
        assert!(Schedule::default().covers(Timestamp::MIN) && Schedule::default().covers(Timestamp::MAX));
        let some = schedule("Europe/Berlin", &["08:00-09:00"]);
        assert!(!some.covers(Timestamp::MIN) && !some.covers(Timestamp::MAX), "the calendar's ends");
    }
}
