//! The item: a message, and what one may ask about it.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

/// Bytes of an id.
const LONGEST_ID: usize = 256;
/// The end of the year 9999, up to which times can be written.
const LAST: i64 = 253_402_300_799_999;

/// To be delivered at its time. Clones share the text.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: Arc<str>,
    /// Milliseconds since 1970.
    pub(crate) due: i64,
    /// JSON, on one line.
    pub(crate) body: Arc<str>,
    /// Tells versions of a message apart, and which one is the newest.
    pub(crate) version: i64,
    /// Whether it was in the database at the start.
    pub(crate) restored: bool,
    /// From when on its delivery is late: when it was due, or when it came if that was later.
    pub(crate) expected: Instant,
    /// By how much it was, once it is delivered.
    pub(crate) late: Duration,
}

impl Message {
    /// It is delivered now.
    pub(crate) fn delivered(&mut self) {
        self.late = self.expected.elapsed();
    }

    /// A line without its end.
    pub(crate) fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            id: &'a str,
            due: String,
            body: &'a RawValue,
        }

        let line = serde_json::from_str(&self.body).and_then(|body| {
            serde_json::to_string(&Line {
                id: &self.id,
                due: rfc3339(self.due),
                body,
            })
        });
        line.unwrap_or_default() // it was read as JSON, and is written as such
    }
}

/// What somebody wants.
#[derive(Debug)]
pub(crate) enum Wish {
    /// A message, or another version of it.
    Deliver {
        id: Arc<str>,
        due: i64,
        body: Arc<str>,
    },
    Cancel {
        id: Arc<str>,
    },
}

/// A wish on its way to the database.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) wish: Wish,
    pub(crate) from: From,
    /// The place among those that are pending, for a message whose id is not pending yet.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

/// Who wants to know what came of a wish.
#[derive(Debug)]
pub(crate) enum From {
    /// The user, by the number of the line.
    Line(u64),
    /// A request over HTTP. When this is dropped nothing came of it.
    Http(oneshot::Sender<Answer>),
}

/// What came of a wish, once it is in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It will be delivered at this time.
    Pending {
        due: i64,
    },
    Cancelled,
    /// It is too late to cancel it.
    Leaving,
    /// There is nothing to be cancelled.
    Unknown,
}

/// Reads a wish.
///
/// # Errors
///
/// What is wrong, in words.
pub(crate) fn parse(text: &[u8], now: i64) -> Result<Wish, String> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow)]
        id: Option<Cow<'a, str>>,
        #[serde(borrow)]
        due: Option<&'a RawValue>,
        #[serde(borrow)]
        body: Option<&'a RawValue>,
        #[serde(default)]
        cancel: bool,
    }

    let fields: Fields<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let id: Arc<str> = match fields.id.as_deref() {
        None => return Err("no `id`".into()),
        Some("") => return Err("`id` is empty".into()),
        Some(id) if id.len() > LONGEST_ID => {
            return Err(format!("`id` is longer than {LONGEST_ID} bytes"));
        }
        Some(id) => id.into(),
    };
    if fields.cancel {
        return Ok(Wish::Cancel { id });
    }
    let due = time(fields.due.ok_or("no `due`")?.get(), now)?;
    let body = fields.body.map_or("null", RawValue::get);
    Ok(Wish::Deliver {
        id,
        due,
        // outside of strings a line break is a blank, and inside JSON has none
        body: body.replace(['\n', '\r'], " ").into(),
    })
}

/// A time as a text, or as milliseconds from now.
fn time(json: &str, now: i64) -> Result<i64, String> {
    let due = if let Ok(text) = serde_json::from_str::<String>(json) {
        let time = DateTime::parse_from_rfc3339(&text);
        time.map_err(|error| format!("`due`: {text:?}: {error}"))?
            .timestamp_millis()
    } else {
        let millis = json.parse::<i64>().map_err(|_| {
            "`due` is neither a time such as \"2030-01-01T00:00:00Z\" nor a number of milliseconds"
        })?;
        now.saturating_add(millis)
    };
    if due > LAST {
        return Err("`due` is after the year 9999".into());
    }
    Ok(due.max(0)) // long ago is now
}

/// Milliseconds since 1970 as a text.
pub(crate) fn rfc3339(due: i64) -> String {
    let due = DateTime::from_timestamp_millis(due).unwrap_or_default();
    due.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The time of the day, brought together with the time of timers once: equal times stay equal, and
/// clocks that are set while it runs do not count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    /// Milliseconds since 1970.
    at: i64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Clock {
            start: Instant::now(),
            at: since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(LAST)),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        let passed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(LAST);
        self.at.saturating_add(passed)
    }

    /// What was due before the start is due at the start.
    pub(crate) fn instant(&self, due: i64) -> Instant {
        let later = u64::try_from(due.saturating_sub(self.at)).unwrap_or(0);
        self.start + Duration::from_millis(later) // not after the year 9999
    }

    /// From when on a message that comes now is late.
    pub(crate) fn expected(&self, due: i64) -> Instant {
        self.instant(due).max(Instant::now())
    }
}
