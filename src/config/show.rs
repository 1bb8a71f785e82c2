//! The effective configuration as TOML, each value with where it comes from; without secrets.

use serde::ser::Error as _;
use toml_edit::{DocumentMut, Item, TableLike};

use super::{Config, KeyPath, Loaded, Place};

impl Loaded {
    /// The configuration in effect as a TOML text that loads again to the same, each value with a comment that
    /// says where it comes from: the default, a line of the file, a variable of the environment, or a command. Passwords in a camera's address are
    /// blotted out.
    ///
    /// # Errors
    /// None that a loaded configuration can cause.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let mut document: DocumentMut = shown(&self.config)?.parse().map_err(toml::ser::Error::custom)?;
        self.annotate(document.as_table_mut(), &KeyPath::default());
        Ok(document.to_string())
    }

    fn annotate(&self, table: &mut dyn TableLike, path: &KeyPath) {
        for (key, item) in table.iter_mut() {
            let path = path.key(key.get());
            match item {
                Item::Value(value) => value.decor_mut().set_suffix(format!("  # {}", self.origin(&path))),
                Item::Table(table) => self.annotate(table, &path),
                Item::ArrayOfTables(tables) => {
                    for (i, table) in tables.iter_mut().enumerate() {
                        self.annotate(table, &path.index(i));
                    }
                }
                Item::None => {}
            }
        }
    }

    fn origin(&self, path: &KeyPath) -> String {
        match (&self.sources.overlay, self.sources.variable(path)) {
            (Some(overlay), _) if overlay.covers(path) => format!("set over MQTT at {}", overlay.since),
            (_, Some(variable)) => variable.name.clone(),
            _ if !self.sources.in_file(path) => "default".into(),
            _ => match self.sources.place(path) {
                Place::Position { line, .. } => format!("file, line {line}"),
                _ => "file".into(),
            },
        }
    }
}

fn shown(config: &Config) -> Result<String, toml::ser::Error> {
    let mut config = config.clone();
    for camera in &mut config.cameras {
        camera.source = camera.source_without_password().into_owned();
    }
    toml::to_string(&config)
}
