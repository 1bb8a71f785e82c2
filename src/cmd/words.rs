//! The vocabulary that was set over MQTT, kept in the state folder so that it survives a restart.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::config::Overlay;

/// More than any command may have.
const MOST_BYTES: u64 = 1 << 20;

/// Where it is kept; `None` if there is no state folder.
pub fn file() -> Option<PathBuf> {
    super::state::folder().map(|folder| folder.join("vocabulary.json"))
}

/// What is kept at `path`; `None` if nothing is.
pub fn read(path: &Path) -> anyhow::Result<Option<Overlay>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.with_context(|| path.display().to_string())?,
    };
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text).with_context(|| path.display().to_string())?;
    ensure!(text.len() as u64 <= MOST_BYTES, "{}: larger than {MOST_BYTES} bytes", path.display());
    serde_json::from_str(&text).map(Some).with_context(|| path.display().to_string())
}

/// Forgets what is kept at `path`.
pub fn forget(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}

/// Written and on the disk, but not yet in place of what was kept before.
pub struct Draft {
    written: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// Writes `overlay` beside `path`.
    pub fn write(path: &Path, overlay: &Overlay) -> anyhow::Result<Self> {
        let written = path.with_extension("json.new");
        let write = || {
            let mut file = File::create(&written)?;
            serde_json::to_writer_pretty(&mut file, overlay)?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().with_context(|| format!("cannot keep the vocabulary in {}", written.display()))?;
        Ok(Self { written, path: path.to_owned() })
    }

    /// Puts it in place, in one step.
    pub fn keep(self) -> anyhow::Result<()> {
        fs::rename(&self.written, &self.path)
            .with_context(|| format!("cannot keep the vocabulary in {}", self.path.display()))
    }

    /// Throws it away.
    pub fn discard(self) {
        _ = fs::remove_file(self.written); // the next one is written over it
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_a_draft_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vocabulary.json");
        assert_eq!(read(&path).unwrap(), None);
        forget(&path).unwrap();
        let overlay = |name: &str| Overlay {
            since: "2026-11-22T20:14:03Z".parse().unwrap(),
            actions: json!([{"name": name, "phrases": ["x"]}]),
            background: None,
        };
        let draft = Draft::write(&path, &overlay("a")).unwrap();
        assert_eq!(read(&path).unwrap(), None, "not in place yet");
        draft.keep().unwrap();
        Draft::write(&path, &overlay("b")).unwrap().discard();
        assert_eq!(read(&path).unwrap(), Some(overlay("a")));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        fs::write(&path, "{\"since\": 3}").unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("vocabulary.json: "));
        forget(&path).unwrap();
        assert_eq!(read(&path).unwrap(), None);
        let nowhere = folder.path().join("no/such/folder/vocabulary.json");
        assert!(Draft::write(&nowhere, &overlay("a")).is_err());
    }
}
