//! Lists of texts, and which of what is wanted is which of what is there.

use toml_edit::{Array, Value};

/// Whether what is wanted is what is there.
pub(super) type Rule<'a, K, W> = &'a dyn Fn(&K, &W) -> bool;

/// For each of `wanted` which of `known` it is, each at most once. An earlier rule goes before a later one.
pub(super) fn matches<K, W>(known: &[K], wanted: &[W], rules: &[Rule<'_, K, W>]) -> Vec<Option<usize>> {
    let mut matched: Vec<Option<usize>> = vec![None; wanted.len()];
    for rule in rules {
        for (index, wanted) in wanted.iter().enumerate() {
            let is_free = |i: usize| !matched.contains(&Some(i));
            let found = known.iter().enumerate().find(|(i, known)| is_free(*i) && rule(known, wanted));
            let found = found.map(|(i, _)| i);
            if let Some(place) = matched.get_mut(index).filter(|place| place.is_none()) {
                *place = found;
            }
        }
    }
    matched
}

/// Makes `array` hold these texts. Those that stay keep the comments around them; what comes is laid out like the rest.
pub(super) fn set(array: &mut Array, wanted: &[String]) {
    for index in (0..array.len()).rev() {
        if !array.get(index).and_then(Value::as_str).is_some_and(|text| wanted.iter().any(|w| w == text)) {
            remove(array, index);
        }
    }
    for (index, wanted) in wanted.iter().enumerate() {
        let at = array.iter().skip(index).position(|value| value.as_str() == Some(wanted));
        match at {
            Some(0) => {}
            Some(distance) => {
                let value = array.remove(index + distance);
                array.insert_formatted(index, value);
            }
            None => insert(array, index, wanted.as_str().into()),
        }
    }
    while array.len() > wanted.len() {
        remove(array, array.len() - 1);
    }
    if !is_tall(array) {
        array.fmt();
    }
}

/// Whether its elements stand on lines of their own.
fn is_tall(array: &Array) -> bool {
    let breaks = |text: Option<&str>| text.is_some_and(|text| text.contains('\n'));
    breaks(array.trailing().as_str())
        || array.iter().any(|value| breaks(value.decor().prefix().and_then(|prefix| prefix.as_str())))
}

/// Takes an element out. A comment before it is about the one before, and stays.
pub(super) fn remove(array: &mut Array, index: usize) {
    let gone = array.remove(index);
    let before = gone.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    let Some((comment, _)) = before.rsplit_once('\n').filter(|(comment, _)| comment.contains('#')) else {
        return;
    };
    match array.get_mut(index) {
        Some(next) => {
            let prefix = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
            let prefix = format!("{comment}{prefix}");
            next.decor_mut().set_prefix(prefix);
        }
        None => {
            let trailing = format!("{comment}{}", array.trailing().as_str().unwrap_or_default());
            array.set_trailing(trailing);
        }
    }
}

/// Puts an element in, on a line of its own if the others have one.
pub(super) fn insert(array: &mut Array, index: usize, mut value: Value) {
    let sample = array.iter().find_map(|value| value.decor().prefix()?.as_str()?.rsplit_once('\n'));
    let indent = sample.map(|(_, indent)| indent.to_owned());
    let tall = is_tall(array);
    let end = index >= array.len();
    if tall {
        let line = format!("\n{}", indent.as_deref().unwrap_or("  "));
        // Behind the last one's comma there may be a comment about it.
        let trailing = array.trailing().as_str().unwrap_or_default().to_owned();
        match trailing.rsplit_once('\n').filter(|(comment, _)| end && comment.contains('#')) {
            Some((comment, rest)) => {
                value.decor_mut().set_prefix(format!("{comment}{line}"));
                array.set_trailing(format!("\n{rest}"));
            }
            None => value.decor_mut().set_prefix(line),
        }
        if end && let Some(last) = array.iter_mut().last() {
            last.decor_mut().set_suffix("");
        }
    }
    array.insert_formatted(index, value);
}
