//! SQLite files of which this process is the only user: opened, checked, set aside when they cannot be used.
//!
//! Write-ahead log, so that a batch costs one sequential write and one flush at most. `locking_mode=EXCLUSIVE` keeps a
//! second daemon out and needs no shared memory. See <https://www.sqlite.org/wal.html>.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// What a file holds.
pub struct Format {
    /// Says in the file's header whose it is.
    pub application: i32,
    /// Of the tables.
    pub version: i32,
    /// The statements that make the tables.
    pub tables: &'static str,
    /// Whether what counts as written survives a power cut, or but for the last half minute.
    pub durable: bool,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("no space left on the device")]
    Full,
    #[error("the file or its file system is read-only")]
    ReadOnly,
    #[error("another process uses it; give every watchword a file of its own")]
    Busy,
    #[error("it is damaged: {0}")]
    Corrupt(String),
    #[error("it was written by a newer watchword, in format {0}")]
    Newer(i32),
    #[error("it is another program's database; set another path, or move it away")]
    Foreign,
    #[error("{0}")]
    Io(io::Error),
    #[error("{0}")]
    Other(rusqlite::Error),
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error.to_string()),
            _ => Self::Other(error),
        }
    }
}

impl From<io::Error> for DatabaseError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Io(error),
        }
    }
}

/// Opens the file at `path` or begins it, and checks it; its folder is made if need be.
pub fn open(path: &Path, format: &Format) -> Result<Connection, DatabaseError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags).map_err(|error| {
        // SQLite says only that it cannot open what it would have to create.
        let begun = std::fs::OpenOptions::new().append(true).create(true).open(path);
        begun.map_or_else(DatabaseError::from, |_| error.into())
    })?;
    database.busy_timeout(Duration::from_secs(1))?;
    database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let number = |pragma| database.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let empty = number("schema_version")? == 0;
    if application != i64::from(format.application) && !empty {
        return Err(DatabaseError::Foreign);
    }
    if version > i64::from(format.version) {
        return Err(DatabaseError::Newer(version as i32));
    }
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", if format.durable { "FULL" } else { "NORMAL" })?;
    // A megabyte of log at most; kilobytes of cache, for rows are written once and seldom read.
    database.pragma_update(None, "wal_autocheckpoint", 256)?;
    database.pragma_update(None, "journal_size_limit", 1 << 20)?;
    database.pragma_update(None, "cache_size", -256)?;
    if empty {
        let begin = database.unchecked_transaction()?;
        begin.execute_batch(format.tables)?;
        begin.pragma_update(None, "application_id", format.application)?;
        begin.pragma_update(None, "user_version", format.version)?;
        begin.commit()?;
    }
    let check: String = database.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if check != "ok" {
        return Err(DatabaseError::Corrupt(check));
    }
    Ok(database)
}

/// Moves a file that cannot be used out of the way, with its log, to `<name>.<why>-<time>`. Returns where it is now.
pub fn set_aside(path: &Path, why: &str, time: Timestamp) -> io::Result<PathBuf> {
    let label = format!("{why}-{}", time.strftime("%Y%m%dT%H%M%SZ"));
    let beside = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let mut target = beside(path, &format!(".{label}"));
    let mut again = 1;
    while target.exists() {
        again += 1;
        target = beside(path, &format!(".{label}-{again}"));
    }
    // The log first: a database without its log is older, a log without its database is nothing.
    let log = beside(path, "-wal");
    if log.exists() {
        std::fs::rename(&log, beside(&target, "-wal"))?;
    }
    std::fs::rename(path, &target)?;
    Ok(target)
}
