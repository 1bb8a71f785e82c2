//! The file: an SQLite database with one table, of which this process is the only user.
//!
//! Write-ahead log, so that a batch of events costs one sequential write and one flush; `synchronous=FULL`, so that
//! a batch is on the medium when it counts as written: with `NORMAL` a power cut could take the events of the last
//! half minute, and some of those the broker knows. `locking_mode=EXCLUSIVE` keeps a second daemon out and needs no
//! shared memory. See <https://www.sqlite.org/wal.html>.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params};
use ulid::Ulid;

use super::super::queue::{Stored, Unwritten};
use super::record;
use crate::event::Change;

/// `Wtwd`: says in the file's header whose it is.
const APPLICATION: i32 = 0x5774_7764;
/// Of the table below.
const VERSION: i32 = 1;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS event (
    row INTEGER PRIMARY KEY,
    occurrence BLOB NOT NULL,
    change INTEGER NOT NULL,
    time INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT";

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("no space left on the device")]
    Full,
    #[error("the file or its file system is read-only")]
    ReadOnly,
    #[error("another process uses it; give every watchword a mqtt.spool.path of its own")]
    Busy,
    #[error("it is damaged: {0}")]
    Corrupt(String),
    #[error("it was written by a newer watchword, in format {0}")]
    Newer(i32),
    #[error("it is another program's database; set another mqtt.spool.path")]
    Foreign,
    #[error("{0}")]
    Io(io::Error),
    #[error("{0}")]
    Other(rusqlite::Error),
}

impl From<rusqlite::Error> for FileError {
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

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Io(error),
        }
    }
}

/// An open file.
pub(super) struct File {
    database: Connection,
    next_row: i64,
}

impl File {
    /// Opens the file or begins it; its folder is made if need be. Returns with it what is in it, the oldest first.
    pub fn open(path: &Path) -> Result<(Self, Vec<Stored>), FileError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(path, flags).map_err(|error| {
            // SQLite says only that it cannot open what it would have to create.
            let begun = std::fs::OpenOptions::new().append(true).create(true).open(path);
            begun.map_or_else(FileError::from, |_| error.into())
        })?;
        database.busy_timeout(Duration::from_secs(1))?;
        database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let number = |pragma| database.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let (application, version) = (number("application_id")?, number("user_version")?);
        let empty = number("schema_version")? == 0;
        if application != i64::from(APPLICATION) && !empty {
            return Err(FileError::Foreign);
        }
        if version > i64::from(VERSION) {
            return Err(FileError::Newer(version as i32));
        }
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        // A megabyte of log at most; kilobytes of cache, for rows are written once and read once.
        database.pragma_update(None, "wal_autocheckpoint", 256)?;
        database.pragma_update(None, "journal_size_limit", 1 << 20)?;
        database.pragma_update(None, "cache_size", -256)?;
        if empty {
            let begin = database.unchecked_transaction()?;
            begin.execute_batch(TABLE)?;
            begin.pragma_update(None, "application_id", APPLICATION)?;
            begin.pragma_update(None, "user_version", VERSION)?;
            begin.commit()?;
        }
        let check: String = database.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if check != "ok" {
            return Err(FileError::Corrupt(check));
        }
        let stored = stored(&database)?;
        let next_row = stored.last().map_or(1, |last| last.row + 1);
        Ok((Self { database, next_row }, stored))
    }

    /// Moves a file that cannot be used out of the way, with its log, to `<name>.<label>`. Returns where it is now.
    pub fn set_aside(path: &Path, label: &str) -> io::Result<PathBuf> {
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

    /// Writes `events` and deletes the rows `obsolete`, all or nothing. Returns the row of the first event; the others
    /// follow.
    pub fn write(&mut self, events: &[Unwritten], obsolete: &[i64]) -> Result<i64, FileError> {
        let first = self.next_row;
        let batch = self.database.unchecked_transaction()?;
        {
            let mut delete = batch.prepare("DELETE FROM event WHERE row = ?1")?;
            for row in obsolete {
                delete.execute([row])?;
            }
            let mut insert = batch.prepare("INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (row, event) in (first..).zip(events) {
                let (id, change) = (event.id.to_bytes(), record::code(event.change));
                insert.execute(params![row, id, change, event.time, &event.payload[..]])?;
            }
        }
        batch.commit()?;
        self.next_row += events.len() as i64;
        Ok(first)
    }

    /// Writes something, to find out whether one can.
    pub fn probe(&self) -> Result<(), FileError> {
        Ok(self.database.pragma_update(None, "user_version", VERSION)?)
    }

    /// The payload in `row`, which is to be an event of the occurrence `id` that says `change`; `None` if there is no
    /// such row.
    pub fn read(&self, row: i64, id: Ulid, change: Change) -> Result<Option<Vec<u8>>, FileError> {
        let mut select = self.database.prepare("SELECT payload FROM event WHERE row = ?1")?;
        let mut rows = select.query([row])?;
        let payload: Option<Vec<u8>> = rows.next()?.map(|row| row.get(0)).transpose()?;
        match payload {
            Some(payload) if !record::is_sound(id, change, &payload) => Err(nonsense(row)),
            payload => Ok(payload),
        }
    }

    /// Copies from a file that was set aside what can still be read and makes sense. Returns how many events that are.
    pub fn salvage(&mut self, damaged: &Path) -> Result<Vec<Stored>, FileError> {
        let source = Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        source.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let batch = self.database.unchecked_transaction()?;
        let mut known = HashSet::new();
        // Whatever goes wrong while reading ends it; what was read until then is kept.
        _ = copy(&source, &batch, &mut known);
        batch.commit()?;
        let stored = stored(&self.database)?;
        self.next_row = stored.last().map_or(1, |last| last.row + 1);
        Ok(stored)
    }

    /// A file that is full at so many pages, for tests.
    #[cfg(test)]
    pub fn limit(&self, pages: i64) {
        self.database.pragma_update(None, "max_page_count", pages).unwrap();
    }

    /// A file that may not be written, for tests.
    #[cfg(test)]
    pub fn forbid(&self, forbidden: bool) {
        self.database.pragma_update(None, "query_only", forbidden).unwrap();
    }
}

fn copy(source: &Connection, target: &Connection, known: &mut HashSet<i64>) -> Result<(), FileError> {
    let mut select =
        source.prepare("SELECT row, occurrence, change, time, length(payload), payload FROM event")?;
    let mut insert = target.prepare("INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let Ok(stored) = decode(row) else { continue };
        let payload: Vec<u8> = row.get(5)?;
        if record::is_sound(stored.id, stored.change, &payload) && known.insert(stored.row) {
            let Stored { row, id, change, time, .. } = stored;
            insert.execute(params![row, id.to_bytes(), record::code(change), time, payload])?;
        }
    }
    Ok(())
}

fn stored(database: &Connection) -> Result<Vec<Stored>, FileError> {
    let mut select =
        database.prepare("SELECT row, occurrence, change, time, length(payload) FROM event ORDER BY row")?;
    let mut rows = select.query([])?;
    let mut stored = Vec::new();
    while let Some(row) = rows.next()? {
        stored.push(decode(row)?);
    }
    Ok(stored)
}

fn decode(row: &Row<'_>) -> Result<Stored, FileError> {
    let (number, change): (i64, i64) = (row.get(0)?, row.get(2)?);
    let id: [u8; 16] = row.get(1).map_err(|_| nonsense(number))?;
    let change = record::change(change).ok_or_else(|| nonsense(number))?;
    let length = usize::try_from(row.get::<_, i64>(4)?).map_err(|_| nonsense(number))?;
    Ok(Stored { row: number, id: Ulid::from_bytes(id), change, time: row.get(3)?, length })
}

fn nonsense(row: i64) -> FileError {
    FileError::Corrupt(format!("row {row} makes no sense"))
}
