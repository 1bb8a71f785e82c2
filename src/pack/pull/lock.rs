//! `models.lock`: the hash that each file had when it was pulled first, so that a file that changes at its host is not
//! taken for the same.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::PullError;

pub const NAME: &str = "models.lock";

/// By repository, revision and path: SHA-256 in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock(BTreeMap<String, String>);

impl Lock {
    /// What stands in the file `path`; nothing if there is none.
    pub fn read(path: &Path) -> Result<Self, PullError> {
        let failed = |reason: String| PullError::Lock { path: path.to_owned(), reason };
        match fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map(Self).map_err(|error| failed(error.message().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// The hash that `file` had.
    pub fn get(&self, file: &str) -> Option<&str> {
        self.0.get(file).map(String::as_str)
    }

    pub fn set(&mut self, file: String, sha256: String) {
        self.0.insert(file, sha256);
    }

    /// Puts it in place of what was there, in one step.
    pub fn write(&self, path: &Path) -> Result<(), PullError> {
        let failed = |reason: String| PullError::Lock { path: path.to_owned(), reason };
        let text = toml::to_string(&self.0).map_err(|error| failed(error.to_string()))?;
        let new = path.with_extension("lock.new");
        let header = "# The hashes of what `watchword models pull` fetched first. Keep it: with it a file that changes at \
                      its host is refused.\n";
        fs::write(&new, format!("{header}{text}"))
            .and_then(|()| fs::rename(&new, path))
            .map_err(|error| failed(error.to_string()))
    }
}
