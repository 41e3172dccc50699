//! What events do to the table: the rules, apart from any database.

use std::{collections::HashMap, sync::Arc};

use crate::{
    input::Line,
    parse::Key,
    store::{Customer, Known},
};

/// A line that is ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) line: Line,
    /// Or why not.
    pub(crate) booking: Result<Booking, String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Booking {
    Order {
        key: Key,
        amount: i64,
        customer: Customer,
    },
    Cancel {
        key: Key,
    },
}

impl Booking {
    pub(crate) fn key(&self) -> Key {
        match *self {
            Booking::Order { key, .. } | Booking::Cancel { key } => key,
        }
    }
}

/// A new row of the table.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) key: Key,
    pub(crate) name: Arc<str>,
    pub(crate) amount: i64,
    pub(crate) discount: i64,
    pub(crate) to_pay: i64,
    pub(crate) line: i64,
    /// The line that cancelled it.
    pub(crate) cancelled: Option<i64>,
}

/// What a batch changes: all of it in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// New ones, in the order of the batch.
    pub(crate) orders: Vec<Order>,
    /// Orders of earlier batches, with the line that cancels them.
    pub(crate) cancelled: Vec<(Key, i64)>,
    pub(crate) cancellations: u64,
    /// Which lines are done then.
    pub(crate) position: String,
    /// The file of rejected lines, and its length then.
    pub(crate) rejects_file: Option<(String, u64)>,
}

/// A line of which nothing was booked, and why.
#[derive(Debug)]
pub(crate) struct Reject<'a> {
    pub(crate) line: &'a Line,
    pub(crate) reason: String,
}

/// Where an order of this batch is: in the table, or in what is to be added.
enum Place {
    Stored,
    New(usize),
}

/// Books a batch, event by event, upon what is in the table.
pub(crate) fn book(batch: &[Entry], known: Known) -> (Changes, Vec<Reject<'_>>) {
    let mut changes = Changes::default();
    let mut rejects = Vec::new();
    let mut orders: HashMap<Key, (Place, Option<i64>)> = known
        .into_iter()
        .map(|(key, cancelled)| (key, (Place::Stored, cancelled)))
        .collect();
    for Entry { line, booking } in batch {
        let number = line.number.cast_signed();
        let reason = match booking {
            Err(reason) => reason.clone(),
            Ok(Booking::Order {
                key,
                amount,
                customer,
            }) => {
                if orders.contains_key(key) {
                    format!(
                        "order {} of customer {} is there already",
                        key.number, key.customer
                    )
                } else {
                    orders.insert(*key, (Place::New(changes.orders.len()), None));
                    changes.orders.push(Order {
                        key: *key,
                        name: Arc::clone(&customer.name),
                        amount: *amount,
                        discount: customer.discount,
                        to_pay: discounted(*amount, customer.discount),
                        line: number,
                        cancelled: None,
                    });
                    continue;
                }
            }
            Ok(Booking::Cancel { key }) => match orders.get_mut(key) {
                None => format!(
                    "there is no order {} of customer {}",
                    key.number, key.customer
                ),
                Some((_, Some(line))) => format!(
                    "order {} of customer {} was cancelled before, by line {line}",
                    key.number, key.customer
                ),
                Some((place, cancelled)) => {
                    *cancelled = Some(number);
                    changes.cancellations += 1;
                    match *place {
                        Place::Stored => changes.cancelled.push((*key, number)),
                        Place::New(at) => changes.orders[at].cancelled = Some(number),
                    }
                    continue;
                }
            },
        };
        rejects.push(Reject { line, reason });
    }
    (changes, rejects)
}

/// Rounded down to the cent; a discount is at most all of it.
fn discounted(amount: i64, percent: i64) -> i64 {
    let part = i128::from(amount) * i128::from(100 - percent.clamp(0, 100)) / 100;
    i64::try_from(part).unwrap_or(amount)
}
