//! A file that the configuration names instead of holding its content: secrets, keys, certificates.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
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

/// Why a file holds no secret that could be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(transparent)]
    Path(#[from] FileRefError),
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("it is empty; write the password into it, and nothing else")]
    Empty,
    #[error("longer than a password can be, {0} bytes; is it the right file?")]
    TooLong(u64),
}

impl FileRef {
    /// The text that stands alone in the file, of at most `limit` bytes, without the newline that editors put at its
    /// end.
    pub fn secret(&self, limit: u64) -> Result<String, SecretError> {
        let mut text = String::new();
        File::open(self.path()?)?.take(limit + 2).read_to_string(&mut text)?;
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(SecretError::Empty);
        }
        if secret.len() as u64 > limit {
            return Err(SecretError::TooLong(limit));
        }
        Ok(secret.to_owned())
    }

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
    fn a_secret_loses_the_newline_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secret = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            FileRef::from(&path).secret(10).map_err(|error| error.to_string())
        };
        assert_eq!(secret(b"pass word \r\n").unwrap(), "pass word ");
        assert_eq!(secret(b"0123456789\r\n").unwrap(), "0123456789");
        assert!(secret(b"\n").unwrap_err().contains("empty"));
        assert!(secret(b"0123456789a").unwrap_err().contains("right file?"));
        assert!(secret(&[b'x'; 70_000]).unwrap_err().contains("right file?"));
        assert!(secret(&[0xff, 0xfe]).unwrap_err().contains("UTF-8"));
        let missing = FileRef::from(folder.path().join("missing")).secret(10).unwrap_err();
        assert!(missing.to_string().contains("No such file"));
        assert!(matches!(FileRef::from("credential:../x").secret(10), Err(SecretError::Path(_))));
    }

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
