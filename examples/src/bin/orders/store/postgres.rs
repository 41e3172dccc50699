//! PostgreSQL, over the network.

use std::{collections::HashMap, time::Duration};

use tokio::{runtime::Handle, time::timeout};
use tokio_postgres::{Client, Error, NoTls, Row, error::SqlState};

use super::{Claim, Connection, Customer, Decide, Known, StoreError, made_up_customers};
use crate::parse::Key;

/// For a call. What takes longer has lost its connection.
const PATIENCE: Duration = Duration::from_secs(30);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS inputs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, owner text NOT NULL,
        position text NOT NULL, rejects text, rejects_length bigint
    );
    CREATE TABLE IF NOT EXISTS orders (
        customer bigint NOT NULL, number bigint NOT NULL, name text NOT NULL, amount bigint NOT NULL,
        discount bigint NOT NULL, to_pay bigint NOT NULL, input bigint NOT NULL REFERENCES inputs,
        line bigint NOT NULL, cancelled bigint, PRIMARY KEY (number, customer)
    );";

pub(crate) struct Postgres {
    url: String,
    runtime: Handle,
    /// None, or closed, after an error.
    client: Option<Client>,
}

impl Postgres {
    pub(crate) async fn connect(url: &str) -> Result<Self, StoreError> {
        Ok(Postgres {
            url: url.to_owned(),
            runtime: Handle::current(),
            client: Some(within(connect(url)).await?),
        })
    }

    /// Runs a call on this thread, which is one that may block.
    fn call<R>(
        &mut self,
        call: impl AsyncFnOnce(&mut Client) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let Postgres {
            url,
            runtime,
            client,
        } = self;
        runtime.block_on(within(async {
            let mut connected = match client.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => connect(url).await?,
            };
            let result = call(&mut connected).await;
            *client = Some(connected); // not if time was over: then nobody knows what state it is in
            result
        }))
    }
}

async fn connect(url: &str) -> Result<Client, StoreError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection); // ends with the client; what goes wrong is told there, too
    Ok(client)
}

async fn within<R>(call: impl Future<Output = Result<R, StoreError>>) -> Result<R, StoreError> {
    let silent = |_| StoreError::transient(format!("PostgreSQL: no answer within {PATIENCE:?}"));
    timeout(PATIENCE, call).await.map_err(silent)?
}

impl Connection for Postgres {
    fn claim(&mut self, input: &str, owner: &str) -> Result<Claim, StoreError> {
        self.call(async |client| {
            let tx = client.transaction().await?;
            tx.batch_execute("SELECT pg_advisory_xact_lock(7406357)").await?; // two that make tables
            tx.batch_execute(TABLES).await?;
            let there = tx.query_one("SELECT to_regclass('customers') IS NOT NULL", &[]);
            if !there.await?.try_get::<_, bool>(0)? {
                let (mut ids, mut names, mut discounts) = (Vec::new(), Vec::new(), Vec::new());
                for (id, name, discount) in made_up_customers() {
                    ids.push(id);
                    names.push(name);
                    discounts.push(discount);
                }
                tx.batch_execute(
                    "CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, discount bigint NOT NULL)",
                )
                .await?;
                tx.execute(
                    "INSERT INTO customers SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])",
                    &[&ids, &names, &discounts],
                )
                .await?;
            }
            let row = tx
                .query_one(
                    "INSERT INTO inputs (name, owner, position) VALUES ($1, $2, '')
                     ON CONFLICT (name) DO UPDATE SET owner = excluded.owner
                     RETURNING id, position, rejects, rejects_length",
                    &[&input, &owner],
                )
                .await?;
            tx.commit().await?;
            let file: Option<String> = row.try_get(2)?;
            let length: Option<i64> = row.try_get(3)?;
            Ok(Claim {
                input: row.try_get(0)?,
                position: row.try_get(1)?,
                rejects: file.zip(length.map(i64::cast_unsigned)),
            })
        })
    }

    fn customers(&mut self, ids: &[i64]) -> Result<HashMap<i64, Customer>, StoreError> {
        self.call(async |client| {
            let select = "SELECT id, name, discount FROM customers WHERE id = ANY($1)";
            let rows = client.query(select, &[&ids]).await?;
            let customer = |row: Row| {
                let name: &str = row.try_get(1)?;
                let (name, discount) = (name.into(), row.try_get(2)?);
                Ok((row.try_get(0)?, Customer { name, discount }))
            };
            rows.into_iter().map(customer).collect()
        })
    }

    fn transaction(
        &mut self,
        input: i64,
        orders: &[Key],
        decide: &mut Decide<'_>,
    ) -> Result<(), StoreError> {
        self.call(async |client| {
            let tx = client.transaction().await?;
            let row = tx
                .query_one(
                    "SELECT owner, position FROM inputs WHERE id = $1 FOR UPDATE",
                    &[&input],
                )
                .await?;
            let (customers, numbers) = columns(orders.iter());
            let rows = tx
                .query(
                    "SELECT customer, number, cancelled FROM orders
                     JOIN unnest($1::bigint[], $2::bigint[]) AS key (customer, number) USING (customer, number)",
                    &[&customers, &numbers],
                )
                .await?;
            let mut known = Known::with_capacity(rows.len());
            for row in rows {
                let (customer, number) = (row.try_get(0)?, row.try_get(1)?);
                known.insert(Key { customer, number }, row.try_get(2)?);
            }

            let Some(changes) = decide(row.try_get(0)?, row.try_get(1)?, known)? else {
                return Ok(());
            };
            let new = &changes.orders;
            let (customers, numbers) = columns(new.iter().map(|order| &order.key));
            let names: Vec<&str> = new.iter().map(|order| &*order.name).collect();
            let amounts: Vec<i64> = new.iter().map(|order| order.amount).collect();
            let discounts: Vec<i64> = new.iter().map(|order| order.discount).collect();
            let to_pay: Vec<i64> = new.iter().map(|order| order.to_pay).collect();
            let lines: Vec<i64> = new.iter().map(|order| order.line).collect();
            let cancelled: Vec<Option<i64>> = new.iter().map(|order| order.cancelled).collect();
            tx.execute(
                "INSERT INTO orders (customer, number, name, amount, discount, to_pay, input, line, cancelled)
                 SELECT customer, number, name, amount, discount, to_pay, $9, line, cancelled
                 FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
                             $7::bigint[], $8::bigint[])
                 AS new (customer, number, name, amount, discount, to_pay, line, cancelled)",
                &[&customers, &numbers, &names, &amounts, &discounts, &to_pay, &lines, &cancelled, &input],
            )
            .await?;
            let (customers, numbers) = columns(changes.cancelled.iter().map(|(key, _)| key));
            let lines: Vec<i64> = changes.cancelled.iter().map(|(_, line)| *line).collect();
            tx.execute(
                "UPDATE orders SET cancelled = by.line
                 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS by (customer, number, line)
                 WHERE orders.customer = by.customer AND orders.number = by.number",
                &[&customers, &numbers, &lines],
            )
            .await?;
            tx.execute(
                "UPDATE inputs SET position = $1 WHERE id = $2",
                &[&changes.position, &input],
            )
            .await?;
            if let Some((file, length)) = &changes.rejects_file {
                tx.execute(
                    "UPDATE inputs SET rejects = $1, rejects_length = $2 WHERE id = $3",
                    &[file, &length.cast_signed(), &input],
                )
                .await?;
            }
            tx.commit().await?;
            Ok(())
        })
    }
}

fn columns<'a>(keys: impl Iterator<Item = &'a Key>) -> (Vec<i64>, Vec<i64>) {
    keys.map(|key| (key.customer, key.number)).unzip()
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let mut text = format!("PostgreSQL: {error}");
        if let Some(cause) = std::error::Error::source(&error) {
            text += &format!(": {cause}");
        }
        let text = text.replace('\n', "; ");
        if may_pass(&error) {
            StoreError::transient(text)
        } else {
            StoreError::permanent(text)
        }
    }
}

/// The connection is gone, the server is going down or coming up, has no room, or has chosen this
/// transaction to give way.
fn may_pass(error: &Error) -> bool {
    let Some(state) = error.code() else {
        let cause = std::error::Error::source(error);
        return error.is_closed() || cause.is_some_and(|cause| cause.is::<std::io::Error>());
    };
    let class = state.code().get(..2);
    matches!(class, Some("08" | "53"))
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ]
        .contains(state)
}
