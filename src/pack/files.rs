//! A pack's files, wherever they are, read with bounds and hashed.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::PackError;

pub const MANIFEST: &str = "pack.toml";

/// Bytes. Manifests are a page, tokenizers a few megabytes; models end where Protocol Buffers do.
const LARGEST_MANIFEST: u64 = 1 << 20;
const LARGEST_READ: u64 = 256 << 20;
pub const LARGEST_FILE: u64 = 2 << 30;

/// The files of a pack that is carried in the binary, by name.
pub type EmbeddedFiles = &'static [(&'static str, &'static [u8])];

/// Where a pack's files are.
#[derive(Debug, Clone)]
pub enum Store {
    Embedded(EmbeddedFiles),
    Folder(PathBuf),
}

impl Store {
    /// `nano/image.int8.onnx`, or a path.
    pub fn describe(&self, file: &str) -> String {
        match self {
            Self::Embedded(_) => format!("nano/{file}"),
            Self::Folder(folder) => folder.join(file).display().to_string(),
        }
    }

    /// The text of `pack.toml`; `path` is what the operator named.
    pub fn manifest(&self, path: &Path) -> Result<String, PackError> {
        let bytes = match self {
            Self::Embedded(_) => Cow::Borrowed(self.embedded("nano", MANIFEST)?),
            Self::Folder(folder) => {
                let read = bounded(&folder.join(MANIFEST), LARGEST_MANIFEST);
                Cow::Owned(read.map_err(|source| PackError::Open { path: path.to_owned(), source })?)
            }
        };
        String::from_utf8(bytes.into_owned()).map_err(|_| PackError::Manifest {
            path: self.describe(MANIFEST),
            reason: "is not UTF-8 text".into(),
        })
    }

    /// A file of the binary.
    pub fn embedded(&self, pack: &str, file: &str) -> Result<&'static [u8], PackError> {
        let files = match self {
            Self::Embedded(files) => *files,
            Self::Folder(_) => &[],
        };
        let found = files.iter().find(|(name, _)| *name == file);
        found
            .map(|(_, bytes)| *bytes)
            .ok_or_else(|| PackError::Missing { pack: pack.into(), file: file.into() })
    }

    /// The whole of a file that is not a model, its hash verified.
    pub fn read(&self, pack: &str, file: &str, expected: &str) -> Result<Cow<'static, [u8]>, PackError> {
        match self {
            Self::Embedded(_) => self.embedded(pack, file).map(Cow::Borrowed),
            Self::Folder(folder) => {
                let path = folder.join(file);
                check_size(pack, file, &path, LARGEST_READ)?;
                let bytes = bounded(&path, LARGEST_READ).map_err(|source| unreadable(pack, file, source))?;
                compare(pack, file, expected, &Sha256::digest(&bytes))?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// Hashes a file without keeping it.
    pub fn verify(&self, pack: &str, file: &str, expected: &str) -> Result<(), PackError> {
        let hash = match self {
            Self::Embedded(_) => Sha256::digest(self.embedded(pack, file)?),
            Self::Folder(folder) => {
                let path = folder.join(file);
                check_size(pack, file, &path, LARGEST_FILE)?;
                hash_file(&path).map_err(|source| unreadable(pack, file, source))?
            }
        };
        compare(pack, file, expected, &hash)
    }
}

type Hash = sha2::digest::Output<Sha256>;

/// The SHA-256 of a file.
pub fn hash_file(path: &Path) -> io::Result<Hash> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize()),
            Ok(length) => hasher.update(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(
            ErrorKind::FileTooLarge,
            format!("{} is larger than {most} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

fn check_size(pack: &str, file: &str, path: &Path, most: u64) -> Result<(), PackError> {
    let size = std::fs::metadata(path).map_err(|source| unreadable(pack, file, source))?.len();
    if (1..=most).contains(&size) {
        return Ok(());
    }
    Err(PackError::Size { pack: pack.into(), file: file.into(), size, most })
}

fn unreadable(pack: &str, file: &str, source: io::Error) -> PackError {
    let (pack, file) = (pack.into(), file.into());
    match source.kind() {
        ErrorKind::NotFound => PackError::Missing { pack, file },
        _ => PackError::Read { pack, file, source },
    }
}

fn compare(pack: &str, file: &str, expected: &str, found: &Hash) -> Result<(), PackError> {
    let found = hex::encode(found);
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(PackError::Hash { pack: pack.into(), file: file.into(), expected: expected.into(), found })
}

/// Writes through to a file and hashes what passes.
pub struct HashingFile {
    file: io::BufWriter<File>,
    hasher: Sha256,
}

impl HashingFile {
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: io::BufWriter::new(File::create(path)?), hasher: Sha256::new() })
    }

    /// Flushes to the disk; the hash in hexadecimal.
    pub fn finish(self) -> io::Result<String> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(hex::encode(self.hasher.finalize()))
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
