//! How MQTT travels to the broker, and whom to trust there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FileRef;

/// What MQTT travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In the clear.
    #[default]
    Tcp,
    Tls,
    /// A WebSocket in the clear.
    Ws,
    /// A WebSocket inside TLS.
    Wss,
}

impl Transport {
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// The port registered for it (IANA: mqtt, secure-mqtt, http, https).
    pub fn usual_port(self) -> u16 {
        match self {
            Self::Tcp => 1883,
            Self::Tls => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

/// `[mqtt.tls]`: counts when the transport is `tls` or `wss`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tls {
    /// Certificates of the authorities to trust, PEM. Absent: the system's.
    pub ca_file: Option<FileRef>,
    /// The broker must show one of these; without `ca_file` that is all it must do.
    pub pin_sha256: Vec<Pin>,
    /// Our certificate, and any between it and its authority, PEM.
    pub client_certificate: Option<FileRef>,
    /// The key of `client_certificate`, PEM.
    pub client_key: Option<FileRef>,
    /// Protocols to offer (RFC 7301), for brokers that share their port.
    pub alpn: Vec<String>,
    /// The name that the broker's certificate must carry. Absent: `mqtt.host`.
    pub server_name: Option<String>,
    /// Talk to anybody who answers.
    pub danger_accept_any_certificate: bool,
}

/// SHA-256 of a certificate (DER), or of its public key (SubjectPublicKeyInfo, as in RFC 7469).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin(pub [u8; 32]);

/// Not a [`Pin`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no SHA-256; write its 64 hexadecimal digits, with or without colons, as `openssl x509 -in broker.pem \
     -noout -fingerprint -sha256` prints them"
)]
pub struct PinError(String);

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let mut pin = [0; 32];
        hex::decode_to_slice(text.replace(':', ""), &mut pin).map_err(|_| PinError(text.to_owned()))?;
        Ok(Self(pin))
    }
}

impl TryFrom<String> for Pin {
    type Error = PinError;

    fn try_from(text: String) -> Result<Self, PinError> {
        text.parse()
    }
}

impl From<Pin> for String {
    fn from(pin: Pin) -> Self {
        pin.to_string()
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_openssl_prints_it() {
        let digits = "0f".repeat(32);
        let colons = vec!["0F"; 32].join(":");
        assert_eq!(digits.parse(), Ok(Pin([15; 32])));
        assert_eq!(colons.parse::<Pin>().unwrap().to_string(), digits);
        for wrong in ["", "0f", &"0f".repeat(33), &"0g".repeat(32)] {
            assert_eq!(wrong.parse::<Pin>(), Err(PinError(wrong.into())));
        }
    }
}
