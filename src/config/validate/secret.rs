//! Whether a file that is named can be read, and whether by too many.

use std::path::Path;

use crate::config::report::Report;
use crate::config::{FileRef, FileRefError, KeyPath};

/// Reports a file that cannot be read, with `remedy`, and a secret that everybody can read.
pub(super) fn file(
    report: &mut Report,
    path: &KeyPath,
    named: Option<&FileRef>,
    remedy: &str,
    is_secret: bool,
) {
    let Some(named) = named else { return };
    let file = match named.path() {
        Ok(file) => file,
        // Whoever checks a configuration by hand has no credentials; the service will.
        Err(error @ FileRefError::NoCredentials(_)) => {
            return report.warning(path, format!("not checked: {error}"));
        }
        Err(error) => return report.error(path, error.to_string()),
    };
    if let Err(error) = std::fs::read(&file) {
        return report.error(path, format!("cannot read {}: {error}; {remedy}", file.display()));
    }
    if is_secret && is_open(&file) {
        let message = format!("everybody on this box can read {0}; chmod o-rwx {0}", file.display());
        report.warning(path, message);
    }
}

/// Whether users who neither own the file nor belong to its group can read it.
#[cfg(unix)]
fn is_open(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|data| data.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}
