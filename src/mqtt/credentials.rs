//! Who we are to the broker: a user name, and a password that stands in a file of its own.

use std::io::{self, Read};

use crate::config::{self, FileRef, FileRefError};

/// The longest password that MQTT can carry, bytes.
const MAX_PASSWORD: u64 = 65_535;

/// Why there is no user name and password.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("mqtt.password_file {file}: {source}")]
    File { file: FileRef, source: io::Error },
    #[error("mqtt.password_file {file}: {source}")]
    NoFile { file: FileRef, source: FileRefError },
    #[error(
        "mqtt.password_file {file} is empty; write the password into it, or take both it and mqtt.username out"
    )]
    NoPassword { file: FileRef },
    #[error("mqtt.password_file is set but mqtt.username is not; MQTT has no password without a user name")]
    NoUsername,
}

/// User name and password, the latter empty where only the former is set.
pub(super) fn credentials(settings: &config::Mqtt) -> Result<Option<(String, String)>, CredentialsError> {
    match (&settings.username, &settings.password_file) {
        (Some(username), Some(file)) => Ok(Some((username.clone(), read_password(file)?))),
        (Some(username), None) => Ok(Some((username.clone(), String::new()))),
        (None, Some(_)) => Err(CredentialsError::NoUsername),
        (None, None) => Ok(None),
    }
}

/// The file's text without the newline that editors put at its end.
fn read_password(file: &FileRef) -> Result<String, CredentialsError> {
    let failed = |source| CredentialsError::File { file: file.clone(), source };
    let path = file.path().map_err(|source| CredentialsError::NoFile { file: file.clone(), source })?;
    let mut text = String::new();
    let mut reader = std::fs::File::open(path).map_err(failed)?.take(MAX_PASSWORD + 2);
    reader.read_to_string(&mut text).map_err(failed)?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(CredentialsError::NoPassword { file: file.clone() });
    }
    if password.len() as u64 > MAX_PASSWORD {
        return Err(failed(io::Error::other(
            "longer than a password can be, 65535 bytes; is it the right file?",
        )));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_lose_the_newline_and_bad_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let file = FileRef::from(path.clone());
        std::fs::write(&path, "pass word \r\n").unwrap();
        assert_eq!(read_password(&file).unwrap(), "pass word ");
        std::fs::write(&path, "\n").unwrap();
        assert!(read_password(&file).unwrap_err().to_string().contains("secret is empty"));
        std::fs::write(&path, vec![b'x'; 70_000]).unwrap();
        assert!(read_password(&file).unwrap_err().to_string().contains("right file?"));
        let missing = read_password(&dir.path().join("missing").into()).unwrap_err().to_string();
        assert!(missing.contains("missing: No such file"), "{missing}");
        let credential = read_password(&"credential:../x".into()).unwrap_err().to_string();
        assert!(credential.starts_with("mqtt.password_file credential:../x: "), "{credential}");
    }

    #[test]
    fn a_password_needs_a_user() {
        let settings = config::Mqtt { password_file: Some("x".into()), ..config::Mqtt::default() };
        assert!(matches!(credentials(&settings), Err(CredentialsError::NoUsername)));
    }
}
