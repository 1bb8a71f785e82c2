//! Where the daemon may keep what must outlive it.

use std::env;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// systemd's `StateDirectory=`, else `/var/lib/watchword` if it is there and we may write to it.
pub(super) fn folder() -> Option<PathBuf> {
    // Several are separated by colons (systemd.exec(5)); the first is ours.
    let given = env::var_os("STATE_DIRECTORY").and_then(|all| env::split_paths(&all).next());
    given.or_else(|| {
        let folder = Path::new("/var/lib/watchword");
        (folder.is_dir() && access(folder, Access::WRITE_OK).is_ok()).then(|| folder.to_owned())
    })
}
