//! Whether the configuration file, or a model that it names, has changed, by looking.
//!
//! A look costs one `stat` and sees everything: editors that put a new file in the old one's place, links that are
//! swapped, folders that are mounted. What the kernel's notifications miss of these would have to be looked for anyway.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Config, Heads};

/// A file must have been left alone for so long: whoever writes it may not be done.
const SETTLED: Duration = Duration::from_millis(700);

/// What tells one state of a file from another: device, number, size, change of content in seconds and nanoseconds.
/// `None`: it is not there, or cannot be looked at.
pub(super) type Signature = Option<(u64, u64, u64, i64, i64)>;

/// A file that is looked at now and then.
pub(super) struct Watch {
    path: PathBuf,
    /// Of the file that was read.
    read: Signature,
    /// Of the file as it was last seen, and since when.
    seen: (Signature, Duration),
}

impl Watch {
    /// What is at `path` now counts as read. Times are monotonic.
    pub fn new(path: &Path, now: Duration) -> Self {
        let signature = signature(path);
        Self { path: path.to_owned(), read: signature, seen: (signature, now) }
    }

    /// The file is about to be read.
    pub fn reading(&mut self, now: Duration) {
        *self = Self::new(&self.path, now);
    }

    /// Whether there is another file than was read, and it is left alone; says so once.
    pub fn is_due(&mut self, now: Duration) -> bool {
        let signature = signature(&self.path);
        if signature != self.seen.0 {
            self.seen = (signature, now);
        }
        let due = signature != self.read && now.saturating_sub(self.seen.1) >= SETTLED;
        if due {
            self.read = signature;
        }
        due
    }
}

/// The models' files, as they were when they were loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ModelFiles {
    /// A pack's manifest holds the hashes of all its files; an archive is one file.
    pub pack: Signature,
    /// Heads outside the pack.
    pub heads: Signature,
}

impl ModelFiles {
    /// What is at the paths that `config` names now.
    pub fn of(config: &Config) -> Self {
        let pack = &config.pack.path;
        let pack = signature(&pack.join("pack.toml")).or_else(|| signature(pack));
        let heads = if let Heads::File(path) = &config.scoring.heads { signature(path) } else { None };
        Self { pack, heads }
    }
}

/// Of what the path leads to, whatever links there are on the way.
fn signature(path: &Path) -> Signature {
    let data = fs::metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.size(), data.mtime(), data.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn every_way_to_change_a_file_is_seen_once_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let path = at("config");
        fs::write(at("one"), "1").unwrap();
        std::os::unix::fs::symlink(at("one"), &path).unwrap();
        let mut now = Duration::ZERO;
        let mut watch = Watch::new(&path, now);
        let mut is_seen = || {
            let early = watch.is_due(now);
            now += SECOND;
            let due = watch.is_due(now);
            now += SECOND;
            (early, due, watch.is_due(now))
        };
        let seen = (false, true, false);
        assert_eq!(is_seen(), (false, false, false));
        fs::write(&path, "12").unwrap();
        assert_eq!(is_seen(), seen, "written in place");
        fs::write(at("new"), "34").unwrap();
        fs::rename(at("new"), at("one")).unwrap();
        assert_eq!(is_seen(), seen, "replaced, as editors do");
        fs::write(at("two"), "34").unwrap();
        std::os::unix::fs::symlink(at("two"), at("link")).unwrap();
        fs::rename(at("link"), &path).unwrap();
        assert_eq!(is_seen(), seen, "another link, as Kubernetes does");
        fs::remove_file(&path).unwrap();
        assert_eq!(is_seen(), seen, "gone");
        fs::write(&path, "5").unwrap();
        assert_eq!(is_seen(), seen, "back");
    }

    #[test]
    fn a_file_that_is_being_written_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let mut watch = Watch::new(&path, Duration::ZERO);
        for n in 1..10 {
            fs::write(&path, "x".repeat(n)).unwrap();
            assert!(!watch.is_due(SETTLED * n as u32), "it has just changed again");
        }
        assert!(watch.is_due(SETTLED * 10));
    }

    #[test]
    fn what_was_read_meanwhile_is_no_news() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let mut watch = Watch::new(&path, Duration::ZERO);
        fs::write(&path, "x").unwrap();
        watch.reading(SECOND);
        assert!(!watch.is_due(2 * SECOND) && !watch.is_due(4 * SECOND));
    }
}
