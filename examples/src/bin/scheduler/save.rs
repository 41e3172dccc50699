//! The stages that write to the database: what is pending, and what is no longer.

use std::{error::Error, fmt, path::Path, sync::Arc, time::Duration};

use pipeline_core::{Schedule, prelude::*};
use rusqlite::Connection;
use tokio::time::Instant;

use crate::{
    book::Book,
    database::{self, open, open_relaxed},
    message::{Answer, Clock, From, Message, Request, Wish},
    say,
};

/// What the database is brought in line with.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) book: Book,
    pub(crate) schedule: Schedule<Arc<str>, Message>,
    pub(crate) clock: Clock,
}

impl Desk {
    /// When a message goes on from the schedule: at its time, unless it is to be delivered or dropped at
    /// once.
    pub(crate) fn leaves(&self, message: &Message, flush: bool) -> Instant {
        if flush || self.book.is_closed() || !self.book.is_current(message) {
            Instant::now()
        } else {
            self.clock.instant(message.due)
        }
    }

    /// Whether a message is to be delivered. It cannot be cancelled any more, then.
    pub(crate) fn begin(&self, message: &Message) -> bool {
        let is_due = message.due <= self.clock.now();
        self.book.begin(message, is_due)
    }
}

/// Does what was asked for, in one transaction, and then tells those who asked. Gives the messages that
/// are new.
#[stage(blocking)]
pub(crate) fn save(
    #[state(init = open(&Path))] connection: &mut Connection,
    #[state] desk: &Desk,
    requests: Vec<Request>,
) -> Result<Vec<Message>, NotSaved> {
    let versions: Vec<_> = requests.iter().map(|_| desk.book.version()).collect();
    if let Err(cause) = write(connection, &desk.book, &requests, &versions) {
        return Err(NotSaved::new(&requests, cause));
    }
    // on the disk: now for all the others
    let mut messages = Vec::new();
    for (request, version) in requests.into_iter().zip(versions) {
        let answer = match request.wish {
            Wish::Deliver { id, due, body } => {
                if desk.book.enter(&id, version, request.place) {
                    desk.schedule.cancel(&id); // the version before
                }
                messages.push(Message {
                    id,
                    due,
                    body,
                    version,
                    restored: false,
                    expected: desk.clock.expected(due),
                    late: Duration::ZERO,
                });
                Answer::Pending { due }
            }
            Wish::Cancel { id } => {
                let answer = desk.book.cancel(&id);
                if answer == Answer::Cancelled {
                    desk.schedule.cancel(&id);
                } else if let From::Line(line) = request.from {
                    say(&format!("line {line}: {id:?} is not pending"));
                }
                answer
            }
        };
        if let From::Http(asks) = request.from {
            let _ = asks.send(answer); // it may have gone
        }
    }
    messages.retain(|message| desk.book.is_current(message));
    Ok(messages)
}

fn write(
    connection: &mut Connection,
    book: &Book,
    requests: &[Request],
    versions: &[i64],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for (request, version) in requests.iter().zip(versions) {
        match &request.wish {
            Wish::Deliver { id, due, body } => {
                database::put(&transaction, (id, *due, *version, body))?;
            }
            // one that is on its way is removed when it has arrived
            Wish::Cancel { id } => database::remove_but(&transaction, id, book.leaving(id))?,
        }
    }
    transaction.commit()
}

/// Removes what is delivered, in one transaction.
#[stage(blocking, retry(backoff = "100ms"))]
pub(crate) fn forget(
    #[state(init = open_relaxed(&Path))] connection: &mut Connection,
    #[state] book: &Book,
    messages: Vec<Message>,
) -> Result<Vec<Message>, NotForgotten> {
    let mut write = || {
        let transaction = connection.transaction()?;
        for message in &messages {
            database::remove(&transaction, &message.id, message.version)?;
        }
        transaction.commit()
    };
    match write() {
        Ok(()) => {
            messages.iter().for_each(|message| book.done(message));
            Ok(messages)
        }
        Err(cause) => Err(NotForgotten {
            messages: messages.len(),
            cause,
        }),
    }
}

/// What could not be written to the database.
#[derive(Debug)]
pub(crate) struct NotSaved {
    /// The numbers of lines. Those who ask over HTTP notice by themselves.
    lines: Vec<u64>,
    requests: usize,
    cause: rusqlite::Error,
}

impl NotSaved {
    fn new(requests: &[Request], cause: rusqlite::Error) -> Self {
        let lines = requests.iter().filter_map(|request| match request.from {
            From::Line(line) => Some(line),
            From::Http(_) => None,
        });
        NotSaved {
            lines: lines.collect(),
            requests: requests.len(),
            cause,
        }
    }
}

impl fmt::Display for NotSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.lines.first(), self.lines.last()) {
            (Some(first), Some(last)) => write!(
                f,
                "lines {first} to {last}: {} message(s) not saved",
                self.lines.len()
            ),
            _ => write!(f, "{} request(s) not saved", self.requests),
        }
    }
}

impl Error for NotSaved {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// Messages that were delivered, and are still in the database.
#[derive(Debug)]
pub(crate) struct NotForgotten {
    messages: usize,
    cause: rusqlite::Error,
}

impl fmt::Display for NotForgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = self.messages;
        write!(
            f,
            "{messages} delivered message(s) will be delivered again after the next start"
        )
    }
}

impl Error for NotForgotten {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}
