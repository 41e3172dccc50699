//! The database, as the stages see it: three calls, and two kinds of databases behind them.

#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use std::{collections::HashMap, error::Error, fmt, path::PathBuf, sync::Arc};

use pipeline_core::BoxError;

use crate::{book::Changes, generate::CUSTOMERS, parse::Key};

/// Which database. `Debug` does not show passwords.
#[derive(Clone)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(String),
}

/// What an order takes over of its customer.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) name: Arc<str>,
    /// In percent.
    pub(crate) discount: i64,
}

/// An input, as the database knows it.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) input: i64,
    /// Which lines are done: a [`Position`](crate::position::Position).
    pub(crate) position: String,
    /// The file of the rejected lines, and how much of it is as sure as the position.
    pub(crate) rejects: Option<(String, u64)>,
}

/// The orders that are there, with the line that cancelled them.
pub(crate) type Known = HashMap<Key, Option<i64>>;

/// What a transaction shall change, seen what is there: nothing, if it has been done already.
pub(crate) type Decide<'a> =
    dyn FnMut(&str, &str, Known) -> Result<Option<Changes>, StoreError> + 'a;

/// A connection. Calls block their thread. After an error the next call connects again, if that is
/// what it takes.
pub(crate) trait Connection: Send {
    /// Makes the tables that are missing, and takes over an input: whoever has claimed it before
    /// cannot write any more.
    fn claim(&mut self, input: &str, owner: &str) -> Result<Claim, StoreError>;

    /// Those customers that there are.
    fn customers(&mut self, ids: &[i64]) -> Result<HashMap<i64, Customer>, StoreError>;

    /// All or nothing: tells `decide` who owns the input, its position, and which of `orders` there
    /// are; writes what it says; commits.
    fn transaction(
        &mut self,
        input: i64,
        orders: &[Key],
        decide: &mut Decide<'_>,
    ) -> Result<(), StoreError>;
}

/// Connects: each worker that reads has a connection of its own, and so has the writer.
pub(crate) async fn connect(database: &Database) -> Result<Box<dyn Connection>, StoreError> {
    Ok(match database {
        Database::Sqlite(path) => Box::new(sqlite::Sqlite::open(path)?),
        #[cfg(feature = "postgres")]
        Database::Postgres(url) => Box::new(postgres::Postgres::connect(url).await?),
    })
}

impl Database {
    /// A path, or the URL of a PostgreSQL database.
    ///
    /// # Errors
    ///
    /// A sentence for the user, if this program was built without PostgreSQL.
    pub(crate) fn parse(text: std::ffi::OsString) -> Result<Self, &'static str> {
        let url = text
            .to_str()
            .filter(|text| text.starts_with("postgres://") || text.starts_with("postgresql://"));
        match url {
            #[cfg(feature = "postgres")]
            Some(url) => Ok(Database::Postgres(url.to_owned())),
            #[cfg(not(feature = "postgres"))]
            Some(_) => Err("built without PostgreSQL: it takes `--features postgres`"),
            None => Ok(Database::Sqlite(text.into())),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => path.fmt(f),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => f.write_str("postgres://..."),
        }
    }
}

/// The customers of a new database.
fn made_up_customers() -> impl Iterator<Item = (i64, String, i64)> {
    (1..=CUSTOMERS.cast_signed()).map(|id| (id, format!("Customer {id}"), id % 4 * 5))
}

/// Why the database did not do it.
#[derive(Debug)]
pub(crate) struct StoreError {
    /// It may pass: locked, full, gone.
    pub(crate) transient: bool,
    text: String,
}

impl StoreError {
    pub(crate) fn transient(text: impl Into<BoxError>) -> Self {
        StoreError {
            transient: true,
            text: text.into().to_string(),
        }
    }

    pub(crate) fn permanent(text: impl Into<BoxError>) -> Self {
        StoreError {
            transient: false,
            text: text.into().to_string(),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for StoreError {}
