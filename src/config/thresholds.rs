//! Writing thresholds into a configuration without touching anything else in it.

use toml_edit::{DocumentMut, Item, TableLike, TomlError, Value};

use super::edit::put;

/// Why a threshold cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ThresholdError {
    #[error("the configuration is not TOML: {0}")]
    Syntax(#[from] TomlError),
    #[error("the configuration has no [[action]] with name = {0:?}")]
    NoAction(String),
}

/// `text`, a configuration, with other thresholds for the actions of these names. Comments, order and spacing stay; a
/// threshold that was not there goes to the end of its action.
pub fn with_thresholds<'a>(
    text: &str,
    thresholds: impl IntoIterator<Item = (&'a str, f64)>,
) -> Result<String, ThresholdError> {
    let mut document: DocumentMut = text.parse()?;
    for (name, threshold) in thresholds {
        let action = action(document.get_mut("action"), name);
        let action = action.ok_or_else(|| ThresholdError::NoAction(name.to_owned()))?;
        put(action, "threshold", threshold.into());
    }
    Ok(document.to_string())
}

/// The action called `name`, whether as `[[action]]` or in a list of `{ }`.
fn action<'a>(list: Option<&'a mut Item>, name: &str) -> Option<&'a mut dyn TableLike> {
    let is_it = |table: &dyn TableLike| table.get("name").and_then(Item::as_str) == Some(name);
    match list? {
        Item::ArrayOfTables(tables) => {
            let table = tables.iter_mut().find(|table| is_it(*table))?;
            Some(table)
        }
        Item::Value(Value::Array(tables)) => {
            let mut tables = tables.iter_mut().filter_map(Value::as_inline_table_mut);
            let table = tables.find(|table| is_it(*table))?;
            Some(table)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const EXAMPLE: &str = include_str!("../../board/watchword.toml");

    /// Lines of `after` that are not in `before`, and the other way round.
    fn difference<'a>(before: &'a str, after: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
        let lines = |text: &'a str, other: &str| {
            text.lines().filter(|line| !other.lines().any(|l| l == *line)).collect()
        };
        (lines(before, after), lines(after, before))
    }

    #[test]
    fn only_the_thresholds_change() {
        let after = with_thresholds(EXAMPLE, [("climbing_fence", 0.725), ("fighting", 0.91)]).unwrap();
        assert_eq!(
            difference(EXAMPLE, &after),
            (vec!["threshold = 0.6"], vec!["threshold = 0.725", "threshold = 0.91"])
        );
        assert_eq!(after.lines().count(), EXAMPLE.lines().count() + 1);
        let (mut before, after) = (Config::parse(EXAMPLE).unwrap(), Config::parse(&after).unwrap());
        before.actions[0].threshold = 0.725;
        before.actions[1].threshold = 0.91;
        assert_eq!(before, after);
    }

    #[test]
    fn comments_behind_and_lists_of_braces_are_kept() {
        let text = "[[action]] # first\nname = 'a'\nthreshold   = 0.5 # why\n\n# last\n";
        assert_eq!(with_thresholds(text, [("a", 1.0)]).unwrap(), text.replace("0.5", "1.0"));
        let text = "action = [\n  { name = 'a', threshold = 0.5 }, # one\n  { name = 'b' },\n]\n";
        let after = with_thresholds(text, [("a", 0.25), ("b", 0.75)]).unwrap();
        assert_eq!(
            after,
            "action = [\n  { name = 'a', threshold = 0.25 }, # one\n  { name = 'b', threshold = 0.75 },\n]\n"
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = with_thresholds("[[action]]\nname = 'a'\n", [("b", 0.5)]).unwrap_err();
        assert_eq!(error.to_string(), "the configuration has no [[action]] with name = \"b\"");
        assert!(
            with_thresholds("", [("b", 0.5)]).is_err()
                && with_thresholds("action = 3", [("b", 0.5)]).is_err()
        );
        assert!(matches!(with_thresholds("=", []), Err(ThresholdError::Syntax(_))));
    }
}
