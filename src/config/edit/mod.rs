//! Writing words, zones and masks into a configuration without touching anything else in it.
//!
//! Comments, order and spacing stay, also of what is changed. What goes takes with it the comment that stands directly
//! above it, unless it is the first of its list: what stands there is mostly about all of them. What is new goes to the
//! end of its list.

mod list;
mod place;
#[cfg(test)]
mod tests;

use toml_edit::{Array, DocumentMut, Item, TableLike, TomlError, Value};

use super::{Action, Config, Mask, Span, Zone};

/// Why a text cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("the configuration is not TOML: {0}")]
    Syntax(#[from] TomlError),
    #[error("the configuration cannot be read: {0}")]
    Unreadable(#[from] toml::de::Error),
    #[error("the configuration has no [[camera]] with name = {0:?}")]
    NoCamera(String),
    #[error("`{0}` is no list of tables; write [[{0}]]")]
    NoList(&'static str),
}

/// An action as it is to be. What is not named here stays as it is, and at its default where the action is new.
#[derive(Debug, Clone, PartialEq)]
pub struct EditedAction {
    pub name: String,
    /// What it was called before, if it is to be called otherwise now.
    pub was: Option<String>,
    pub phrases: Vec<String>,
    /// Above 0, at most 1; `None`: as it is.
    pub threshold: Option<f32>,
    /// `None`: as it is.
    pub minimum_duration: Option<Span>,
}

impl EditedAction {
    /// Which of `known` each of `edited` is: the one of its former name; else one that is gone and says the same, so that
    /// a new name alone makes no new action of it.
    pub fn matches(known: &[Action], edited: &[Self]) -> Vec<Option<usize>> {
        list::matches(
            known,
            edited,
            &[
                &|known, edited| known.name == *edited.was.as_ref().unwrap_or(&edited.name),
                &|known, edited| edited.was.is_none() && known.phrases == edited.phrases,
            ],
        )
    }

    /// The action, as far as it is not said here from `known`.
    #[must_use]
    pub fn over(&self, known: Option<&Action>) -> Action {
        let known = known.cloned().unwrap_or_default();
        Action {
            name: self.name.clone(),
            phrases: self.phrases.clone(),
            threshold: self.threshold.unwrap_or(known.threshold),
            minimum_duration: self.minimum_duration.unwrap_or(known.minimum_duration),
            ..known
        }
    }
}

/// `text`, a configuration, with these actions and no others, and this background. Those that were there keep their order.
pub fn with_words(text: &str, actions: &[EditedAction], background: &[String]) -> Result<String, EditError> {
    let (mut document, before) = read(text)?;
    let kept = EditedAction::matches(&before.actions, actions);
    each(&mut document, None, "action", &before.actions, actions, &kept, |table, known, edited| {
        if known.is_none_or(|known| known.name != edited.name) {
            put(table, "name", edited.name.as_str().into());
        }
        if known.is_none_or(|known| known.phrases != edited.phrases) {
            put_list(table, "phrases", &edited.phrases);
        }
        if let Some(threshold) = edited.threshold
            && known.is_none_or(|known| known.threshold != threshold)
        {
            put(table, "threshold", number(threshold));
        }
        if let Some(duration) = edited.minimum_duration
            && known.is_none_or(|known| known.minimum_duration != duration)
        {
            put(table, "minimum_duration", duration.to_string().into());
        }
    })?;
    if before.vocabulary.background != background {
        let section = document.entry("vocabulary").or_insert_with(toml_edit::table);
        let section = section.as_table_like_mut().ok_or(EditError::NoList("vocabulary"))?;
        put_list(section, "background", background);
    }
    Ok(document.to_string())
}

/// `text`, a configuration, with these zones and masks of `camera` and no others. A mask that is not there any more and
/// one that is new are one that was redrawn, as far as there are both.
pub fn with_regions(text: &str, camera: &str, zones: &[Zone], masks: &[Mask]) -> Result<String, EditError> {
    let (mut document, before) = read(text)?;
    let unknown = || EditError::NoCamera(camera.to_owned());
    let index = before.cameras.iter().position(|known| known.name == camera).ok_or_else(unknown)?;
    let known = before.cameras.get(index).ok_or_else(unknown)?;

    let kept = list::matches(
        &known.zones,
        zones,
        &[&|known, zone| known.name == zone.name, &|known, zone| known.polygon == zone.polygon],
    );
    each(&mut document, Some(index), "zone", &known.zones, zones, &kept, |table, known, zone| {
        if known.is_none_or(|known| known.name != zone.name) {
            put(table, "name", zone.name.as_str().into());
        }
        if known.is_none_or(|known| known.polygon != zone.polygon) {
            put(table, "polygon", polygon(&zone.polygon));
        }
    })?;

    let kept =
        list::matches(&known.masks, masks, &[&|known, mask| known.polygon == mask.polygon, &|_, _| true]);
    each(&mut document, Some(index), "mask", &known.masks, masks, &kept, |table, known, mask| {
        if known.is_none() && !mask.name.is_empty() {
            put(table, "name", mask.name.as_str().into());
        }
        if known.is_none_or(|known| known.polygon != mask.polygon) {
            put(table, "polygon", polygon(&mask.polygon));
        }
    })?;
    Ok(document.to_string())
}

/// Makes the list `key` hold a table for each of `wanted`, which `change` brings from what it was, if it is `kept`, to what
/// is wanted.
fn each<K, W>(
    document: &mut DocumentMut,
    camera: Option<usize>,
    key: &'static str,
    known: &[K],
    wanted: &[W],
    kept: &[Option<usize>],
    change: impl Fn(&mut dyn TableLike, Option<&K>, &W),
) -> Result<(), EditError> {
    let places = place::arrange(document, camera, key, known.len(), kept)?;
    for ((wanted, kept), place) in wanted.iter().zip(kept).zip(places) {
        if let Some(table) = place::element(document, camera, key, place) {
            change(table, kept.and_then(|index| known.get(index)), wanted);
        }
    }
    Ok(())
}

/// The text as it can be changed, and what it says.
fn read(text: &str) -> Result<(DocumentMut, Config), EditError> {
    let mut document: DocumentMut = text.parse()?;
    place::spread(&mut document);
    Ok((document, toml::from_str(text)?))
}

/// Sets `key`; a comment behind it stays. One that was not there goes to the end.
pub(super) fn put(table: &mut dyn TableLike, key: &str, mut value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(before) => {
            let decor = before.decor().clone(); // the comment behind it
            *before = value;
            *before.decor_mut() = decor;
        }
        None => {
            // The space before the brace of `{ name = "a" }`.
            if let Some((_, last)) = table.iter_mut().last()
                && let Some(last) = last.as_value_mut()
                && let Some(space) = last.decor().suffix().and_then(|suffix| suffix.as_str())
                && space.trim().is_empty()
            {
                value.decor_mut().set_suffix(space.to_owned());
                last.decor_mut().set_suffix("");
            }
            table.insert(key, Item::Value(value));
        }
    }
}

fn put_list(table: &mut dyn TableLike, key: &str, wanted: &[String]) {
    match table.get_mut(key).and_then(Item::as_array_mut) {
        Some(array) => list::set(array, wanted),
        None => put(table, key, Value::Array(wanted.iter().map(String::as_str).collect())),
    }
}

fn polygon(points: &[[f32; 2]]) -> Value {
    Value::Array(points.iter().map(|point| point.iter().copied().map(number).collect::<Array>()).collect())
}

/// With as few digits as tell it from its neighbours.
fn number(value: f32) -> Value {
    value.to_string().parse::<f64>().unwrap_or_else(|_| f64::from(value)).into()
}
