//! What was injected into runs and what came of it, for the sums.

use std::collections::HashSet;
use std::fmt::{self, Write};

/// What can be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A body gave an error.
    Error,
    /// A body panicked when it was called.
    PanicInCall,
    /// A body's future panicked when it was polled.
    PanicInPoll,
    /// A body's future panicked when it was dropped.
    PanicInDrop,
    /// An item panicked when the library dropped it.
    PanicInItem,
    /// An item panicked when it was copied.
    PanicInCopy,
    /// A body did not end by itself.
    Hang,
    /// A body took longer than the others.
    Slow,
    /// A source failed or panicked.
    Source,
    /// An end failed or panicked, or a stream was left.
    End,
    /// A channel for failures was full for good, or without a receiver.
    Channel,
    /// A cancel.
    Cancel,
    /// A drain.
    Drain,
    /// The owner was dropped.
    Owner,
    /// The runtime went.
    Runtime,
}

/// The names of all kinds, in their order.
pub const FAULTS: [&str; 15] = [
    "errors",
    "panics in call",
    "panics in poll",
    "panics in drop",
    "panics in drop of an item",
    "panics in clone of an item",
    "hangs",
    "slow items",
    "broken sources",
    "broken ends",
    "deaf channels",
    "cancels",
    "drains",
    "owners dropped",
    "runtimes dropped",
];

/// The sums, of one run or of many.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Runs.
    pub cases: u64,
    /// Items that sources gave.
    pub items: u64,
    /// Faults, by kind.
    pub faults: [u64; FAULTS.len()],
    /// Failures that were told or counted as not told, by timeouts.
    pub timeouts: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Where a run was struck: which pipeline, at which event.
    pub strikes: HashSet<(u64, u64)>,
    /// The most that were inside, and the bound there, where they were the closest.
    pub inside: (u64, u64),
}

impl Seen {
    /// Adds up.
    pub fn add(&mut self, other: Seen) {
        self.cases += other.cases;
        self.items += other.items;
        for (sum, more) in self.faults.iter_mut().zip(other.faults) {
            *sum += more;
        }
        self.timeouts += other.timeouts;
        self.retries += other.retries;
        self.strikes.extend(other.strikes);
        let closer = self.inside.1 == 0
            || u128::from(other.inside.0) * u128::from(self.inside.1)
                > u128::from(self.inside.0) * u128::from(other.inside.1);
        if other.inside.1 > 0 && closer {
            self.inside = other.inside;
        }
    }

    /// All faults together.
    pub fn injected(&self) -> u64 {
        self.faults.iter().sum()
    }

    /// What is printed, with the number or text of each line. All lines of a run without failure.
    pub fn lines(&self) -> Vec<(String, String)> {
        let mut lines = vec![
            ("cases".to_owned(), self.cases.to_string()),
            ("items".to_owned(), self.items.to_string()),
            ("faults injected".to_owned(), self.injected().to_string()),
        ];
        let kinds = FAULTS.iter().zip(self.faults);
        lines.extend(kinds.map(|(name, count)| (format!("  {name}"), count.to_string())));
        lines.extend([
            ("items out of time".to_owned(), self.timeouts.to_string()),
            ("retries".to_owned(), self.retries.to_string()),
            ("points struck".to_owned(), self.strikes.len().to_string()),
            (
                "worst inside / max_inside".to_owned(),
                format!("{} / {}", self.inside.0, self.inside.1),
            ),
        ]);
        lines
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (name, value) in self.lines() {
            writeln!(text, "{name:32} {value:>14}")?;
        }
        f.write_str(&text)
    }
}
