//! Hours of the week as an operator writes them: `"mon-fri 08:00-18:00"`, `"sat,sun 22:00-06:00"`, `"07:30-24:00"`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// From a time of day to another, on certain days of the week. If the end is not later, it is on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Monday first.
    days: [bool; 7],
    /// Minutes since midnight, below a day's.
    start: u16,
    /// Minutes since midnight, at most a day's.
    end: u16,
}

/// Minutes.
const DAY: u16 = 24 * 60;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Why a text says no hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    #[error(
        "no hours of the week; write some such as \"mon-fri 08:00-18:00\", \"sat,sun 22:00-06:00\" or \"07:30-24:00\""
    )]
    Form,
    #[error(
        "{0:?} is no day; write mon, tue, wed, thu, fri, sat or sun, a range mon-fri, or several: mon,wed"
    )]
    Day(String),
    #[error(
        "{0:?} is no time of day; write hours and minutes such as 08:00, or 24:00 for the end of the day"
    )]
    Time(String),
    #[error("begins when it ends; write 00:00-24:00 for the whole day")]
    Empty,
}

impl Hours {
    /// Whether they begin on such a day.
    pub fn begin_on(&self, day: Weekday) -> bool {
        // A day's offset from Monday is below 7.
        self.days.get(day.to_monday_zero_offset() as usize).copied().unwrap_or_default()
    }

    /// Minutes since the midnight at which their day begins.
    pub fn start(&self) -> u16 {
        self.start
    }

    /// Minutes since the midnight at which their day begins; more than a day's, if they end on the next one.
    pub fn end(&self) -> u16 {
        if self.end > self.start { self.end } else { self.end + DAY }
    }
}

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let text = text.trim().to_ascii_lowercase();
        let (days, times) = match text.split_once(char::is_whitespace) {
            Some((days, times)) => (self::days(days)?, times.trim_start()),
            None => ([true; 7], text.as_str()),
        };
        let (start, end) = times.split_once('-').ok_or(HoursError::Form)?;
        let (start_at, end) = (time(start.trim())?, time(end.trim())?);
        if start_at == DAY {
            return Err(HoursError::Time(start.trim().to_owned()));
        }
        if start_at == end {
            return Err(HoursError::Empty);
        }
        Ok(Self { days, start: start_at, end })
    }
}

fn days(text: &str) -> Result<[bool; 7], HoursError> {
    let day =
        |name: &str| DAYS.iter().position(|day| *day == name).ok_or_else(|| HoursError::Day(name.to_owned()));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // A range may go over the week's end: fri-mon.
        let length = (last + 7 - first) % 7;
        days.iter_mut()
            .enumerate()
            .filter(|(i, _)| (i + 7 - first) % 7 <= length)
            .for_each(|(_, day)| *day = true);
    }
    Ok(days)
}

fn time(text: &str) -> Result<u16, HoursError> {
    let digits = |part: &str, most: usize| {
        let fits = (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| fits)
    };
    let minutes = || {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2).filter(|_| minutes.len() == 2)?);
        let time = hours * 60 + minutes;
        (minutes < 60 && time <= DAY).then_some(time)
    };
    minutes().ok_or_else(|| HoursError::Time(text.to_owned()))
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != [true; 7] {
            let days = DAYS.iter().zip(self.days).filter(|(_, is_one)| *is_one).map(|(day, _)| *day);
            write!(f, "{} ", days.collect::<Vec<_>>().join(","))?;
        }
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{}-{}", time(self.start), time(self.end))
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("{text:?}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Hours>().map_or_else(|error| error.to_string(), |hours| hours.to_string())
    }

    #[test]
    fn hours_are_read_as_they_are_written() {
        assert_eq!(shown("mon-fri 08:00-18:00"), "mon,tue,wed,thu,fri 08:00-18:00");
        assert_eq!(shown(" FRI-Mon  8:05 - 24:00 "), "mon,fri,sat,sun 08:05-24:00");
        assert_eq!(shown("wed 22:00-06:00"), "wed 22:00-06:00");
        assert_eq!(shown("00:00-24:00"), "00:00-24:00");
        assert_eq!(shown("mon-sun 23:00-00:00"), "23:00-00:00");
        let overnight: Hours = "sat 22:00-06:00".parse().unwrap();
        assert_eq!((overnight.start(), overnight.end()), (22 * 60, 30 * 60));
    }

    #[test]
    fn what_says_no_hours_is_told_apart() {
        for (text, part) in [
            ("", "no hours"),
            ("mon", "no hours"),
            ("mon-fri", "is no time of day"),
            ("mon,wee 08:00-18:00", "\"wee\" is no day"),
            ("08:00 18:00", "\"08:00\" is no day"),
            ("25:00-26:00", "\"25:00\" is no time"),
            ("08:60-09:00", "\"08:60\" is no time"),
            ("8-18", "\"8\" is no time"),
            ("24:00-06:00", "\"24:00\" is no time"),
            ("24:01-06:00", "\"24:01\" is no time"),
            ("08:00-08:00", "begins when it ends"),
        ] {
            assert!(shown(text).contains(part), "{text:?}: {}", shown(text));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(days in any::<[bool; 7]>(), start in 0..DAY, end in 0..=DAY) {
            prop_assume!(days != [false; 7] && start != end);
            let hours = Hours { days, start, end };
            prop_assert_eq!(hours.to_string().parse(), Ok(hours));
        }

        #[test]
        fn no_text_is_too_much(text in "\\PC{0,30}", close in "[a-z0-9:, -]{0,24}") {
            _ = text.parse::<Hours>();
            _ = close.parse::<Hours>();
        }
    }
}
