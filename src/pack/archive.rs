//! Packs as `.tar.zst`: unpacked once, beside the archive, with bounds on everything.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;

use super::PackError;
use super::files::{LARGEST_FILE, hash_file};
use super::manifest::is_plain;

/// A pack has a handful of files; a bomb has more.
const MOST_FILES: usize = 32;
const MOST_BYTES: u64 = 4 << 30;

/// The folder that `archive` is unpacked in. Its name carries the archive's hash, so a new archive of an old name is
/// unpacked anew, and a folder that is there is whole: it was moved into place in one step.
pub fn unpacked(archive: &Path) -> Result<PathBuf, PackError> {
    let hash = hash_file(archive).map_err(|source| PackError::Open { path: archive.to_owned(), source })?;
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".tar.zst").unwrap_or(&name);
    let short = hex::encode(hash.get(..6).unwrap_or_default());
    let folder = archive.with_file_name(format!("{stem}-{short}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    let partial = archive.with_file_name(format!(".{stem}-{short}.{}.partial", std::process::id()));
    let result = unpack(archive, &partial).and_then(|()| {
        fs::rename(&partial, &folder).or_else(|error| if folder.is_dir() { Ok(()) } else { Err(error) })
    });
    // Whatever happened, nothing half unpacked stays; after a rename there is nothing to remove.
    let _ = fs::remove_dir_all(&partial);
    result.map_err(|error| PackError::Archive {
        path: archive.to_owned(),
        reason: match error.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull => {
                format!("cannot be unpacked beside itself: {error}; unpack it elsewhere and name the folder")
            }
            _ => format!("cannot be unpacked: {error}; fetch it again"),
        },
    })?;
    tracing::info!(archive = %archive.display(), folder = %folder.display(), "unpacked a model pack");
    Ok(folder)
}

/// Unpacks into the folder `into`, which must not exist.
pub fn unpack(archive: &Path, into: &Path) -> io::Result<()> {
    fs::create_dir(into)?;
    let decoder = StreamingDecoder::new(BufReader::new(File::open(archive)?)).map_err(invalid)?;
    let mut tar = tar::Archive::new(decoder.take(MOST_BYTES));
    let mut names = HashSet::new();
    for entry in tar.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let path = entry.path()?.into_owned();
        let name = file_name(&path).ok_or_else(|| invalid(format!("{path:?} would lead out of the pack")))?;
        if !entry.header().entry_type().is_file() {
            return Err(invalid(format!("{path:?} is a link or a device; a pack has plain files")));
        }
        if entry.size() > LARGEST_FILE {
            return Err(invalid(format!("{path:?} is larger than {LARGEST_FILE} bytes")));
        }
        if !names.insert(name.clone()) {
            return Err(invalid(format!("{path:?} is there twice")));
        }
        if names.len() > MOST_FILES {
            return Err(invalid(format!("has more than {MOST_FILES} files")));
        }
        let mut file = File::create_new(into.join(name))?;
        if io::copy(&mut entry, &mut file)? != entry.size() {
            return Err(invalid(format!("{path:?} is cut off")));
        }
        file.sync_all()?;
    }
    Ok(())
}

/// The last part of `name`, `./name`, `folder/name`; `None` for anything that is not so simple.
fn file_name(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let name = match *parts.as_slice() {
        [name] | [_, name] => name,
        _ => return None,
    };
    is_plain(name).then(|| name.to_owned())
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
