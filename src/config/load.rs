//! From a file and the environment to a [`Config`]: parsing, overrides, types, unknown keys; then validation.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use config::Source;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use toml::{Table, Value};
use toml_edit::Document;

use super::key_path::Step;
use super::problem::{ConfigErrors, Place, Problem, Severity};
use super::report::Report;
use super::source::{Sources, Variable, position};
use super::{Action, Camera, Config, KeyPath, Mask, Overlay, Zone, validate};

/// Environment variables are `WATCHWORD__SECTION__KEY`.
const PREFIX: &str = "WATCHWORD";
const SEPARATOR: &str = "__";
/// A larger file is not a configuration.
const MOST_BYTES: u64 = 1 << 20;

/// A configuration that can be used, and where it came from.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// What is probably not as meant.
    pub warnings: Vec<Problem>,
    pub(super) sources: Sources,
}

impl Config {
    /// Reads the file at `path`, overrides it from the environment variables `env` and validates the whole.
    ///
    /// `WATCHWORD__SECTION__KEY` sets a key of a section: `WATCHWORD__MQTT__HOST`, `WATCHWORD__NODE__NAME`,
    /// `WATCHWORD__MQTT__TLS__CA_FILE`. The value is written as in the file, where the quotes around a text may be
    /// left out; a list is a TOML list. An empty variable counts as not set. Cameras and actions are lists of
    /// tables and cannot be overridden. Variables that do not begin with `WATCHWORD__` are ignored.
    ///
    /// # Errors
    /// Everything that is wrong, at once; see [`Problem`].
    pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Loaded, ConfigErrors> {
        Self::load_with(path, env, None)
    }

    /// As [`Config::load`], with `overlay` over both.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(
        path: &Path,
        env: impl Iterator<Item = (String, String)>,
        overlay: Option<Overlay>,
    ) -> Result<Loaded, ConfigErrors> {
        let file = path.display().to_string();
        let text = read(path).map_err(|message| lone_error(Place::File(file.clone()), message))?;
        loaded(file, text, env, overlay)
    }

    /// Reads and validates a configuration that is not in a file, such as the demo's own. Neither the
    /// environment nor the files it names are looked at.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        let (config, mut report) = typed("configuration".into(), text.into(), std::iter::empty(), None)?;
        validate::config(&config, &mut report);
        report.finish().map(|_| config)
    }
}

impl Loaded {
    /// The same file and environment as they were read, with `overlay` over them or with none.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn overlaid(&self, overlay: Option<Overlay>) -> Result<Self, ConfigErrors> {
        self.again(self.text().to_owned(), overlay)
    }

    /// The file with another text, before it is written.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn rewritten(&self, text: String) -> Result<Self, ConfigErrors> {
        self.again(text, self.overlay().cloned())
    }

    fn again(&self, text: String, overlay: Option<Overlay>) -> Result<Self, ConfigErrors> {
        let Sources { file, variables, .. } = &self.sources;
        let env = variables.iter().map(|variable| (variable.name.clone(), variable.text.clone()));
        loaded(file.clone(), text, env, overlay)
    }

    /// What lies over the file.
    pub fn overlay(&self) -> Option<&Overlay> {
        self.sources.overlay.as_ref()
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        self.sources.document.raw()
    }

    /// SHA-256 of the file's text, hexadecimal.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.text()))
    }
}

fn loaded(
    file: String,
    text: String,
    env: impl Iterator<Item = (String, String)>,
    overlay: Option<Overlay>,
) -> Result<Loaded, ConfigErrors> {
    let (config, mut report) = typed(file, text, env, overlay)?;
    validate::config(&config, &mut report);
    validate::files(&config, &mut report);
    let (sources, warnings) = report.finish()?;
    Ok(Loaded { config, warnings, sources })
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read the configuration: {error}; is this the right path?"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("larger than {MOST_BYTES} bytes; is this the right file?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        format!("not UTF-8 at byte {}; save the file as UTF-8", error.utf8_error().valid_up_to())
    })
}

/// Everything but the validation. A value that cannot be read is reported and stands at its default.
fn typed(
    file: String,
    text: String,
    env: impl Iterator<Item = (String, String)>,
    overlay: Option<Overlay>,
) -> Result<(Config, Report), ConfigErrors> {
    let syntax = |span, message: &str| {
        lone_error(position(&file, &text, span), format!("not TOML: {}", message.replace('\n', ", ")))
    };
    let document = Document::parse(text.clone()).map_err(|e| syntax(e.span(), e.message()))?;
    let mut tree: Table = text.parse().map_err(|e: toml::de::Error| syntax(e.span(), e.message()))?;
    let schema = Schema::new();
    let mut report = Report::new(Sources { file, document, variables: Vec::new(), overlay: overlay.clone() });
    override_from(env, &schema, &mut tree, &mut report);
    if let Some(overlay) = overlay {
        overlay.lay(&mut tree, &mut report);
    }
    let config = decode(tree, &schema, &mut report);
    if report.is_enough() {
        return match report.finish() {
            Err(errors) => Err(errors),
            Ok((sources, _)) => Err(lone_error(Place::File(sources.file), "not a configuration".into())),
        };
    }
    Ok((config, report))
}

fn lone_error(place: Place, message: String) -> ConfigErrors {
    let path = KeyPath::default();
    ConfigErrors { problems: vec![Problem { severity: Severity::Error, place, path, message }] }
}

/// Puts the environment's values over the file's, as texts.
fn override_from(
    env: impl Iterator<Item = (String, String)>,
    schema: &Schema,
    tree: &mut Table,
    report: &mut Report,
) {
    let ours: HashMap<_, _> = env.filter(|(name, _)| name.starts_with("WATCHWORD__")).collect();
    let names: HashMap<_, _> = ours.keys().map(|name| (name.to_lowercase(), name.clone())).collect();
    let collected = config::Environment::with_prefix(PREFIX)
        .separator(SEPARATOR)
        .ignore_empty(true)
        .source(Some(ours.into_iter().collect()))
        .collect()
        .unwrap_or_default(); // fails only for texts that are not Unicode, and these are `String`s
    let mut overrides: Vec<_> = collected.into_iter().collect();
    overrides.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (dotted, value) in overrides {
        let text = value.into_string().unwrap_or_default(); // it was collected as a text
        let lowercase = format!("{PREFIX}{SEPARATOR}{}", dotted.replace('.', SEPARATOR)).to_lowercase();
        let name = names.get(&lowercase).cloned().unwrap_or(lowercase);
        let steps: Vec<&str> = dotted.split('.').collect();
        let path = steps.iter().fold(KeyPath::default(), |path, step| path.key(step));
        let place = Place::Variable(name.clone());
        let [sections @ .., key] = &steps[..] else { continue }; // a split has at least one part
        let Some(section) = sections.first() else {
            let message = "names no setting; write WATCHWORD__SECTION__KEY, such as WATCHWORD__MQTT__HOST";
            report.unknown(&path, place, None, message.into());
            continue;
        };
        if schema.at(&KeyPath::default().key(section)).is_some_and(Json::is_array) {
            let message = format!("[[{section}]] is a list and can only be set in the file");
            report.unknown(&path, place, None, message);
        } else if schema.at(&path).is_none() {
            let (meant, message) = schema.unknown_key(&path);
            report.unknown(&path, place, meant, message);
        } else if let Some(table) = section_at(tree, sections) {
            table.insert((*key).to_owned(), Value::String(text.clone()));
            report.sources.variables.push(Variable { name, path, text });
        }
    }
}

/// The table that `sections` lead to, made where it is missing; `None` where something else stands there.
fn section_at<'a>(tree: &'a mut Table, sections: &[&str]) -> Option<&'a mut Table> {
    sections.iter().try_fold(tree, |table, section| {
        table.entry(*section).or_insert(Value::Table(Table::new())).as_table_mut()
    })
}

/// Takes values out of the tree until the rest fits the types, reporting each.
fn decode(mut tree: Table, schema: &Schema, report: &mut Report) -> Config {
    let mut reread: Vec<KeyPath> = Vec::new();
    loop {
        let mut unknown = Vec::new();
        let mut track = serde_path_to_error::Track::new();
        let values = Value::Table(tree.clone());
        let result = serde_ignored::deserialize(
            serde_path_to_error::Deserializer::new(values, &mut track),
            |path: serde_ignored::Path<'_>| unknown.push(KeyPath::from(&path)),
        );
        let error: toml::de::Error = match result {
            Ok(config) => {
                for path in unknown {
                    let (meant, message) = schema.unknown_key(&path);
                    report.unknown(&path, report.sources.place_of_key(&path), meant, message);
                }
                return config;
            }
            Err(error) => error,
        };
        let path = KeyPath::from(&track.path());
        let Some((parent, key)) = path.split_key() else {
            report.error(&path, error.message());
            return Config::default();
        };
        let lost = parent.key(key);
        let Some(table) = table_at(&mut tree, &parent) else {
            report.error(&path, error.message());
            return Config::default();
        };
        // A variable's text that does not fit as it stands may be a number, a truth value or a list.
        if let Some(variable) = report.sources.variable(&path)
            && !reread.contains(&variable.path)
        {
            reread.push(variable.path.clone());
            if let Ok(value) = variable.text.parse::<Value>() {
                table.insert(key.to_owned(), value);
                continue;
            }
        }
        table.remove(key);
        let message = in_words(error.message(), key, schema.at(&path));
        report.unreadable(&path, lost, message);
        if report.is_enough() {
            return Config::default();
        }
    }
}

fn table_at<'a>(tree: &'a mut Table, path: &KeyPath) -> Option<&'a mut Table> {
    let mut steps = path.steps().iter();
    let Some(first) = steps.next() else { return Some(tree) };
    let Step::Key(key) = first else { return None };
    steps
        .try_fold(tree.get_mut(key)?, |value, step| match step {
            Step::Key(key) => value.get_mut(key.as_str()),
            Step::Index(index) => value.get_mut(*index),
        })?
        .as_table_mut()
}

/// serde's message as an operator understands it, with an example where there is a default.
fn in_words(message: &str, key: &str, default: Option<&Json>) -> String {
    if message.starts_with("invalid type: map, expected a sequence") {
        return format!(
            "one table where a list of them belongs; write [[{key}]], with two brackets on each side"
        );
    }
    const WORDS: [(&str, &str); 9] = [
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected u32", "expected a whole number from 0"),
        ("expected usize", "expected a whole number from 0"),
        ("expected f32", "expected a number"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected a string", "expected a text in quotes"),
        ("expected path string", "expected a path in quotes"),
        ("expected a sequence", "expected a list in [ ]"),
    ];
    let mut text = message.replace('\n', ", ");
    for (type_name, words) in WORDS {
        if let Some(start) = text.strip_suffix(type_name) {
            text = format!("{start}{words}");
            break;
        }
    }
    match default {
        Some(Json::Null | Json::Array(_) | Json::Object(_)) | None => text,
        Some(Json::String(empty)) if empty.is_empty() => text,
        Some(default) => format!("{text}; the default is {default}"),
    }
}

/// Every key that there is, with its default (`null`: none): the default configuration with one of each list.
pub(super) struct Schema(Json);

impl Schema {
    pub fn new() -> Self {
        let config = Config {
            cameras: vec![Camera {
                masks: vec![Mask::default()],
                zones: vec![Zone::default()],
                ..Camera::default()
            }],
            actions: vec![Action::default()],
            ..Config::default()
        };
        // A structure of numbers, texts and lists always is JSON.
        Self(serde_json::to_value(config).unwrap_or_default())
    }

    /// The default of the key at `path`, or a table's keys; `None` if there is no such key.
    pub fn at(&self, path: &KeyPath) -> Option<&Json> {
        path.steps().iter().try_fold(&self.0, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(_) => value.get(0),
        })
    }

    /// What to say of a key that does not exist, and the one that was probably meant.
    fn unknown_key(&self, path: &KeyPath) -> (Option<KeyPath>, String) {
        let Some((parent, key)) = path.split_key() else { return (None, "unknown".into()) };
        let known = || self.at(&parent).and_then(Json::as_object).into_iter().flat_map(|table| table.keys());
        let nearest = known()
            .map(|candidate| (strsim::damerau_levenshtein(key, candidate), candidate))
            .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
            .min();
        match nearest {
            Some((_, candidate)) => {
                (Some(parent.key(candidate)), format!("unknown key; did you mean `{candidate}`?"))
            }
            None => {
                let known = known().map(String::as_str).collect::<Vec<_>>().join(", ");
                let remedy =
                    if known.is_empty() { String::new() } else { format!("; the keys here are {known}") };
                (None, format!("unknown key{remedy}"))
            }
        }
    }

    #[cfg(test)]
    pub fn root(&self) -> &Json {
        &self.0
    }
}
