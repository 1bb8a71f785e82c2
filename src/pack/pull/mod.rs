//! `watchword models pull`: a pack of published weights, fetched file by file, checked, and put in place in one step.
//!
//! Until then everything is in a hidden folder beside the place; an interrupted pull leaves the store as it was, and the
//! next one goes on there. The detector is that of `nano`. Knows packs and hosts; has never heard of an engine: whether
//! the files work is for the caller to try before they are put in place.

mod fetch;
mod known;
mod lock;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::fetch::{Origin, Progress};
use self::known::published;
pub use self::known::{HOST, KNOWN, Known};
use self::lock::Lock;
use super::architecture::Precision;
use super::files::MANIFEST;
use super::make::{Towers, detector, manifest, write_manifest};
use super::{Pack, PackError, archive};

/// Between two attempts, at first.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a pack was not pulled. The store is as before.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error("{url}: {error}; run it again, it goes on where it was cut off, or name a mirror with --from")]
    Connection { url: String, error: io::Error },
    #[error("{url}: the host answers {status}; is there such a file, or is a mirror wanted (--from)?")]
    Status { url: String, status: u16 },
    #[error("{url}: sends on to {to:?}, which is no address that can be followed from there")]
    Redirect { url: String, to: String },
    #[error("{url}: larger than any model of a pack; this is another file")]
    TooLarge { url: String },
    #[error(
        "{url}: what came is not what the host declares ({wanted}); run it again, or name a mirror with --from"
    )]
    Damaged { url: String, wanted: String },
    #[error(
        "{file}: its SHA-256 is {found}, and was {locked} when it was pulled first ({lock}); whoever publishes it has \
         changed it, or somebody else has. If you know why: --update"
    )]
    Changed { file: String, found: String, locked: String, lock: PathBuf },
    #[error("{folder} holds neither {path} nor a file of that name alone, and no pack.toml")]
    NotThere { folder: PathBuf, path: String },
    #[error("{from}: {error}")]
    Copy { from: PathBuf, error: io::Error },
    #[error("{path}: {error}; is there room on the disk, and may we write there? --out names another place")]
    Write { path: PathBuf, error: io::Error },
    #[error("{path}: {reason}; mend it, or remove it and trust what comes next")]
    Lock { path: PathBuf, reason: String },
    #[error("what was fetched is no pack that works: {0}")]
    Unfit(PackError),
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl PullError {
    /// Whether it may be gone in a moment.
    fn may_pass(&self) -> bool {
        match self {
            Self::Connection { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            _ => false,
        }
    }
}

/// What is pulled, and where to.
#[derive(Debug, Clone, Copy)]
pub struct Pull<'a> {
    pub known: Known,
    pub precision: Precision,
    /// A mirror's address, a folder, or an archive of a pack; `None`: where it is published.
    pub from: Option<&'a str>,
    /// The pack's folder to be. One that is there is replaced.
    pub out: &'a Path,
    /// Whether files may differ from those that were pulled first.
    pub update: bool,
}

/// Pulls. `try_out` is shown the pack before it is put in place, and says whether it works.
pub fn pull(
    pull: &Pull<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
    try_out: &mut dyn FnMut(&Pack) -> Result<(), PackError>,
) -> Result<Pack, PullError> {
    pull_with(pull, PAUSE, progress, try_out)
}

fn pull_with(
    pull: &Pull<'_>,
    pause: Duration,
    progress: &mut dyn FnMut(Progress<'_>),
    try_out: &mut dyn FnMut(&Pack) -> Result<(), PackError>,
) -> Result<Pack, PullError> {
    let name = pull.out.file_name().unwrap_or_default().to_string_lossy();
    let store = pull.out.parent().unwrap_or(Path::new(""));
    let partial = pull.out.with_file_name(format!(".{name}.partial"));
    let unwritten = |error| PullError::Write { path: partial.clone(), error };
    let local = pull.from.filter(|from| !is_address(from)).map(Path::new);
    let lock = match local {
        Some(archive) if archive.is_file() => {
            clear(&partial).map_err(unwritten)?;
            fs::create_dir_all(store).map_err(unwritten)?;
            archive::unpack(archive, &partial).map_err(unwritten)?;
            None
        }
        Some(folder) if folder.join(MANIFEST).is_file() => {
            clear(&partial).map_err(unwritten)?;
            fs::create_dir_all(&partial).map_err(unwritten)?;
            copy_pack(folder, &partial)?;
            None
        }
        Some(folder) => {
            let origin = Origin::Folder(folder.to_owned());
            Some(gather(pull, &origin, &partial, store, progress)?)
        }
        None => {
            let origin = Origin::web(&pull.known.below(pull.from.unwrap_or(HOST)), pause);
            Some(gather(pull, &origin, &partial, store, progress)?)
        }
    };
    let pack = Pack::open(&partial)?;
    for (_, whole) in pack.verify() {
        whole.map_err(PullError::Unfit)?;
    }
    try_out(&pack).map_err(PullError::Unfit)?;
    put(&partial, pull.out).map_err(unwritten)?;
    if let Some(lock) = lock {
        lock.write(&store.join(lock::NAME))?;
    }
    Ok(Pack::open(pull.out)?)
}

/// Fetches every file into `partial` and writes the manifest. Returns the lock with what was fetched.
fn gather(
    pull: &Pull<'_>,
    origin: &Origin,
    partial: &Path,
    store: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Lock, PullError> {
    let Known { repository, revision, .. } = pull.known;
    let unwritten = |error| PullError::Write { path: partial.to_owned(), error };
    fs::create_dir_all(partial).map_err(unwritten)?;
    let lock_file = store.join(lock::NAME);
    let mut lock = Lock::read(&lock_file)?;
    let published = published(pull.precision);
    let mut hashes = BTreeMap::new();
    for (path, file) in published {
        let place = partial.join(file);
        let sha256 = origin.fetch(path, &place, progress)?.sha256;
        let key = format!("{repository}/{revision}/{path}");
        match lock.get(&key) {
            Some(locked) if locked != sha256 && !pull.update => {
                // It would only be gone on from.
                fs::remove_file(&place).map_err(unwritten)?;
                let (found, locked) = (sha256, locked.to_owned());
                return Err(PullError::Changed { file: key, found, locked, lock: lock_file });
            }
            _ => lock.set(key, sha256.clone()),
        }
        hashes.insert(file.to_owned(), sha256);
    }
    let nano = Pack::open(Path::new("nano"))?;
    let detector = detector(&nano, partial, &mut hashes).map_err(unwritten)?;
    let [image, text, tokenizer] = published.map(|(_, file)| file.to_owned());
    let towers = Towers { image, text, tokenizer };
    let mut manifest = manifest(&pull.known.clip, pull.known.space.to_owned(), towers, detector, hashes);
    manifest.name = format!("{}-{}", pull.known.name, pull.precision.name());
    manifest.license = format!("{} (towers); detector as in nano", pull.known.license);
    manifest.source = pull.known.below(HOST);
    write_manifest(&manifest, partial).map_err(unwritten)?;
    Ok(lock)
}

/// Copies a pack's files, which its manifest names.
fn copy_pack(from: &Path, to: &Path) -> Result<(), PullError> {
    let pack = Pack::open(from)?;
    let names = pack.manifest().sha256.keys().map(String::as_str).chain([MANIFEST]);
    for name in names {
        let source = from.join(name);
        fs::copy(&source, to.join(name)).map_err(|error| PullError::Copy { from: source, error })?;
    }
    Ok(())
}

/// Puts the finished folder in place. A pack that was there is set aside first, and comes back if that fails.
fn put(partial: &Path, out: &Path) -> io::Result<()> {
    let old = partial.with_extension("old");
    clear(&old)?;
    if out.exists() {
        fs::rename(out, &old)?;
    }
    fs::rename(partial, out).inspect_err(|_| _ = fs::rename(&old, out))?;
    clear(&old)
}

fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether `from` is an address and not a path.
fn is_address(from: &str) -> bool {
    from.starts_with("https://") || from.starts_with("http://")
}
