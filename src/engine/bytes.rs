//! Where a model's bytes are, and how they are read.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::path::PathBuf;

use super::carried::Carried;
use super::outline;

/// A model that is carried in the binary, or a file to be read.
#[derive(Debug, Clone)]
pub enum ModelBytes {
    Static(&'static [u8]),
    File(PathBuf),
    /// Made while the program runs.
    Made(Vec<u8>),
}

/// What a model's bytes are read from.
pub(super) trait Bytes: Read + Seek {}

impl<T: Read + Seek> Bytes for T {}

impl ModelBytes {
    /// All of them.
    ///
    /// # Errors
    /// They cannot be read, or are no whole ONNX model.
    pub fn whole(&self) -> Result<Cow<'_, [u8]>, String> {
        outline::check(self)?;
        match self {
            Self::Static(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::File(path) => fs::read(path).map(Cow::Owned).map_err(unreadable),
            Self::Made(bytes) => Ok(Cow::Borrowed(bytes)),
        }
    }

    /// How many there are.
    pub(super) fn size(&self) -> Result<u64, String> {
        match self {
            Self::Static(bytes) => Ok(bytes.len() as u64),
            Self::File(path) => {
                let metadata = fs::metadata(path).map_err(unreadable)?;
                if metadata.is_file() { Ok(metadata.len()) } else { Err("is not a file".into()) }
            }
            Self::Made(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// From the first to the last, without having all of them in memory.
    pub(super) fn open(&self) -> Result<BufReader<Box<dyn Bytes + '_>>, String> {
        let bytes: Box<dyn Bytes> = match self {
            Self::Static(bytes) => match Carried::find(bytes) {
                Some(carried) => Box::new(carried),
                None => Box::new(Cursor::new(bytes)),
            },
            Self::File(path) => Box::new(File::open(path).map_err(unreadable)?),
            Self::Made(bytes) => Box::new(Cursor::new(bytes)),
        };
        Ok(BufReader::new(bytes))
    }
}

fn unreadable(error: io::Error) -> String {
    format!("cannot be read: {error}")
}
