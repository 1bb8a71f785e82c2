//! Whether the certificate that the broker shows is the right one.
//!
//! Whatever is trusted, the broker must prove in the handshake that it has the certificate's key.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::config::Pin;

/// Whom we trust.
#[derive(Debug)]
pub(super) enum Trust {
    /// Who an authority vouches for, by name and for now; and where there are pins, of those only the pinned.
    Issued { verifier: Arc<WebPkiServerVerifier>, pins: Vec<Pin> },
    /// One of these, whoever issued it to whatever name and until when.
    Pinned(Vec<Pin>),
    /// Whoever answers.
    Anybody,
}

/// The broker's certificate is none of those pinned; the fault names what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the broker shows another certificate than the pinned one, with the SHA-256 {0}")]
pub(in crate::mqtt) struct Unpinned(Pin);

#[derive(Debug)]
pub(super) struct Verifier {
    trust: Trust,
    /// What the certificate must be for, where that is not the host.
    name: Option<ServerName<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub fn new(trust: Trust, name: Option<ServerName<'static>>, provider: &CryptoProvider) -> Self {
        Self { trust, name, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Issued { verifier, pins } => {
                let name = self.name.as_ref().unwrap_or(host);
                verifier.verify_server_cert(certificate, intermediates, name, ocsp, now)?;
                if !pins.is_empty() {
                    check_pins(pins, certificate)?;
                }
            }
            Trust::Pinned(pins) => check_pins(pins, certificate)?,
            Trust::Anybody => {}
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn check_pins(pins: &[Pin], certificate: &CertificateDer<'_>) -> Result<(), Error> {
    let fingerprint = Pin(Sha256::digest(certificate).into());
    let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    let key = Pin(Sha256::digest(&key).into());
    if pins.contains(&fingerprint) || pins.contains(&key) {
        return Ok(());
    }
    Err(CertificateError::Other(OtherError(Arc::new(Unpinned(fingerprint)))).into())
}
