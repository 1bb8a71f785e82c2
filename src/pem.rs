//! Certificates and keys in the PEM files that settings name, for both ends of TLS.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{FileRef, FileRefError};

/// Why a file gives none.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    #[error(transparent)]
    Path(FileRefError),
    #[error("{source}; it must be a PEM file with {wanted}")]
    Content { wanted: &'static str, source: pem::Error },
}

/// At least one.
pub fn certificates(file: &FileRef) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let failed = |source| PemError::Content { wanted: "certificates", source };
    let path = file.path().map_err(PemError::Path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(failed)?.collect();
    match read.map_err(failed)? {
        none if none.is_empty() => Err(failed(pem::Error::NoItemsFound)),
        some => Ok(some),
    }
}

/// The first that is there.
pub fn private_key(file: &FileRef) -> Result<PrivateKeyDer<'static>, PemError> {
    let failed = |source| PemError::Content { wanted: "a private key that is not encrypted", source };
    PrivateKeyDer::from_pem_file(file.path().map_err(PemError::Path)?).map_err(failed)
}
