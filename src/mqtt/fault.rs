//! What it means that the broker could not be reached, and what to do about it.

use std::error::Error;
use std::io;

use jiff::Timestamp;
use rumqttc::{ConnectReturnCode, ConnectionError};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::tls::Unpinned;
use crate::config::Transport;

/// A failed attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub error: String,
    /// The same for the same trouble, so that it can be told from other trouble.
    pub remedy: &'static str,
}

/// For everything that is no mistake of the configuration's, as far as can be told.
pub(super) const AWAY: &str = "check that it runs, and mqtt.host and mqtt.port";
const NOT_TLS: &str =
    "the broker does not speak TLS on this port; correct mqtt.port, or turn TLS on at the broker";
const NOT_PLAIN: &str = "if the broker wants TLS on this port, set mqtt.transport = \"tls\"";
const NOT_WEBSOCKET: &str =
    "no WebSocket for MQTT there; correct mqtt.port and mqtt.websocket_path, or mqtt.transport";
const UNKNOWN_ISSUER: &str = "no authority that we trust has signed the broker's certificate; set mqtt.tls.ca_file to \
                              your own authority's, or mqtt.tls.pin_sha256 to the broker's own";
const DATES: &str = "renew the broker's certificate, or, if its dates are good, set this box's clock";
const WRONG_NAME: &str =
    "set mqtt.host to a name in the broker's certificate, or mqtt.tls.server_name to the one to expect";
const WRONG_PIN: &str = "if the broker's certificate was renewed, set mqtt.tls.pin_sha256 to the new one; if not, \
                         somebody is between you and the broker";
const BAD_CERTIFICATE: &str = "give the broker a certificate that is right for a server";
const CLIENT_WANTED: &str =
    "the broker wants a certificate from us; set mqtt.tls.client_certificate and mqtt.tls.client_key";
const CLIENT_REFUSED: &str = "the broker does not accept our certificate; check mqtt.tls.client_certificate: its \
                              dates, and that the broker knows who issued it";
const ALPN: &str = "the broker speaks none of mqtt.tls.alpn; correct it, or take it out";
const TLS_VERSION: &str = "the broker must offer TLS 1.2 or 1.3 with a current cipher";

impl Fault {
    /// What `error` means on a connection over `transport`; `sends_certificate`: we have one to show.
    pub fn new(error: &ConnectionError, transport: Transport, sends_certificate: bool) -> Self {
        if let Some(error) = find::<rustls::Error>(error) {
            return Self { error: tls_text(error), remedy: tls_remedy(error, sends_certificate) };
        }
        let remedy = match error {
            ConnectionError::Tls(_) if is_end(error) => NOT_TLS,
            ConnectionError::Websocket(_) if transport == Transport::Wss && is_end(error) => NOT_TLS,
            ConnectionError::Websocket(_) | ConnectionError::ResponseValidation(_) => NOT_WEBSOCKET,
            ConnectionError::MqttState(_) | ConnectionError::NotConnAck(_) if transport == Transport::Tcp => {
                NOT_PLAIN
            }
            _ => AWAY,
        };
        Self { error: error.to_string(), remedy }
    }

    /// A connection that was there is gone.
    pub fn lost(error: String) -> Self {
        Self { error, remedy: AWAY }
    }
}

/// What to do about a broker that answers and does not want us.
pub(super) const fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            "check mqtt.username and mqtt.password_file"
        }
        ConnectReturnCode::BadClientId => "set another mqtt.client_id",
        ConnectReturnCode::RefusedProtocolVersion => "the broker must speak MQTT 3.1.1",
        ConnectReturnCode::ServiceUnavailable | ConnectReturnCode::Success => "look into the broker's log",
    }
}

/// Whether the other side hung up.
fn is_end(error: &ConnectionError) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    find::<io::Error>(error).is_some_and(|error| {
        matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
    })
}

/// The first error of this type among `error` and what caused it.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error does not name what it wraps as its cause.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn tls_text(error: &rustls::Error) -> String {
    use CertificateError as C;
    use rustls::Error::InvalidCertificate;
    match error {
        InvalidCertificate(C::ExpiredContext { not_after, .. }) => {
            format!("the broker's certificate expired on {}", date(*not_after))
        }
        InvalidCertificate(C::NotValidYetContext { not_before, .. }) => {
            format!("the broker's certificate is not valid before {}", date(*not_before))
        }
        InvalidCertificate(C::NotValidForNameContext { expected, presented }) => {
            let names = if presented.is_empty() { "no name".into() } else { presented.join(", ") };
            format!("the broker's certificate is not for {}, but for {names}", expected.to_str())
        }
        InvalidCertificate(C::Other(other)) => other.0.to_string(),
        _ => error.to_string(),
    }
}

fn tls_remedy(error: &rustls::Error, sends_certificate: bool) -> &'static str {
    use AlertDescription as A;
    use CertificateError as C;
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(certificate) => match certificate {
            C::UnknownIssuer | C::BadSignature => UNKNOWN_ISSUER,
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } => DATES,
            C::NotValidForName | C::NotValidForNameContext { .. } => WRONG_NAME,
            C::Other(other) if other.0.is::<Unpinned>() => WRONG_PIN,
            _ => BAD_CERTIFICATE,
        },
        E::AlertReceived(A::CertificateRequired) => CLIENT_WANTED,
        // What OpenSSL says to a TLS 1.2 client without a certificate.
        E::AlertReceived(A::HandshakeFailure) if !sends_certificate => CLIENT_WANTED,
        E::AlertReceived(
            A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::DecryptError,
        ) => CLIENT_REFUSED,
        E::AlertReceived(A::NoApplicationProtocol) | E::NoApplicationProtocol => ALPN,
        E::AlertReceived(A::ProtocolVersion | A::InsufficientSecurity | A::HandshakeFailure)
        | E::PeerIncompatible(_) => TLS_VERSION,
        E::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            NOT_TLS
        }
        _ => AWAY,
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "a date far away".into(), |time| time.to_string())
}
