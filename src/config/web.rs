//! The box's own page: where it listens, and who may look.

use serde::{Deserialize, Serialize};

use super::FileRef;

/// `[web]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Web {
    pub enabled: bool,
    /// IP address and port to listen on; port 0 is any that is free.
    pub address: String,
    /// A file with the Argon2 hash of the password.
    pub password_file: Option<FileRef>,
    /// A file with what scripts show instead of a password.
    pub token_file: Option<FileRef>,
    /// PEM: the chain of certificates that the page is served with.
    pub certificate: Option<FileRef>,
    /// PEM: the certificate's private key.
    pub key: Option<FileRef>,
    pub login: Login,
    /// Names by which browsers may call this box, besides `localhost` and IP addresses.
    pub hosts: Vec<String>,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            enabled: true,
            address: "127.0.0.1:8480".into(),
            password_file: None,
            token_file: None,
            certificate: None,
            key: None,
            login: Login::default(),
            hosts: Vec::new(),
        }
    }
}

impl Web {
    /// Whether somebody who has not logged in sees nothing.
    pub fn needs_login(&self) -> bool {
        self.login == Login::Always || !self.address().is_ok_and(|address| address.ip().is_loopback())
    }

    /// Where to listen.
    ///
    /// # Errors
    /// If the text is no IP address and port.
    pub fn address(&self) -> Result<std::net::SocketAddr, std::net::AddrParseError> {
        self.address.parse()
    }
}

/// When a log-in is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Login {
    /// Unless the page can be reached from this box alone.
    #[default]
    Auto,
    Always,
}
