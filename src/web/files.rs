//! The files that the settings of the page name: who may look, and the certificate.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::auth::Access;
use crate::config::{self, FileRef, SecretError};
use crate::pem::{self, PemError};

/// The longest token or hash, bytes.
const MOST_SECRET: u64 = 4096;
/// The shortest token.
const LEAST_TOKEN: usize = 16;

/// Why the page cannot be served with these files.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error("web.{key} {file}: {source}")]
    Secret { key: &'static str, file: FileRef, source: SecretError },
    #[error(
        "web.password_file {0}: it holds no hash of a password; `watchword web password` asks for one and prints its hash"
    )]
    NoHash(FileRef),
    #[error(
        "web.token_file {0}: shorter than {LEAST_TOKEN} characters, so it could be guessed; write a longer one"
    )]
    ShortToken(FileRef),
    #[error("web.{key} {file}: {source}")]
    Pem { key: &'static str, file: FileRef, source: PemError },
    #[error("web.certificate and web.key: {0}; do they belong together?")]
    Certificate(#[source] rustls::Error),
}

/// What is in the files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub access: Access,
    certificate: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Files {
    /// As they are now.
    ///
    /// # Errors
    /// If one is not there, or not what it should be.
    pub fn read(web: &config::Web) -> Result<Self, FilesError> {
        let certificate = match (&web.certificate, &web.key) {
            (Some(certificate), Some(key)) => {
                let failed =
                    |key, file: &FileRef, source| FilesError::Pem { key, file: file.clone(), source };
                let chain =
                    pem::certificates(certificate).map_err(|e| failed("certificate", certificate, e))?;
                Some((chain, pem::private_key(key).map_err(|e| failed("key", key, e))?))
            }
            _ => None, // neither; one without the other is no valid configuration
        };
        let password = secret("password_file", web.password_file.as_ref())?;
        let token = secret("token_file", web.token_file.as_ref())?;
        if let (Some(file), Some(hash)) = (&web.password_file, &password)
            && argon2::PasswordHash::new(hash).is_err()
        {
            return Err(FilesError::NoHash(file.clone()));
        }
        if let (Some(file), Some(token)) = (&web.token_file, &token)
            && token.len() < LEAST_TOKEN
        {
            return Err(FilesError::ShortToken(file.clone()));
        }
        let access = Access { needed: web.needs_login(), password, token, hosts: web.hosts.clone() };
        Ok(Self { access, certificate })
    }

    /// What connections are encrypted with; `None`: they are not.
    ///
    /// # Errors
    /// If certificate and key do not belong together.
    pub fn tls(&self) -> Result<Option<Arc<ServerConfig>>, FilesError> {
        let Some((chain, key)) = &self.certificate else { return Ok(None) };
        let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(chain.clone(), key.clone_key())
            })
            .map_err(FilesError::Certificate)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Arc::new(tls)))
    }
}

fn secret(key: &'static str, file: Option<&FileRef>) -> Result<Option<String>, FilesError> {
    let read = |file: &FileRef| {
        let failed = |source| FilesError::Secret { key, file: file.clone(), source };
        file.secret(MOST_SECRET).map_err(failed)
    };
    file.map(read).transpose()
}
