//! Which format a file is in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::de::IgnoredAny;

use super::tubes;

/// No annotation of a public data set comes near; it bounds what a mistaken file costs.
const MOST_BYTES: u64 = 1 << 30;

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON with labels, tubes and frames
    Reference,
    /// ACT, MOC, YOWO: JHMDB-GT.pkl, UCF101v2-GT.pkl, and detections as those write them
    Tubes,
    /// pyannot.pkl of the corrected UCF101-24
    Ucf101,
    /// iCLIP's and ST-CLIP's J-HMDB in JSON, and persons detected
    Jhmdb,
    /// A folder of text files, one a frame, as YOWO writes them
    Yowo,
    /// AVA's CSV
    Ava,
}

/// A file's content, or a folder.
pub enum Source {
    File(Vec<u8>),
    Folder(PathBuf),
}

impl Source {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 <= MOST_BYTES, "larger than {MOST_BYTES} bytes");
        Ok(Self::File(bytes))
    }

    pub fn bytes(&self) -> anyhow::Result<&[u8]> {
        match self {
            Self::File(bytes) => Ok(bytes),
            Self::Folder(_) => bail!("it is a folder; this format is a file"),
        }
    }

    pub fn folder(&self) -> anyhow::Result<&Path> {
        match self {
            Self::Folder(path) => Ok(path),
            Self::File(_) => bail!("it is a file; this format is a folder of text files, one a frame"),
        }
    }

    /// By content; names are not asked.
    pub fn format(&self) -> anyhow::Result<Format> {
        let Self::File(bytes) = self else { return Ok(Format::Yowo) };
        let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        match start {
            None => bail!("it is empty"),
            Some(b'{') => {
                let keys: BTreeMap<String, IgnoredAny> = serde_json::from_slice(bytes).context("JSON")?;
                let has = |key: &str| keys.contains_key(key);
                if has("images") && has("annotations") {
                    Ok(Format::Jhmdb)
                } else if has("tubes") || has("frames") {
                    Ok(Format::Reference)
                } else {
                    bail!("JSON with neither images and annotations (J-HMDB) nor tubes or frames in it")
                }
            }
            Some(b'[') => Ok(Format::Jhmdb),
            // Pickles begin with 0x80 since protocol 2, and before that with one of the others.
            Some(0x80 | b'(' | b'}') => Ok(if tubes::is(bytes) { Format::Tubes } else { Format::Ucf101 }),
            Some(b'c') if bytes.starts_with(b"cnumpy") => Ok(Format::Tubes),
            Some(_) if line.iter().filter(|byte| **byte == b',').count() >= 6 => Ok(Format::Ava),
            Some(_) => bail!("its format is none that is known; say which it is"),
        }
    }
}
