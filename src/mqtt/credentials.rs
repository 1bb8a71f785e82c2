//! Who we are to the broker: a user name, and a password that stands in a file of its own.

use crate::config::{self, FileRef, SecretError};

/// The longest password that MQTT can carry, bytes.
const MAX_PASSWORD: u64 = 65_535;

/// Why there is no user name and password.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("mqtt.password_file {file}: {source}")]
    File { file: FileRef, source: SecretError },
    #[error("mqtt.password_file is set but mqtt.username is not; MQTT has no password without a user name")]
    NoUsername,
}

/// User name and password, the latter empty where only the former is set.
pub(super) fn credentials(settings: &config::Mqtt) -> Result<Option<(String, String)>, CredentialsError> {
    match (&settings.username, &settings.password_file) {
        (Some(username), Some(file)) => {
            let failed = |source| CredentialsError::File { file: file.clone(), source };
            Ok(Some((username.clone(), file.secret(MAX_PASSWORD).map_err(failed)?)))
        }
        (Some(username), None) => Ok(Some((username.clone(), String::new()))),
        (None, Some(_)) => Err(CredentialsError::NoUsername),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_needs_a_user_and_a_bad_file_is_named() {
        let mut settings = config::Mqtt { password_file: Some("/no/such".into()), ..config::Mqtt::default() };
        assert!(matches!(credentials(&settings), Err(CredentialsError::NoUsername)));
        settings.username = Some("box".into());
        let error = credentials(&settings).unwrap_err().to_string();
        assert!(error.starts_with("mqtt.password_file /no/such: No such file"), "{error}");
    }
}
