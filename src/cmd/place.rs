//! Putting a changed configuration in the place of the one that was, whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rustix::fs::{Access, access};

/// A configuration file that is to be changed.
pub struct Place {
    /// The file itself, where the path given is a link to it.
    file: PathBuf,
    draft: PathBuf,
}

/// Written and on the disk, but not yet in place of what was there before.
pub struct Draft<'a>(&'a Place);

impl Draft<'_> {
    /// Puts it in place, in one step. Owner and rights stay.
    pub fn keep(self) -> anyhow::Result<()> {
        let Place { file, draft } = self.0;
        fs::rename(draft, file).with_context(|| format!("cannot replace {}", file.display()))
    }

    /// Throws it away.
    pub fn discard(self) {
        _ = fs::remove_file(&self.0.draft); // the next one is written over it
    }
}

impl Place {
    /// Finds out, before hours of work, whether the file can be changed.
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        let file = fs::canonicalize(path).with_context(|| path.display().to_string())?;
        let draft = beside(&file, ".new");
        let remedy = || format!("cannot write beside {}", file.display());
        File::create(&draft).with_context(remedy)?;
        fs::remove_file(&draft).with_context(remedy)?;
        Ok(Self { file, draft })
    }

    /// Whether the file could be replaced now, as far as that is a matter of rights.
    pub fn is_writable(path: &Path) -> bool {
        let file = fs::canonicalize(path);
        let folder = file.as_deref().ok().and_then(Path::parent);
        folder.is_some_and(|folder| access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok())
    }

    /// Puts `after` in the place of `before`, which is kept beside it; returns where. Owner and rights stay.
    pub fn replace(&self, before: &str, after: &str) -> anyhow::Result<PathBuf> {
        let draft = self.draft(before, after)?;
        let backup = self.back_up(before).context("cannot keep the configuration as it was")?;
        draft.keep()?;
        Ok(backup)
    }

    /// Writes `after` beside the file, if that still holds `before`.
    pub fn draft(&self, before: &str, after: &str) -> anyhow::Result<Draft<'_>> {
        let now = fs::read(&self.file).with_context(|| self.file.display().to_string())?;
        ensure!(
            now == before.as_bytes(),
            "{} was changed meanwhile and is left as it is; look at it, and do it again or yourself",
            self.file.display()
        );
        self.write(after).with_context(|| format!("cannot write {}", self.draft.display()))?;
        Ok(Draft(self))
    }

    /// Under the first name that is free: what an earlier calibration kept stays.
    fn back_up(&self, text: &str) -> std::io::Result<PathBuf> {
        let mut number = 0;
        loop {
            let suffix = if number == 0 { ".bak".into() } else { format!(".bak.{number}") };
            let path = beside(&self.file, &suffix);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return self.fill(file, text).map(|()| path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let written = File::create(&self.draft).and_then(|file| self.fill(file, text));
        if written.is_err() {
            _ = fs::remove_file(&self.draft); // the error is what matters
        }
        written
    }

    /// Writes to the disk, with the owner and the rights of the configuration, which the daemon must be able to read.
    fn fill(&self, mut file: File, text: &str) -> std::io::Result<()> {
        let like = fs::metadata(&self.file)?;
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            fchown(&file, Some(like.uid()), Some(like.gid()))?;
        }
        file.set_permissions(like.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

/// `path` with `suffix` behind its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_old_one_is_kept_and_a_changed_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("w.toml"), folder.path().join("link.toml"));
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        let place = Place::new(&link).unwrap();
        let first = place.replace("one", "two").unwrap();
        let second = place.replace("two", "three").unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!([read(&path), read(&first), read(&second)], ["three", "one", "two"]);
        assert!(link.is_symlink() && first.ends_with("w.toml.bak") && second.ends_with("w.toml.bak.1"));
        for path in [&path, &first] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o640);
        }
        let error = place.replace("two", "four").unwrap_err().to_string();
        assert!(error.contains("changed meanwhile"), "{error}");
        assert_eq!(read(&path), "three");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "nothing else is left");
        assert!(Place::new(&folder.path().join("none.toml")).is_err());
    }
}
