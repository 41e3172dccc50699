//! What is pending, in memory: which version of each message counts, and whether it is on its way.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering::SeqCst},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::message::{Answer, Message, Wish};

/// Clones are the same book.
#[derive(Debug, Clone)]
pub(crate) struct Book(Arc<Pages>);

#[derive(Debug)]
struct Pages {
    pending: Mutex<HashMap<Arc<str>, Entry>>,
    places: Arc<Semaphore>,
    most: usize,
    versions: AtomicI64,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Entry {
    version: i64,
    is_leaving: bool,
    /// Free again when this is dropped. None for what is beyond the bound: the book may have been larger
    /// at the last start.
    _place: Option<OwnedSemaphorePermit>,
}

impl Book {
    /// With places for `most` messages.
    pub(crate) fn new(most: usize) -> Self {
        Book(Arc::new(Pages {
            pending: Mutex::default(),
            places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            most,
            versions: AtomicI64::new(0),
            closed: AtomicBool::new(false),
        }))
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn most(&self) -> usize {
        self.0.most
    }

    /// A number that is higher than all before.
    pub(crate) fn version(&self) -> i64 {
        self.0.versions.fetch_add(1, SeqCst) + 1
    }

    /// From now on only what is due leaves, and nothing more has a place.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, SeqCst);
        self.0.places.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(SeqCst)
    }

    /// A place for a wish that needs one. Waits while there is none.
    ///
    /// # Errors
    ///
    /// The book was closed meanwhile.
    pub(crate) async fn place(&self, wish: &Wish) -> Result<Option<OwnedSemaphorePermit>, Closed> {
        if !self.needs_place(wish) {
            return Ok(None);
        }
        let place = Arc::clone(&self.0.places).acquire_owned().await;
        place.map(Some).map_err(|_| Closed)
    }

    /// The same, for those who do not wait.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) fn try_place(&self, wish: &Wish) -> Result<Option<OwnedSemaphorePermit>, Full> {
        if !self.needs_place(wish) {
            return Ok(None);
        }
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        place.map(Some).map_err(|_| Full)
    }

    fn needs_place(&self, wish: &Wish) -> bool {
        match wish {
            Wish::Deliver { id, .. } => !self.lock().contains_key(id),
            Wish::Cancel { .. } => false,
        }
    }

    /// Notes a message, or another version of one, which has its place then, or another one if there is. True
    /// if it replaces one that was waiting.
    pub(crate) fn enter(
        &self,
        id: &Arc<str>,
        version: i64,
        place: Option<OwnedSemaphorePermit>,
    ) -> bool {
        let mut pending = self.lock();
        let old = pending.remove(id);
        let replaces = old.as_ref().is_some_and(|old| !old.is_leaving);
        let place = place.or(old.and_then(|old| old._place));
        // its id was pending when it came, and is no more
        let place = place.or_else(|| Arc::clone(&self.0.places).try_acquire_owned().ok());
        let entry = Entry {
            version,
            is_leaving: false,
            _place: place,
        };
        pending.insert(Arc::clone(id), entry);
        replaces
    }

    /// Notes what was in the database, as far as there are places.
    pub(crate) fn restore(&self, message: &Message) {
        self.0.versions.fetch_max(message.version, SeqCst);
        self.enter(&message.id, message.version, None);
    }

    /// Whether this version counts, and no later one.
    pub(crate) fn is_current(&self, message: &Message) -> bool {
        let pending = self.lock();
        let entry = pending.get(&message.id);
        entry.is_some_and(|entry| entry.version == message.version)
    }

    /// Whether a message may be delivered; from then on it cannot be cancelled.
    pub(crate) fn begin(&self, message: &Message, is_due: bool) -> bool {
        if self.is_closed() && !is_due {
            return false; // it stays in the database
        }
        self.set_leaving(message, true)
    }

    /// It could not be delivered, and waits for the next start.
    pub(crate) fn failed(&self, message: &Message) {
        self.set_leaving(message, false);
    }

    fn set_leaving(&self, message: &Message, is_leaving: bool) -> bool {
        match self.lock().get_mut(&message.id) {
            Some(entry) if entry.version == message.version => {
                entry.is_leaving = is_leaving;
                true
            }
            _ => false,
        }
    }

    /// The version that is on its way, if one is.
    pub(crate) fn leaving(&self, id: &str) -> Option<i64> {
        let pending = self.lock();
        let entry = pending.get(id).filter(|entry| entry.is_leaving);
        entry.map(|entry| entry.version)
    }

    /// Takes a message out that waits.
    pub(crate) fn cancel(&self, id: &str) -> Answer {
        let mut pending = self.lock();
        match pending.get(id) {
            None => Answer::Unknown,
            Some(entry) if entry.is_leaving => Answer::Leaving,
            Some(_) => {
                pending.remove(id);
                Answer::Cancelled
            }
        }
    }

    /// It is delivered, and nothing of it is left.
    pub(crate) fn done(&self, message: &Message) {
        let mut pending = self.lock();
        let entry = pending.get(&message.id);
        if entry.is_some_and(|entry| entry.version == message.version) {
            pending.remove(&message.id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        let pending = &self.0.pending;
        pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing more has a place.
#[derive(Debug)]
pub(crate) struct Closed;

/// As many are pending as may be.
#[derive(Debug)]
pub(crate) struct Full;
