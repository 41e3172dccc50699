//! The first stage: a line in, an event out, or what is wrong with the line.

use std::str;

use pipeline_core::prelude::*;
use serde::Deserialize;
use serde_json::Deserializer;

use crate::input::Line;

/// What becomes of an event is decided by those of the same key alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) customer: i64,
    /// Of the order; each customer has numbers of its own.
    pub(crate) number: i64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    /// The amount is in cents.
    Order {
        key: Key,
        amount: i64,
    },
    Cancel {
        key: Key,
    },
}

impl Event {
    pub(crate) fn key(&self) -> Key {
        match *self {
            Event::Order { key, .. } | Event::Cancel { key } => key,
        }
    }
}

/// A line with what it says. One that says nothing is a result like any other and no failure of the
/// stage: it goes on to be written, so that what becomes of each line is stored in one place.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) line: Line,
    pub(crate) event: Result<Event, String>,
}

impl Parsed {
    /// The key of the order by customer. A line that is wrong is nobody's, and waits for nobody.
    pub(crate) fn customer(&self) -> Result<i64, u64> {
        match &self.event {
            Ok(event) => Ok(event.key().customer),
            Err(_) => Err(self.line.number),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) ignore_unknown: bool,
    /// Only to be named: the source measures.
    pub(crate) max_line: usize,
}

// ANCHOR: parse
/// Cheap work on the CPU, less than a microsecond a line: neither batches nor threads of its own pay.
#[stage(parallelism = "cores")]
pub(crate) fn parse(#[state] rules: &Rules, line: Line) -> Parsed {
    let event = if line.too_long {
        Err(format!("longer than {} bytes", rules.max_line))
    } else {
        event(&line.text, rules)
    };
    Parsed { line, event }
}
// ANCHOR_END: parse

/// Unknown fields are ignored.
#[derive(Deserialize)]
#[serde(expecting = "an event")]
struct Fields {
    event: Kind,
    order: i64,
    customer: i64,
    amount: Option<i64>,
}

/// The same, and unknown fields are an error.
#[derive(Deserialize)]
#[serde(remote = "Fields", deny_unknown_fields, expecting = "an event")]
struct Strictly {
    event: Kind,
    order: i64,
    customer: i64,
    amount: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Order,
    Cancel,
}

fn event(text: &[u8], rules: &Rules) -> Result<Event, String> {
    let text = str::from_utf8(text)
        .map_err(|error| format!("column {}: not UTF-8", error.valid_up_to() + 1))?;
    if text.trim_ascii().is_empty() {
        return Err("empty".to_owned());
    }
    let mut json = Deserializer::from_str(text);
    let fields = if rules.ignore_unknown {
        Fields::deserialize(&mut json)
    } else {
        Strictly::deserialize(&mut json)
    };
    let fields = fields.and_then(|fields| json.end().map(|()| fields));
    let Fields {
        event,
        order: number,
        customer,
        amount,
    } = fields.map_err(|error| wrong(&error))?;

    let numbers = [
        ("order", Some(number)),
        ("customer", Some(customer)),
        ("amount", amount),
    ];
    for (name, value) in numbers {
        if let Some(value) = value.filter(|value| *value < 0) {
            return Err(format!("the {name} {value} is negative"));
        }
    }
    let key = Key { customer, number };
    match (event, amount) {
        (Kind::Order, Some(amount)) => Ok(Event::Order { key, amount }),
        (Kind::Order, None) => Err("an order without an amount".to_owned()),
        (Kind::Cancel, None) => Ok(Event::Cancel { key }),
        (Kind::Cancel, Some(_)) => Err("a cancellation with an amount".to_owned()),
    }
}

/// The parser counts lines as well, and has seen one.
fn wrong(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line 1 ").next().unwrap_or(&text);
    format!("column {}: {what}", error.column())
}
