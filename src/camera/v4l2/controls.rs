//! Controls by name: from what the configuration says to values that a driver takes, in an order in which it takes them.
//!
//! Names are the driver's as `v4l2-ctl` writes them: lower case, with one `_` for whatever is neither letter nor digit.

use std::collections::BTreeMap;

use super::driver::{Control, ControlKind, Driver};
use crate::config::ControlValue;

/// A driver's name for a control as `v4l2-ctl` has it: `Exposure Time, Absolute` is `exposure_time_absolute`.
pub fn normalised(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            words.push(c.to_ascii_lowercase());
        } else if !words.is_empty() && !words.ends_with('_') {
            words.push('_');
        }
    }
    words.truncate(words.trim_end_matches('_').len());
    words
}

/// What a control can be set to, in words.
pub fn range(control: &Control) -> String {
    match control.kind {
        ControlKind::Boolean => "true or false".into(),
        ControlKind::Button => "anything, which presses it".into(),
        ControlKind::Bitmask => format!("a bit mask within {:#x}", control.maximum as u32),
        ControlKind::Menu | ControlKind::IntegerMenu => {
            let items: Vec<String> =
                control.items.iter().map(|(value, text)| format!("{text:?} ({value})")).collect();
            items.join(", ")
        }
        ControlKind::Integer | ControlKind::Integer64 => {
            let step =
                if control.step > 1 { format!(" in steps of {}", control.step) } else { String::new() };
            format!("{} to {}{step}", control.minimum, control.maximum)
        }
    }
}

/// The number that `value` stands for, or why the control cannot have it.
fn number(control: &Control, value: &ControlValue) -> Result<i64, String> {
    let refused = || Err(format!("{value} is out of range; give {}", range(control)));
    if control.read_only {
        return Err("it can only be read; leave it out".into());
    }
    match (control.kind, value) {
        (ControlKind::Button, _) => Ok(1),
        (ControlKind::Boolean, ControlValue::Flag(flag)) => Ok((*flag).into()),
        (ControlKind::Boolean, ControlValue::Number(number @ (0 | 1))) => Ok(*number),
        (ControlKind::Menu | ControlKind::IntegerMenu, ControlValue::Item(wanted)) => {
            let same = |text: &str| text.trim().eq_ignore_ascii_case(wanted.trim());
            control.items.iter().find(|(_, text)| same(text)).map_or_else(refused, |(value, _)| Ok(*value))
        }
        (ControlKind::Menu, ControlValue::Number(number)) => {
            if control.items.iter().any(|(value, _)| value == number) { Ok(*number) } else { refused() }
        }
        (ControlKind::IntegerMenu, ControlValue::Number(number)) => {
            // The number that the item shows; its place in the menu says little to anybody.
            let shown = number.to_string();
            control
                .items
                .iter()
                .find(|(_, text)| *text == shown)
                .map_or_else(refused, |(value, _)| Ok(*value))
        }
        (ControlKind::Bitmask, ControlValue::Number(number)) => match u32::try_from(*number) {
            Ok(bits) if bits & !(control.maximum as u32) == 0 => Ok(bits.into()),
            _ => refused(),
        },
        (ControlKind::Integer | ControlKind::Integer64, ControlValue::Number(number)) => {
            let offset = number.wrapping_sub(control.minimum) as u64;
            let fits = (control.minimum..=control.maximum).contains(number)
                && offset.is_multiple_of(control.step.max(1));
            if fits { Ok(*number) } else { refused() }
        }
        _ => refused(),
    }
}

/// What to say of a name that no control has.
fn unknown(name: &str, plain: &str, known: &[Control]) -> String {
    let all: Vec<String> = known.iter().map(|control| normalised(&control.name)).collect();
    let near = all.iter().map(|other| (strsim::damerau_levenshtein(plain, other), other)).min();
    let meant = match near {
        Some((distance, other)) if distance <= 1 + other.len() / 4 => format!("; did you mean `{other}`?"),
        _ => ".".into(),
    };
    let all = if all.is_empty() { "no controls".into() } else { all.join(", ") };
    format!("`{name}` is no control of this device{meant} It has {all}")
}

/// Sets a device's controls; returns what could not be set, each with its remedy.
///
/// Switches and menus are set first, for those are what puts exposure, white balance or focus into our hands ("auto"
/// off); the numbers they govern are refused before that.
pub fn apply(driver: &mut dyn Driver, wanted: &BTreeMap<String, ControlValue>) -> Vec<String> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let known = driver.controls();
    let mut failures = Vec::new();
    let mut settings: Vec<(&String, &Control, i64)> = Vec::new();
    for (name, value) in wanted {
        let plain = normalised(name);
        let Some(control) = known.iter().find(|control| normalised(&control.name) == plain) else {
            failures.push(unknown(name, &plain, &known));
            continue;
        };
        match number(control, value) {
            Ok(number) => settings.push((name, control, number)),
            Err(reason) => failures.push(format!("`{name}`: {reason}")),
        }
    }
    let governs = |kind| !matches!(kind, ControlKind::Boolean | ControlKind::Menu | ControlKind::IntegerMenu);
    settings.sort_by_key(|(_, control, _)| governs(control.kind));
    let results: Vec<_> = settings
        .into_iter()
        .map(|(name, control, number)| (name, control.id, driver.set_control(control, number)))
        .collect();
    let now = driver.controls();
    for (name, id, result) in results {
        let inactive = now.iter().any(|control| control.id == id && control.inactive);
        let said = match result {
            Ok(()) if inactive => "it has no effect now".into(),
            Ok(()) => continue,
            Err(error) => error.to_string(),
        };
        let remedy = if inactive {
            "something automatic is in charge of it; switch that off among the controls"
        } else {
            "the driver refuses it; is it for another format or mode?"
        };
        failures.push(format!("`{name}`: {said}; {remedy}"));
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, control};
    use super::*;

    fn wanted(values: &[(&str, ControlValue)]) -> BTreeMap<String, ControlValue> {
        values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn item(text: &str) -> ControlValue {
        ControlValue::Item(text.into())
    }

    #[test]
    fn names_are_those_of_v4l2_ctl() {
        for (name, plain) in [
            ("Exposure Time, Absolute", "exposure_time_absolute"),
            ("White Balance, Auto & Preset", "white_balance_auto_preset"),
            ("Gain", "gain"),
            ("(Odd) ", "odd"),
            ("", ""),
        ] {
            assert_eq!(normalised(name), plain);
            assert_eq!(normalised(plain), plain);
        }
    }

    #[test]
    fn automatic_modes_are_set_before_what_they_govern() {
        let controls = vec![
            control(1, "Absolute Exposure", ControlKind::Integer, 1, 1000),
            Control {
                items: vec![(1, "Manual Mode".into()), (3, "Aperture Priority Mode".into())],
                ..control(2, "Exposure, Auto", ControlKind::Menu, 0, 3)
            },
            control(3, "Horizontal Flip", ControlKind::Boolean, 0, 1),
            Control {
                items: vec![(0, "1000".into()), (1, "50".into())],
                ..control(4, "Bitrate", ControlKind::IntegerMenu, 0, 1)
            },
            control(5, "Bits", ControlKind::Bitmask, 0, 0xff),
            control(6, "Reset", ControlKind::Button, 0, 0),
        ];
        let mut fake = Fake { controls, ..Fake::default() };
        let values = wanted(&[
            ("absolute_exposure", ControlValue::Number(100)),
            ("exposure_auto", item("manual mode")),
            ("Horizontal Flip", ControlValue::Flag(true)),
            ("bitrate", ControlValue::Number(50)),
            ("bits", ControlValue::Number(0x81)),
            ("reset", ControlValue::Flag(true)),
        ]);
        assert_eq!(apply(&mut fake, &values), [""; 0]);
        let mut set = fake.set.clone();
        let last: Vec<u32> = set[3..].iter().map(|(id, _)| *id).collect();
        assert!(last.contains(&1), "{set:?}");
        set.sort_unstable();
        assert_eq!(set, [(1, 100), (2, 1), (3, 1), (4, 1), (5, 0x81), (6, 1)]);
    }

    #[test]
    fn what_cannot_be_set_is_named_and_the_rest_is_set() {
        let controls = vec![
            Control { step: 5, ..control(1, "Gain", ControlKind::Integer, -10, 100) },
            Control {
                items: vec![(0, "Disabled".into()), (1, "50 Hz".into())],
                ..control(2, "Power Line Frequency", ControlKind::Menu, 0, 2)
            },
            Control { read_only: true, ..control(3, "Temperature", ControlKind::Integer, 0, 100) },
            Control { inactive: true, ..control(4, "Focus", ControlKind::Integer, 0, 100) },
            control(5, "Flip", ControlKind::Boolean, 0, 1),
        ];
        let mut fake = Fake { controls, ..Fake::default() };
        let values = wanted(&[
            ("flip", ControlValue::Number(1)),
            ("focus", ControlValue::Number(3)),
            ("gain", ControlValue::Number(101)),
            ("power_line_frequency", item("60 Hz")),
            ("temperature", ControlValue::Number(20)),
            ("zoom", ControlValue::Number(1)),
            ("gian", ControlValue::Number(0)),
        ]);
        let failures = apply(&mut fake, &values);
        assert_eq!(fake.set, [(5, 1), (4, 3)]);
        for (failure, words) in failures.iter().zip([
            &["`gain`", "101 is out of range", "-10 to 100 in steps of 5"][..],
            &["`gian`", "did you mean `gain`? It has gain, power"],
            &["`power_line_frequency`", "\"Disabled\" (0), \"50 Hz\" (1)"],
            &["`temperature`", "only be read"],
            &["`zoom` is no control", "gain, power_line_frequency, temperature, focus, flip"],
            &["`focus`", "no effect", "switch that off"],
        ]) {
            assert!(words.iter().all(|word| failure.contains(word)), "{failure}");
        }
        assert_eq!(failures.len(), 6, "{failures:?}");
        // A number between two steps, and values of another kind.
        for value in [ControlValue::Number(-9), ControlValue::Flag(true), item("much")] {
            assert_eq!(apply(&mut fake, &wanted(&[("gain", value)])).len(), 1);
        }
        assert_eq!(apply(&mut fake, &wanted(&[("gain", ControlValue::Number(-5))])), [""; 0]);
    }
}
