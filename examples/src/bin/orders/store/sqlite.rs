//! SQLite, in this process: a file.

use std::{collections::HashMap, path::Path, time::Duration};

use rusqlite::{
    Connection as Handle, Error, ErrorCode, OptionalExtension, TransactionBehavior, params,
};

use super::{Claim, Connection, Customer, Decide, Known, StoreError, made_up_customers};
use crate::parse::Key;

/// How long the first call, which no stage makes, waits for others.
const PATIENCE: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS inputs (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, position TEXT NOT NULL,
        rejects TEXT, rejects_length INTEGER
    );
    CREATE TABLE IF NOT EXISTS orders (
        customer INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, amount INTEGER NOT NULL,
        discount INTEGER NOT NULL, to_pay INTEGER NOT NULL, input INTEGER NOT NULL REFERENCES inputs,
        line INTEGER NOT NULL, cancelled INTEGER, PRIMARY KEY (number, customer)
    );";

pub(crate) struct Sqlite(Handle);

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let named = |error: Error| {
            let StoreError { transient, text } = error.into();
            let text = format!("{}: {text}", path.display());
            StoreError { transient, text }
        };
        let handle = Handle::open(path).map_err(named)?;
        let settings = || {
            handle.busy_timeout(PATIENCE)?;
            // readers do not wait for the writer; what is committed survives this program, and the
            // position with it
            handle.pragma_update(None, "journal_mode", "WAL")?;
            handle.pragma_update(None, "synchronous", "NORMAL")?;
            // from now on it says at once that it is locked: the stages try again
            handle.busy_timeout(Duration::ZERO)
        };
        settings().map_err(named)?;
        Ok(Sqlite(handle))
    }
}

impl Connection for Sqlite {
    fn claim(&mut self, input: &str, owner: &str) -> Result<Claim, StoreError> {
        self.0.busy_timeout(PATIENCE)?;
        let tx = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(TABLES)?;
        if !tx.table_exists(None, "customers")? {
            tx.execute_batch(
                "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, discount INTEGER NOT NULL)",
            )?;
            for (id, name, discount) in made_up_customers() {
                tx.execute(
                    "INSERT INTO customers VALUES (?, ?, ?)",
                    params![id, name, discount],
                )?;
            }
        }
        let claim = tx.query_row(
            "INSERT INTO inputs (name, owner, position) VALUES (?, ?, '')
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner
             RETURNING id, position, rejects, rejects_length",
            [input, owner],
            |row| {
                let file: Option<String> = row.get(2)?;
                let length: Option<i64> = row.get(3)?;
                Ok(Claim {
                    input: row.get(0)?,
                    position: row.get(1)?,
                    rejects: file.zip(length.map(i64::cast_unsigned)),
                })
            },
        )?;
        tx.commit()?;
        self.0.busy_timeout(Duration::ZERO)?;
        Ok(claim)
    }

    fn customers(&mut self, ids: &[i64]) -> Result<HashMap<i64, Customer>, StoreError> {
        let mut select = self
            .0
            .prepare_cached("SELECT name, discount FROM customers WHERE id = ?")?;
        let mut customers = HashMap::with_capacity(ids.len());
        for &id in ids {
            let customer = select.query_row([id], |row| {
                Ok(Customer {
                    name: row.get(0)?,
                    discount: row.get(1)?,
                })
            });
            if let Some(customer) = customer.optional()? {
                customers.insert(id, customer);
            }
        }
        Ok(customers)
    }

    fn transaction(
        &mut self,
        input: i64,
        orders: &[Key],
        decide: &mut Decide<'_>,
    ) -> Result<(), StoreError> {
        // takes the lock now, not in the middle
        let tx = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (owner, position): (String, String) = tx
            .prepare_cached("SELECT owner, position FROM inputs WHERE id = ?")?
            .query_row([input], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut known = Known::with_capacity(orders.len());
        let mut select =
            tx.prepare_cached("SELECT cancelled FROM orders WHERE customer = ? AND number = ?")?;
        for key in orders {
            let found = select.query_row([key.customer, key.number], |row| row.get(0));
            if let Some(cancelled) = found.optional()? {
                known.insert(*key, cancelled);
            }
        }
        drop(select);

        let Some(changes) = decide(&owner, &position, known)? else {
            return Ok(());
        };
        let mut insert =
            tx.prepare_cached("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        for order in &changes.orders {
            insert.execute(params![
                order.key.customer,
                order.key.number,
                order.name,
                order.amount,
                order.discount,
                order.to_pay,
                input,
                order.line,
                order.cancelled,
            ])?;
        }
        drop(insert);
        let mut update =
            tx.prepare_cached("UPDATE orders SET cancelled = ? WHERE customer = ? AND number = ?")?;
        for (key, line) in &changes.cancelled {
            update.execute([*line, key.customer, key.number])?;
        }
        drop(update);
        tx.prepare_cached("UPDATE inputs SET position = ? WHERE id = ?")?
            .execute(params![changes.position, input])?;
        if let Some((file, length)) = &changes.rejects_file {
            tx.prepare_cached("UPDATE inputs SET rejects = ?, rejects_length = ? WHERE id = ?")?
                .execute(params![file, length.cast_signed(), input])?;
        }
        tx.commit()?;
        Ok(())
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => {
                StoreError::transient(error)
            }
            _ => StoreError::permanent(error),
        }
    }
}
