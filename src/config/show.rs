//! The effective configuration as TOML, each value with where it comes from; without secrets.

use serde::ser::Error as _;
use toml_edit::{DocumentMut, Item, TableLike};

use super::{Config, KeyPath, Loaded};

impl Loaded {
    /// The configuration in effect as a TOML text that loads again to the same, each value with a comment that
    /// says whether it is the default's, the file's or the environment's. Passwords in a camera's address are
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

    fn origin(&self, path: &KeyPath) -> &str {
        match self.sources.variable(path) {
            Some(variable) => &variable.name,
            None if self.sources.in_file(path) => "file",
            None => "default",
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
