//! A file that the configuration names instead of holding its content: secrets, keys, certificates.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the service manager tells a service to find its credentials (systemd.exec(5), `LoadCredential=`).
const DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// What stands before the name of a credential.
const CREDENTIAL: &str = "credential:";

/// A path, or `credential:NAME` for a credential that systemd hands to the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileRef(PathBuf);

/// Why a [`FileRef`] stands for no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileRefError {
    #[error("no name of a file; write a path, or credential:NAME")]
    Empty,
    #[error("{0:?} is no name of a credential; write credential:NAME, where NAME holds no /")]
    Name(String),
    #[error(
        "the service manager has handed over no credentials ($CREDENTIALS_DIRECTORY is not set); start as a service \
         with LoadCredential={0}:/path in its unit, or name a file"
    )]
    NoCredentials(String),
}

impl FileRef {
    /// Where the file is.
    ///
    /// # Errors
    /// If it is a credential and there are none, or its name is none.
    pub fn path(&self) -> Result<PathBuf, FileRefError> {
        self.path_with(std::env::var_os(DIRECTORY).as_deref().map(Path::new))
    }

    fn path_with(&self, credentials: Option<&Path>) -> Result<PathBuf, FileRefError> {
        let Some(name) = self.0.to_str().and_then(|text| text.strip_prefix(CREDENTIAL)) else {
            return if self.0.as_os_str().is_empty() { Err(FileRefError::Empty) } else { Ok(self.0.clone()) };
        };
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(FileRefError::Name(name.to_owned()));
        }
        credentials
            .map(|folder| folder.join(name))
            .ok_or_else(|| FileRefError::NoCredentials(name.to_owned()))
    }
}

impl fmt::Display for FileRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl<T: Into<PathBuf>> From<T> for FileRef {
    fn from(path: T) -> Self {
        Self(path.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_file_of_the_service_managers_folder() {
        let folder = Path::new("/run/credentials/watchword.service");
        let path = |text: &str, credentials| FileRef::from(text).path_with(credentials);
        assert_eq!(path("/etc/secret", None), Ok("/etc/secret".into()));
        assert_eq!(path("credential:mqtt", Some(folder)), Ok(folder.join("mqtt")));
        assert_eq!(path("credential:mqtt", None), Err(FileRefError::NoCredentials("mqtt".into())));
        assert_eq!(path("", None), Err(FileRefError::Empty));
        for name in ["", ".", "..", "../shadow", "/etc/shadow"] {
            let wrong = path(&format!("credential:{name}"), Some(folder));
            assert_eq!(wrong, Err(FileRefError::Name(name.into())), "{name}");
        }
    }
}
