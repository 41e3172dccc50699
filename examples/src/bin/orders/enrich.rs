//! The second stage: what the database knows about the customer of an order.

use std::collections::{BTreeSet, HashMap};

use pipeline_core::prelude::*;

use crate::{
    book::{Booking, Entry},
    parse::{Event, Parsed},
    store::{self, Connection, Customer, Database, StoreError},
};

/// A batch at a time: each customer in it is asked for once. Every worker has a connection of its
/// own, so that `parallelism` is the size of the pool.
#[stage(blocking)]
pub(crate) fn enrich(
    #[state(init = store::connect(&Database))] database: &mut Box<dyn Connection>,
    batch: Vec<Parsed>,
) -> Result<Vec<Entry>, StoreError> {
    let ids: BTreeSet<_> = batch.iter().filter_map(asked_for).collect();
    let ids: Vec<_> = ids.into_iter().collect();
    let customers = database.customers(&ids)?;
    Ok(batch
        .into_iter()
        .map(|parsed| entry(parsed, &customers))
        .collect())
}

// ANCHOR: each
/// An event at a time, for the order by customer.
#[stage(blocking)]
pub(crate) fn enrich_each(
    #[state(init = store::connect(&Database))] database: &mut Box<dyn Connection>,
    parsed: Parsed,
) -> Result<Entry, StoreError> {
    let customers = match asked_for(&parsed) {
        Some(id) => database.customers(&[id])?,
        None => HashMap::new(),
    };
    Ok(entry(parsed, &customers))
}
// ANCHOR_END: each

fn asked_for(parsed: &Parsed) -> Option<i64> {
    match parsed.event {
        Ok(Event::Order { key, .. }) => Some(key.customer),
        _ => None,
    }
}

fn entry(parsed: Parsed, customers: &HashMap<i64, Customer>) -> Entry {
    let Parsed { line, event } = parsed;
    let booking = event.and_then(|event| match event {
        Event::Cancel { key } => Ok(Booking::Cancel { key }),
        Event::Order { key, amount } => match customers.get(&key.customer) {
            Some(customer) => Ok(Booking::Order {
                key,
                amount,
                customer: customer.clone(),
            }),
            None => Err(format!("there is no customer {}", key.customer)),
        },
    });
    Entry { line, booking }
}
