//! The timeline's tables: occurrences, their scores over time, a picture of each.
//!
//! Bounded in number, size and age; of what is too much the oldest goes. Rows are numbered as occurrences begin, so that
//! paging through them is steady while others come.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::Serialize;
use utoipa::ToSchema;

use crate::database::{self, DatabaseError, Format};
use crate::event::{ActionEvent, Change};

const FORMAT: Format = Format {
    application: 0x5774_746c, // `Wttl`
    version: 1,
    tables: "
        CREATE TABLE occurrence (
            row INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            camera TEXT NOT NULL,
            action TEXT NOT NULL,
            track INTEGER NOT NULL,
            zones TEXT NOT NULL,
            rect TEXT NOT NULL,
            begin INTEGER NOT NULL,
            latest INTEGER NOT NULL,
            end INTEGER,
            score REAL NOT NULL,
            peak REAL NOT NULL,
            noted INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE score (
            occurrence INTEGER NOT NULL REFERENCES occurrence ON DELETE CASCADE,
            time INTEGER NOT NULL,
            score REAL NOT NULL,
            PRIMARY KEY (occurrence, time)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE picture (
            occurrence INTEGER PRIMARY KEY REFERENCES occurrence ON DELETE CASCADE,
            jpeg BLOB NOT NULL
        ) STRICT;",
    // A power cut may take the last half minute: the spool has what is owed to others.
    durable: false,
};

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub occurrences: i64,
    pub bytes: i64,
    pub age: Duration,
    /// Scores of one occurrence; of more, every other one goes.
    pub scores: i64,
}

/// On disk.
pub(super) const KEPT: Bounds =
    Bounds { occurrences: 20_000, bytes: 128 << 20, age: Duration::from_secs(30 * 86_400), scores: 600 };
/// In memory, where there is no state folder.
pub(super) const REMEMBERED: Bounds = Bounds { occurrences: 2_000, bytes: 8 << 20, ..KEPT };

/// One person doing one action, from its beginning.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Occurrence {
    /// As in events over MQTT.
    pub id: String,
    pub camera: String,
    pub action: String,
    pub track: u64,
    /// Those the person stood in when it was told last.
    pub zones: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub begin: Timestamp,
    /// `null` while it goes on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub end: Option<Timestamp>,
    /// Smoothed probability when it was told last.
    pub score: f32,
    /// The highest.
    pub peak: f32,
    /// Whether there is a picture of its beginning.
    pub has_picture: bool,
}

/// An occurrence with what was told of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Details {
    #[serde(flatten)]
    pub occurrence: Occurrence,
    /// `[x1, y1, x2, y2]` when it began, which is where its picture shows it.
    #[serde(rename = "box")]
    pub rect: [f32; 4],
    /// Times and smoothed probabilities.
    #[schema(value_type = Vec<(String, f32)>)]
    pub scores: Vec<(Timestamp, f32)>,
}

/// Which occurrences are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub camera: Option<String>,
    pub action: Option<String>,
    pub zone: Option<String>,
    /// Begins at this time or later.
    pub from: Option<Timestamp>,
    /// Begins before this time.
    pub to: Option<Timestamp>,
    /// Noted before the occurrence of this id.
    pub before: Option<String>,
    pub limit: usize,
}

/// What is to be written down.
pub(super) struct Noted {
    pub event: ActionEvent,
    pub jpeg: Option<Vec<u8>>,
}

/// An open file, or what is remembered.
pub(super) struct Store {
    database: Connection,
    bounds: Bounds,
}

impl Store {
    /// Opens the file or begins it. What an earlier run left open ended when it was told of last.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Self::begin(database::open(path, &FORMAT)?, KEPT)
    }

    /// Lasts as long as it is held.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        let database = Connection::open_in_memory()?;
        database.execute_batch(FORMAT.tables)?;
        Self::begin(database, REMEMBERED)
    }

    fn begin(database: Connection, bounds: Bounds) -> Result<Self, DatabaseError> {
        database.pragma_update(None, "foreign_keys", true)?;
        database.execute("UPDATE occurrence SET end = latest WHERE end IS NULL", [])?;
        Ok(Self { database, bounds })
    }

    /// Writes down what happened, all or nothing. Returns the occurrences that began or ended.
    pub fn write(&mut self, batch: &[Noted], now: Timestamp) -> Result<Vec<Occurrence>, DatabaseError> {
        let writing = self.database.transaction()?;
        let mut changed = Vec::new();
        for noted in batch {
            let event = &noted.event;
            let row = if event.change == Change::Begin {
                insert(&writing, event, now)?
            } else {
                update(&writing, event)?
            };
            let Some(row) = row else { continue }; // it began before our time
            add_score(&writing, row, event, self.bounds.scores)?;
            if let Some(jpeg) = &noted.jpeg {
                writing.execute("INSERT OR REPLACE INTO picture VALUES (?1, ?2)", params![row, jpeg])?;
            }
            if event.change != Change::Update {
                changed.extend(one(&writing, &event.id.to_string())?.map(|(occurrence, ..)| occurrence));
            }
        }
        writing.commit()?;
        Ok(changed)
    }

    /// Forgets what is too much.
    pub fn prune(&mut self, now: Timestamp) -> Result<(), DatabaseError> {
        let Bounds { occurrences, bytes, age, .. } = self.bounds;
        let oldest = now.as_millisecond().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        self.database.execute("DELETE FROM occurrence WHERE noted < ?1", [oldest])?;
        let too_many = "DELETE FROM occurrence WHERE row <= (SELECT max(row) FROM occurrence) - ?1";
        self.database.execute(too_many, [occurrences])?;
        while self.bytes()? > bytes {
            let tenth = "DELETE FROM occurrence WHERE row IN (SELECT row FROM occurrence ORDER BY row LIMIT \
                         (SELECT count(*) / 10 + 1 FROM occurrence))";
            if self.database.execute(tenth, [])? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// In use, whatever the file's size: what was freed is used again.
    fn bytes(&self) -> Result<i64, DatabaseError> {
        let number = |pragma| self.database.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
    }

    /// The newest that fit, the newest first, and whether there are more.
    pub fn list(&self, filter: &Filter) -> Result<(Vec<Occurrence>, bool), DatabaseError> {
        let sql = format!(
            "{SELECT} WHERE (?1 IS NULL OR camera = ?1) AND (?2 IS NULL OR action = ?2)
             AND (?3 IS NULL OR EXISTS (SELECT 1 FROM json_each(zones) WHERE value = ?3))
             AND (?4 IS NULL OR begin >= ?4) AND (?5 IS NULL OR begin < ?5)
             AND (?6 IS NULL OR row < (SELECT row FROM occurrence WHERE id = ?6))
             ORDER BY row DESC LIMIT ?7"
        );
        let mut select = self.database.prepare(&sql)?;
        let Filter { camera, action, zone, from, to, before, limit } = filter;
        let (from, to) = (from.map(Timestamp::as_millisecond), to.map(Timestamp::as_millisecond));
        let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let rows = select.query_map(params![camera, action, zone, from, to, before, most], read)?;
        let mut found: Vec<_> =
            rows.map(|row| row.map(|(occurrence, ..)| occurrence)).collect::<Result<_, _>>()?;
        let more = found.len() > *limit;
        found.truncate(*limit);
        Ok((found, more))
    }

    /// The occurrence of this id.
    pub fn details(&self, id: &str) -> Result<Option<Details>, DatabaseError> {
        let Some((occurrence, row, rect)) = one(&self.database, id)? else { return Ok(None) };
        let mut select =
            self.database.prepare("SELECT time, score FROM score WHERE occurrence = ?1 ORDER BY time")?;
        let scores = select.query_map([row], |row| Ok((time(row.get(0)?), row.get::<_, f64>(1)? as f32)))?;
        Ok(Some(Details { occurrence, rect, scores: scores.collect::<Result<_, _>>()? }))
    }

    /// A JPEG of its beginning.
    pub fn picture(&self, id: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        let sql = "SELECT jpeg FROM picture JOIN occurrence ON occurrence = row WHERE id = ?1";
        Ok(self.database.query_row(sql, [id], |row| row.get(0)).optional()?)
    }

    /// With other bounds, for tests.
    #[cfg(test)]
    pub fn bounded(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }
}

const SELECT: &str = "SELECT id, camera, action, track, zones, begin, end, score, peak,
    EXISTS (SELECT 1 FROM picture WHERE picture.occurrence = row), row, rect FROM occurrence";

type Found = (Occurrence, i64, [f32; 4]);

fn one(database: &Connection, id: &str) -> Result<Option<Found>, DatabaseError> {
    Ok(database.prepare(&format!("{SELECT} WHERE id = ?1"))?.query_row([id], read).optional()?)
}

/// A row of [`SELECT`].
fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    let occurrence = Occurrence {
        id: row.get(0)?,
        camera: row.get(1)?,
        action: row.get(2)?,
        track: row.get::<_, i64>(3)?.cast_unsigned(),
        zones: serde_json::from_str(&row.get::<_, String>(4)?).unwrap_or_default(),
        begin: time(row.get(5)?),
        end: row.get::<_, Option<i64>>(6)?.map(time),
        score: row.get::<_, f64>(7)? as f32,
        peak: row.get::<_, f64>(8)? as f32,
        has_picture: row.get(9)?,
    };
    Ok((occurrence, row.get(10)?, serde_json::from_str(&row.get::<_, String>(11)?).unwrap_or_default()))
}

/// From milliseconds since 1970.
fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

fn insert(
    writing: &Transaction<'_>,
    event: &ActionEvent,
    now: Timestamp,
) -> Result<Option<i64>, DatabaseError> {
    let sql = "INSERT OR IGNORE INTO occurrence
        (id, camera, action, track, zones, rect, begin, latest, score, peak, noted)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING row";
    let values = params![
        event.id.to_string(),
        event.camera,
        event.action,
        event.track.cast_signed(),
        json(&event.zones),
        json(&event.rect),
        event.begin.as_millisecond(),
        event.time.as_millisecond(),
        event.score,
        event.peak_score,
        now.as_millisecond(),
    ];
    Ok(writing.prepare(sql)?.query_row(values, |row| row.get(0)).optional()?)
}

fn update(writing: &Transaction<'_>, event: &ActionEvent) -> Result<Option<i64>, DatabaseError> {
    let sql = "UPDATE occurrence SET zones = ?2, latest = ?3, score = ?4, peak = ?5, end = ?6
        WHERE id = ?1 RETURNING row";
    let values = params![
        event.id.to_string(),
        json(&event.zones),
        event.time.as_millisecond(),
        event.score,
        event.peak_score,
        event.end.map(Timestamp::as_millisecond),
    ];
    Ok(writing.prepare(sql)?.query_row(values, |row| row.get(0)).optional()?)
}

fn add_score(
    writing: &Transaction<'_>,
    row: i64,
    event: &ActionEvent,
    most: i64,
) -> Result<(), DatabaseError> {
    let mut insert = writing.prepare("INSERT OR REPLACE INTO score VALUES (?1, ?2, ?3)")?;
    insert.execute(params![row, event.time.as_millisecond(), event.score])?;
    let mut count = writing.prepare("SELECT count(*) FROM score WHERE occurrence = ?1")?;
    if count.query_row([row], |row| row.get::<_, i64>(0))? > most {
        let thin = "DELETE FROM score WHERE occurrence = ?1 AND time IN (SELECT time FROM
            (SELECT time, row_number() OVER (ORDER BY time) AS n FROM score WHERE occurrence = ?1) WHERE n % 2 = 0)";
        writing.execute(thin, [row])?;
    }
    Ok(())
}

/// Lists of texts and numbers always are JSON.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, event};
    use super::*;

    fn write(store: &mut Store, events: &[ActionEvent]) -> Vec<Occurrence> {
        let batch: Vec<_> = events.iter().map(|event| Noted { event: event.clone(), jpeg: None }).collect();
        store.write(&batch, at(1000)).unwrap()
    }

    #[test]
    fn an_occurrence_is_told_with_its_scores_and_is_found() {
        let mut store = Store::in_memory().unwrap();
        let (begin, mut update, mut end) =
            (event(1, Change::Begin, 10), event(1, Change::Update, 11), event(1, Change::End, 13));
        (update.score, update.peak_score) = (0.9, 0.9);
        (end.score, end.peak_score, end.end) = (0.4, 0.9, Some(at(12)));
        end.rect = [0.7, 0.7, 0.8, 0.9]; // it has gone there
        let changed = write(&mut store, &[begin.clone(), update, event(9, Change::End, 11)]);
        assert_eq!((changed.len(), changed[0].end), (1, None), "what began before our time is passed over");
        let changed = write(&mut store, &[end]);
        assert_eq!((changed[0].end, changed[0].peak, changed[0].has_picture), (Some(at(12)), 0.9, false));
        let id = begin.id.to_string();
        let details = store.details(&id).unwrap().unwrap();
        assert_eq!(details.scores, [(at(10), 0.5), (at(11), 0.9), (at(13), 0.4)]);
        assert_eq!((details.rect, &details.occurrence.zones), (begin.rect, &begin.zones));
        assert_eq!(store.details("none").unwrap(), None);
        let noted = Noted { event: event(2, Change::Begin, 20), jpeg: Some(vec![1, 2]) };
        store.write(&[noted], at(1000)).unwrap();
        assert_eq!(store.picture(&event(2, Change::Begin, 20).id.to_string()).unwrap(), Some(vec![1, 2]));
        assert_eq!(store.picture(&id).unwrap(), None);
    }

    #[test]
    fn the_newest_come_first_page_by_page_and_only_those_that_fit() {
        let mut store = Store::in_memory().unwrap();
        for n in 0..10u16 {
            let mut begin = event(n.into(), Change::Begin, i64::from(n));
            begin.camera = ["gate", "yard"][usize::from(n % 2)].into();
            begin.zones = if n < 3 { vec!["lawn".into()] } else { Vec::new() };
            write(&mut store, &[begin]);
        }
        let tracks = |filter: Filter| {
            let (found, more) = store.list(&filter).unwrap();
            (found.iter().map(|o| o.begin.as_second()).collect::<Vec<_>>(), more, found)
        };
        let (first, more, found) = tracks(Filter { limit: 4, ..Filter::default() });
        assert_eq!((first, more), (vec![9, 8, 7, 6], true));
        let before = Some(found[3].id.clone());
        let (second, more, _) = tracks(Filter { before, limit: 6, ..Filter::default() });
        assert_eq!((second, more), (vec![5, 4, 3, 2, 1, 0], false));
        let gate =
            Filter { camera: Some("gate".into()), zone: Some("lawn".into()), limit: 9, ..Filter::default() };
        assert_eq!(tracks(gate).0, [2, 0]);
        let some = Filter {
            from: Some(at(3)),
            to: Some(at(5)),
            action: Some("waving".into()),
            limit: 9,
            ..Filter::default()
        };
        assert_eq!(tracks(some).0, [4, 3]);
        assert!(tracks(Filter { action: Some("other".into()), limit: 9, ..Filter::default() }).0.is_empty());
        assert!(
            tracks(Filter { before: Some("' OR 1 = 1 --".into()), limit: 9, ..Filter::default() })
                .0
                .is_empty()
        );
    }

    #[test]
    fn what_is_too_much_goes_the_oldest_first() {
        let bounds = Bounds { occurrences: 8, bytes: 1 << 20, age: Duration::from_secs(500), scores: 10 };
        let mut store = Store::in_memory().unwrap().bounded(bounds);
        let count = |store: &Store| store.list(&Filter { limit: 1000, ..Filter::default() }).unwrap().0.len();
        for n in 0..20u8 {
            write(&mut store, &[event(n.into(), Change::Begin, n.into())]);
        }
        store.prune(at(1000)).unwrap();
        assert_eq!(count(&store), 8);
        store.prune(at(1501)).unwrap();
        assert_eq!(count(&store), 0, "they are as old as they were noted, whatever a recording's clock says");
        for n in 30..36u8 {
            let noted =
                Noted { event: event(n.into(), Change::Begin, n.into()), jpeg: Some(vec![0; 300 << 10]) };
            store.write(&[noted], at(1000)).unwrap();
            store.prune(at(1000)).unwrap();
        }
        assert!(count(&store) < 5 && store.bytes().unwrap() <= 1 << 20);
        let long = event(99, Change::Begin, 100);
        write(&mut store, std::slice::from_ref(&long));
        for second in 101..200 {
            write(&mut store, &[event(99, Change::Update, second)]);
        }
        let scores = store.details(&long.id.to_string()).unwrap().unwrap().scores;
        assert!(
            scores.len() <= 10 && scores[0].0 == at(100) && scores.last().unwrap().0 == at(199),
            "{scores:?}"
        );
    }

    #[test]
    fn a_restart_closes_what_was_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timeline.db");
        let mut store = Store::open(&path).unwrap();
        write(&mut store, &[event(1, Change::Begin, 10), event(1, Change::Update, 15)]);
        assert!(matches!(Store::open(&path), Err(DatabaseError::Busy)));
        drop(store);
        let (found, _) = Store::open(&path).unwrap().list(&Filter { limit: 1, ..Filter::default() }).unwrap();
        assert_eq!(found[0].end, Some(at(15)));
    }
}
