//! Values that are counted when they are made and when they are dropped (K2).

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What a source gave.
    Item,
    /// What a body made of an item.
    Output,
    /// What a body failed with.
    Fault,
    /// What a worker, a source or a sink owns.
    State,
}

const CLASSES: [Class; 4] = [Class::Item, Class::Output, Class::Fault, Class::State];

#[derive(Debug, Default)]
struct Count {
    made: AtomicU64,
    dropped: AtomicU64,
}

/// The counts of a scenario.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<[Count; 4]>);

impl Tally {
    /// A counted value of `class`.
    pub fn token(&self, class: Class) -> Token {
        self.0[class as usize].made.fetch_add(1, Ordering::SeqCst);
        Token {
            tally: self.clone(),
            class,
        }
    }

    /// How many of `class` are alive.
    pub fn alive(&self, class: Class) -> u64 {
        let count = &self.0[class as usize];
        count.made.load(Ordering::SeqCst) - count.dropped.load(Ordering::SeqCst)
    }

    /// How many of `class` were made.
    pub fn made(&self, class: Class) -> u64 {
        self.0[class as usize].made.load(Ordering::SeqCst)
    }

    /// What is still alive, if anything.
    pub fn verdict(&self) -> Option<String> {
        let alive: Vec<_> = CLASSES
            .into_iter()
            .filter(|class| self.alive(*class) > 0)
            .map(|class| {
                let (alive, made) = (self.alive(class), self.made(class));
                format!("{alive} of {made} of class {class:?}")
            })
            .collect();
        (!alive.is_empty()).then(|| format!("K2: never dropped: {}", alive.join(", ")))
    }
}

/// Counted in its constructor and its destructor.
#[derive(Debug)]
pub struct Token {
    tally: Tally,
    class: Class,
}

impl Drop for Token {
    fn drop(&mut self) {
        let count = &self.tally.0[self.class as usize];
        count.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// What flows through a pipeline under test. It can be sent and nothing else: no `Clone`, no `Sync`, no `Debug`.
#[expect(
    missing_debug_implementations,
    reason = "the library must not ask for it"
)]
pub struct Item {
    /// Its number at the source.
    pub index: u64,
    token: Token,
    not_sync: PhantomData<Cell<()>>,
}

impl Item {
    /// Number `index`.
    pub fn new(tally: &Tally, index: u64) -> Self {
        Item {
            index,
            token: tally.token(Class::Item),
            not_sync: PhantomData,
        }
    }

    /// The item as the result of a body.
    #[must_use]
    pub fn output(self) -> Self {
        Item {
            token: self.token.tally.token(Class::Output),
            ..self
        }
    }

    /// An error because of this item.
    pub fn fault(&self, text: impl Into<String>) -> Fault {
        Fault::new(&self.token.tally, text)
    }
}

/// An error that is counted.
#[derive(Debug)]
pub struct Fault {
    text: String,
    _token: Token,
}

impl Fault {
    /// An error that says `text`.
    pub fn new(tally: &Tally, text: impl Into<String>) -> Self {
        Fault {
            text: text.into(),
            _token: tally.token(Class::Fault),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}
