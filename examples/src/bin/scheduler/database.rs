//! The database: a row for each message that is pending, so that none is lost with the process.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use pipeline_core::prelude::*;
use rusqlite::{Connection, Transaction, params};

use crate::message::{Clock, Message};

const TABLE: &str = "\
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY NOT NULL,
    due INTEGER NOT NULL,     -- milliseconds since 1970
    version INTEGER NOT NULL, -- in the order in which they came
    body TEXT NOT NULL        -- JSON
)";

/// Keeps a second program from the same database, until it is dropped or the process is dead.
///
/// # Errors
///
/// There is one already, or the file cannot be written.
pub(crate) fn lock(database: &Path) -> Result<File, BoxError> {
    let mut path = PathBuf::from(database).into_os_string();
    path.push("-lock");
    let file = File::create(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err("another scheduler uses it".into()),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// A connection. What is committed through it is on the disk.
///
/// # Errors
///
/// It cannot be opened, or is none.
pub(crate) async fn open(database: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(database)?;
    connection.busy_timeout(Duration::from_secs(10))?; // for the other connection
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute(TABLE, [])?;
    Ok(connection)
}

/// A connection for what may be lost with the power, though not with the process.
///
/// # Errors
///
/// As `open`.
pub(crate) async fn open_relaxed(database: &Path) -> rusqlite::Result<Connection> {
    let connection = open(database).await?;
    connection.pragma_update(None, "synchronous", "normal")?;
    Ok(connection)
}

/// All that is pending, in the order in which it is due.
///
/// # Errors
///
/// It cannot be read.
pub(crate) fn load(connection: &Connection, clock: &Clock) -> rusqlite::Result<Vec<Message>> {
    let mut query =
        connection.prepare("SELECT id, due, version, body FROM messages ORDER BY due, version")?;
    let rows = query.query_map([], |row| {
        let due = row.get(1)?;
        Ok(Message {
            id: row.get::<_, String>(0)?.into(),
            due,
            body: row.get::<_, String>(3)?.into(),
            version: row.get(2)?,
            restored: true,
            expected: clock.expected(due),
            late: Duration::ZERO,
        })
    })?;
    rows.collect()
}

/// Adds a message, or another version in its place.
pub(crate) fn put(
    transaction: &Transaction<'_>,
    (id, due, version, body): (&str, i64, i64, &str),
) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO messages (id, due, version, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET due = ?2, version = ?3, body = ?4",
    )?;
    put.execute(params![id, due, version, body]).map(drop)
}

/// Removes all versions of a message but one.
pub(crate) fn remove_but(
    transaction: &Transaction<'_>,
    id: &str,
    version: Option<i64>,
) -> rusqlite::Result<()> {
    let mut remove =
        transaction.prepare_cached("DELETE FROM messages WHERE id = ?1 AND version IS NOT ?2")?;
    remove.execute(params![id, version]).map(drop)
}

/// Removes one version of a message.
pub(crate) fn remove(
    transaction: &Transaction<'_>,
    id: &str,
    version: i64,
) -> rusqlite::Result<()> {
    let mut remove =
        transaction.prepare_cached("DELETE FROM messages WHERE id = ?1 AND version = ?2")?;
    remove.execute(params![id, version]).map(drop)
}
