//! Which ids are being stored, or were not long ago.
//!
//! A client that got no answer sends its payloads again, and must. They may be stored all the same:
//! the program died, or the connection did, between the storing and the answer. Who asks here first
//! stores no payload twice.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Ids, of which the newest stored ones are remembered. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Seen(Arc<Mutex<Ids>>);

#[derive(Debug)]
struct Ids {
    /// Whether it is stored; otherwise a claim has it.
    all: HashMap<Arc<str>, bool>,
    /// The stored ones, the oldest first.
    stored: VecDeque<Arc<str>>,
    most: usize,
}

impl Ids {
    fn remember(&mut self, id: Arc<str>) {
        if self.all.insert(Arc::clone(&id), true) == Some(true) {
            return; // it has its place
        }
        self.stored.push_back(id);
        while self.stored.len() > self.most
            && let Some(oldest) = self.stored.pop_front()
        {
            self.all.remove(&oldest);
        }
    }
}

/// Why an id cannot be claimed now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is twice among those that were asked for.
    Twice(Arc<str>),
    /// Another request is about to store it.
    Elsewhere(Arc<str>),
}

impl Seen {
    /// Remembers the newest `most` stored ids.
    pub(crate) fn new(most: usize) -> Self {
        Seen(Arc::new(Mutex::new(Ids {
            all: HashMap::new(),
            stored: VecDeque::new(),
            most,
        })))
    }

    /// Notes what is stored already.
    pub(crate) fn remember(&self, ids: impl IntoIterator<Item = Arc<str>>) {
        let mut known = self.lock();
        ids.into_iter().for_each(|id| known.remember(id));
    }

    /// The right to store those of `ids` that are not stored yet.
    ///
    /// # Errors
    ///
    /// One of them cannot be had, so none is.
    pub(crate) fn claim(&self, ids: impl IntoIterator<Item = Arc<str>>) -> Result<Claim, Taken> {
        let mut claim = Claim {
            seen: self.clone(),
            ids: Vec::new(),
        };
        let mut known = self.lock();
        for id in ids {
            match known.all.get(&id) {
                Some(true) => {}
                None => {
                    known.all.insert(Arc::clone(&id), false);
                    claim.ids.push(id);
                }
                Some(false) => {
                    drop(known); // the claim, on its way out, takes the lock itself
                    return Err(if claim.ids.contains(&id) {
                        Taken::Twice(id)
                    } else {
                        Taken::Elsewhere(id)
                    });
                }
            }
        }
        drop(known);
        Ok(claim)
    }

    fn lock(&self) -> MutexGuard<'_, Ids> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to store some ids, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    seen: Seen,
    ids: Vec<Arc<str>>,
}

impl Claim {
    /// How many ids it is for.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// In the order in which they were asked for.
    pub(crate) fn ids(&self) -> &[Arc<str>] {
        &self.ids
    }

    /// All of them are stored.
    pub(crate) fn stored(mut self) {
        self.seen.remember(mem::take(&mut self.ids));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.ids.is_empty() {
            return;
        }
        let mut known = self.seen.lock();
        for id in &self.ids {
            known.all.remove(id);
        }
    }
}
