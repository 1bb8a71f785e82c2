//! An input's name as the programs are told it, and as people are: without what is nobody's business.

use std::fmt::Write;

use crate::camera::CameraError;
use crate::config::{self, FileRef};

/// A longer file holds no password. Bytes.
const MOST_PASSWORD: u64 = 4096;

/// Where an input is. Not to be shown but by [`Address::shown`].
#[derive(Clone)]
pub struct Address {
    /// With user and password.
    full: String,
    shown: String,
    /// What must not appear anywhere, the longest first.
    secrets: Vec<String>,
}

impl Address {
    /// The camera's source, with who we are put in if that stands apart. Reads the password's file.
    pub fn of(camera: &config::Camera) -> Result<Self, CameraError> {
        let name = camera.source.as_str();
        let mut address = Self::new(name);
        let stream = name.split_once("://").filter(|(scheme, _)| *scheme != "file");
        let Some((scheme, rest)) = stream else { return Ok(address) };
        if let Some(user) = &camera.username {
            let password = camera.password_file.as_ref().map(|file| password(name, file)).transpose()?;
            let mut credentials = escaped(user);
            if let Some(password) = password {
                let escaped = escaped(&password);
                _ = write!(credentials, ":{escaped}"); // writing to a String does not fail
                address.secrets.extend([escaped, password]);
            }
            address.full = format!("{scheme}://{credentials}@{rest}");
            address.secrets.push(credentials);
            address.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
        Ok(address)
    }

    /// An address, or a path.
    pub fn new(name: &str) -> Self {
        let mut secrets: Vec<String> = secrets(name).map(str::to_owned).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut address = Self { full: name.to_owned(), shown: String::new(), secrets };
        address.shown = address.without_secrets(name);
        address
    }

    /// With user and password, for the programs alone.
    pub fn full(&self) -> &str {
        &self.full
    }

    /// For logs and errors.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// `text` without the secrets.
    pub fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// Whether a source's name is an address (`scheme://..`) and not a path.
pub fn is_url(name: &str) -> bool {
    let scheme = name.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// The parts of an address that are nobody's business: user and password, and what follows `?`.
fn secrets(name: &str) -> impl Iterator<Item = &str> {
    let rest = if is_url(name) { name.split_once("://").map_or("", |(_, rest)| rest) } else { "" };
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password may hold a slash that should have been escaped: up to the last `@` before the query.
    let user = before.rsplit_once('@').map_or("", |(user, _)| user);
    let password = user.split_once(':').map_or("", |(_, password)| password);
    [query, user, password].into_iter().filter(|secret| !secret.is_empty())
}

/// The password that stands alone in `file`.
fn password(name: &str, file: &FileRef) -> Result<String, CameraError> {
    let fail = |reason: String| CameraError::Password {
        name: Address::new(name).shown().to_owned(),
        file: file.to_string(),
        reason,
    };
    file.secret(MOST_PASSWORD).map_err(|error| fail(error.to_string()))
}

/// As it may stand in an address (RFC 3986, 2.1 and 2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            _ = write!(escaped, "%{byte:02X}"); // writing to a String does not fail
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(source: &str, user: &str, password: &[u8]) -> Result<Address, CameraError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, password).unwrap();
        Address::of(&config::Camera {
            source: source.into(),
            username: Some(user.into()),
            password_file: Some(file.into()),
            ..Default::default()
        })
    }

    #[test]
    fn who_we_are_is_put_into_the_address() {
        let address = of("rtsp://10.0.0.7:554/live?x=1", "me@home", b"p:w/d\n").unwrap();
        assert_eq!(address.full(), "rtsp://me%40home:p%3Aw%2Fd@10.0.0.7:554/live?x=1");
        assert_eq!(address.shown(), "rtsp://10.0.0.7:554/live?***");
        let said = "rtsp://me%40home:p%3Aw%2Fd@10.0.0.7:554/live?x=1: refused p:w/d";
        assert_eq!(address.without_secrets(said), "rtsp://***@10.0.0.7:554/live?***: refused ***");
    }

    #[test]
    fn what_an_address_says_of_us_is_not_shown() {
        let shown = |name| Address::new(name).shown().to_owned();
        assert_eq!(shown("rtsp://admin:s3cr3t@10.0.0.1:554/a"), "rtsp://***@10.0.0.1:554/a");
        assert_eq!(shown("http://cam/video?user=a&pwd=b"), "http://cam/video?***");
        assert_eq!(shown("rtsp://cam/stream"), "rtsp://cam/stream");
        assert_eq!(shown("/data/odd@name?.mp4"), "/data/odd@name?.mp4");
    }

    #[test]
    fn a_file_without_a_password_is_named() {
        for bytes in [&b""[..], b"\n", &[b'x'; 5000], &[0xff, 0xfe]] {
            let error = of("rtsp://host/", "me", bytes).err().unwrap().to_string();
            assert!(error.contains("rtsp://host/") && error.contains("password"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_password_appears(
            user in "[a-z]{3,8}",
            password in "[!-~&&[^?]]{4,12}",
            query in "[A-Z0-9]{0,10}",
        ) {
            let full = format!("rtsp://{user}:{password}@host.example/stream?{query}");
            let address = Address::new(&full);
            prop_assert_eq!(address.full(), &full);
            let shown = address.shown();
            prop_assert!(shown.ends_with("@host.example/stream?***") || query.is_empty(), "{}", shown);
            prop_assert!(!shown.contains(&password), "{}", shown);
        }

        #[test]
        fn any_password_fits_into_an_address(user in "\\PC{1,8}", password in "[^\n\r]{4,20}") {
            let address = of("rtsp://host.example/stream", &user, password.as_bytes()).unwrap();
            let credentials = address.full().strip_prefix("rtsp://").unwrap();
            let credentials = credentials.strip_suffix("@host.example/stream").unwrap();
            prop_assert!(credentials.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%:".contains(&b)));
            let (first, second) = credentials.split_once(':').unwrap();
            prop_assert_eq!(unescaped(first), user);
            prop_assert_eq!(unescaped(second), password);
        }
    }

    fn unescaped(text: &str) -> String {
        let mut parts = text.split('%');
        let mut bytes = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        String::from_utf8(bytes).unwrap()
    }
}
