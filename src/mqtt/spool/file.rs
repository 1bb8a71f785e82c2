//! The file: a database with one table. It is durable, so that a batch is on the medium when it counts as written: else a
//! power cut could take the events of the last half minute, and some of those the broker knows.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, params};
use ulid::Ulid;

use super::super::queue::{Stored, Unwritten};
use super::record;
use crate::database::{self, DatabaseError, Format};
use crate::event::Change;

const FORMAT: Format = Format {
    application: 0x5774_7764, // `Wtwd`
    version: 1,
    tables: "CREATE TABLE IF NOT EXISTS event (
        row INTEGER PRIMARY KEY,
        occurrence BLOB NOT NULL,
        change INTEGER NOT NULL,
        time INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT",
    durable: true,
};

/// An open file.
pub(super) struct File {
    database: Connection,
    next_row: i64,
}

impl File {
    /// Opens the file or begins it; its folder is made if need be. Returns with it what is in it, the oldest first.
    pub fn open(path: &Path) -> Result<(Self, Vec<Stored>), DatabaseError> {
        let database = database::open(path, &FORMAT)?;
        let stored = stored(&database)?;
        let next_row = stored.last().map_or(1, |last| last.row + 1);
        Ok((Self { database, next_row }, stored))
    }

    /// Writes `events` and deletes the rows `obsolete`, all or nothing. Returns the row of the first event; the others
    /// follow.
    pub fn write(&mut self, events: &[Unwritten], obsolete: &[i64]) -> Result<i64, DatabaseError> {
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
    pub fn probe(&self) -> Result<(), DatabaseError> {
        Ok(self.database.pragma_update(None, "user_version", FORMAT.version)?)
    }

    /// The payload in `row`, which is to be an event of the occurrence `id` that says `change`; `None` if there is no
    /// such row.
    pub fn read(&self, row: i64, id: Ulid, change: Change) -> Result<Option<Vec<u8>>, DatabaseError> {
        let mut select = self.database.prepare("SELECT payload FROM event WHERE row = ?1")?;
        let mut rows = select.query([row])?;
        let payload: Option<Vec<u8>> = rows.next()?.map(|row| row.get(0)).transpose()?;
        match payload {
            Some(payload) if !record::is_sound(id, change, &payload) => Err(nonsense(row)),
            payload => Ok(payload),
        }
    }

    /// Copies from a file that was set aside what can still be read and makes sense. Returns how many events that are.
    pub fn salvage(&mut self, damaged: &Path) -> Result<Vec<Stored>, DatabaseError> {
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

fn copy(source: &Connection, target: &Connection, known: &mut HashSet<i64>) -> Result<(), DatabaseError> {
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

fn stored(database: &Connection) -> Result<Vec<Stored>, DatabaseError> {
    let mut select =
        database.prepare("SELECT row, occurrence, change, time, length(payload) FROM event ORDER BY row")?;
    let mut rows = select.query([])?;
    let mut stored = Vec::new();
    while let Some(row) = rows.next()? {
        stored.push(decode(row)?);
    }
    Ok(stored)
}

fn decode(row: &Row<'_>) -> Result<Stored, DatabaseError> {
    let (number, change): (i64, i64) = (row.get(0)?, row.get(2)?);
    let id: [u8; 16] = row.get(1).map_err(|_| nonsense(number))?;
    let change = record::change(change).ok_or_else(|| nonsense(number))?;
    let length = usize::try_from(row.get::<_, i64>(4)?).map_err(|_| nonsense(number))?;
    Ok(Stored { row: number, id: Ulid::from_bytes(id), change, time: row.get(3)?, length })
}

fn nonsense(row: i64) -> DatabaseError {
    DatabaseError::Corrupt(format!("row {row} makes no sense"))
}
