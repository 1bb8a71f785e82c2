//! An action list that was set while the daemon ran, in place of the file's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::KeyPath;
use super::report::Report;

/// What stands in place of the file's actions and, if it says so, of its background phrases. Kept as it was received: it
/// is read and validated together with the file that it lies over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// When it was set.
    pub since: Timestamp,
    /// As `[[action]]` in the file: a list of objects with the same keys.
    pub actions: Json,
    /// As `vocabulary.background` in the file; absent: the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Json>,
}

impl Overlay {
    /// Whether the value at `path` is the overlay's and not the file's.
    pub(super) fn covers(&self, path: &KeyPath) -> bool {
        actions().covers(path) || self.background.is_some() && background().covers(path)
    }

    /// Puts its values over the file's and the environment's.
    pub(super) fn lay(&self, tree: &mut Table, report: &mut Report) {
        if let Some(value) = toml_value(&self.actions, &actions(), report) {
            tree.insert("action".into(), value);
        }
        let background = self.background.as_ref().and_then(|json| toml_value(json, &background(), report));
        let section = tree.entry("vocabulary").or_insert_with(|| Value::Table(Table::new()));
        if let (Some(value), Some(section)) = (background, section.as_table_mut()) {
            section.insert("background".into(), value);
        }
    }
}

fn actions() -> KeyPath {
    KeyPath::default().key("action")
}

fn background() -> KeyPath {
    KeyPath::default().key("vocabulary").key("background")
}

/// JSON as TOML, which has no null and no number above 2⁶³ − 1; what it cannot say is reported and left out.
fn toml_value(json: &Json, path: &KeyPath, report: &mut Report) -> Option<Value> {
    Some(match json {
        Json::Null => {
            report.unreadable(path, path.clone(), "null is no value; leave it out".into());
            return None;
        }
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(list) => {
            let values = list.iter().enumerate();
            Value::Array(values.filter_map(|(i, json)| toml_value(json, &path.index(i), report)).collect())
        }
        Json::Object(map) => {
            let values = map.iter();
            let value = |(key, json): (&String, &Json)| {
                Some((key.clone(), toml_value(json, &path.key(key), report)?))
            };
            Value::Table(values.filter_map(value).collect())
        }
    })
}
