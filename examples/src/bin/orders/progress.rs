//! What was done, in numbers, and what is said about it on stderr.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::book::Reject;

/// Characters of a line that are shown.
const SHOWN: usize = 60;

/// Of this run, and committed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) lines: u64,
    pub(crate) orders: u64,
    pub(crate) cancellations: u64,
    pub(crate) rejected: u64,
}

/// Clones are the same progress.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    totals: Arc<Mutex<Totals>>,
    each_batch: bool,
}

impl Progress {
    /// `each_batch`: says so when one is committed.
    pub(crate) fn new(each_batch: bool) -> Self {
        Progress {
            totals: Arc::default(),
            each_batch,
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        *self.lock()
    }

    /// So many of a batch; `done` are all lines, of earlier runs as well.
    pub(crate) fn committed(&self, batch: Totals, done: u64) {
        let mut totals = self.lock();
        totals.lines += batch.lines;
        totals.orders += batch.orders;
        totals.cancellations += batch.cancellations;
        totals.rejected += batch.rejected;
        drop(totals);
        if self.each_batch {
            say(&format!("{done} lines done"));
        }
    }

    #[expect(clippy::unused_self, reason = "what is said goes through here")]
    pub(crate) fn rejected(&self, Reject { line, reason }: &Reject<'_>) {
        let mut shown = String::new();
        let text = String::from_utf8_lossy(&line.text);
        let mut rest = text.chars();
        for c in rest.by_ref().take(SHOWN) {
            if c.is_control() {
                let _ = write!(shown, "{}", c.escape_default());
            } else {
                shown.push(c);
            }
        }
        if rest.next().is_some() || line.too_long {
            shown.push_str("...");
        }
        say(&format!("line {}: {reason}: {shown}", line.number));
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Text on stderr, mostly a line. There is nobody to tell when that fails.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "orders: {line}");
}
