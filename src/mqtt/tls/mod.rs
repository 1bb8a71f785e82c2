//! TLS to the broker: whom we trust there, and who we are.
//!
//! `rustls` with the `ring` provider. Everything is read from disk when a connection is made.

mod verify;

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::config::{FileRef, Tls};
use crate::pem::{self, PemError};
pub(super) use verify::Unpinned;
use verify::{Trust, Verifier};

/// Why no TLS connection can be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("mqtt.tls.{key} {file}: {source}")]
    File { key: &'static str, file: FileRef, source: PemError },
    #[error("mqtt.tls.ca_file {file}: {source}")]
    Authority { file: FileRef, source: rustls::Error },
    #[error(
        "no certificates of authorities on this system; install them (Debian: ca-certificates), or set \
         mqtt.tls.ca_file{details}"
    )]
    NoAuthorities { details: String },
    #[error("mqtt.tls.client_certificate and mqtt.tls.client_key: {0}; do they belong together?")]
    Client(#[source] rustls::Error),
    #[error("mqtt.tls.server_name {name:?}: {source}")]
    ServerName { name: String, source: InvalidDnsNameError },
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// What a TLS connection needs, as `settings` and the files they name are now.
pub(super) fn client(settings: &Tls) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(trust(settings, &provider)?, name(settings)?, &provider);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .dangerous() // as rustls calls every verifier that is not its own; ours asks rustls' own
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match (&settings.client_certificate, &settings.client_key) {
        (Some(certificate), Some(key)) => {
            let chain = read("client_certificate", certificate, pem::certificates)?;
            let key = read("client_key", key, pem::private_key)?;
            builder.with_client_auth_cert(chain, key).map_err(TlsError::Client)?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = settings.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(config)
}

fn trust(settings: &Tls, provider: &Arc<CryptoProvider>) -> Result<Trust, TlsError> {
    if settings.danger_accept_any_certificate {
        return Ok(Trust::Anybody);
    }
    let pins = settings.pin_sha256.clone();
    let roots = match &settings.ca_file {
        None if !pins.is_empty() => return Ok(Trust::Pinned(pins)),
        None => system_roots()?,
        Some(file) => own_roots(file)?,
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
        .build()
        .map_err(|error| TlsError::Setup(error.to_string()))?;
    Ok(Trust::Issued { verifier, pins })
}

fn own_roots(file: &FileRef) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read("ca_file", file, pem::certificates)? {
        roots.add(certificate).map_err(|source| TlsError::Authority { file: file.clone(), source })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store holds odd old certificates; one that cannot be read cannot be trusted, and that is all.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let details = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(TlsError::NoAuthorities { details });
    }
    Ok(roots)
}

fn read<T>(
    key: &'static str,
    file: &FileRef,
    read: impl FnOnce(&FileRef) -> Result<T, PemError>,
) -> Result<T, TlsError> {
    read(file).map_err(|source| TlsError::File { key, file: file.clone(), source })
}

fn name(settings: &Tls) -> Result<Option<ServerName<'static>>, TlsError> {
    let Some(name) = &settings.server_name else { return Ok(None) };
    match ServerName::try_from(name.clone()) {
        Ok(name) => Ok(Some(name)),
        Err(source) => Err(TlsError::ServerName { name: name.clone(), source }),
    }
}
