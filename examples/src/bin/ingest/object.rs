//! A batch as it is stored: one object, with a name that no other has.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use object_store::{PutPayload, path::Path};

use crate::collection::Collection;

/// How the name of every object ends: a line of JSON for each payload.
pub(crate) const ENDING: &str = ".ndjson";

/// What is stored, and who waits for it.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) name: Path,
    /// The same for each attempt: clones share the bytes.
    pub(crate) content: PutPayload,
    pub(crate) payloads: usize,
    /// Behind a lock, which nobody else wants, as attempts share the object.
    collections: Mutex<Vec<Collection>>,
}

impl Object {
    pub(crate) fn new(name: Path, collections: Vec<Collection>) -> Arc<Self> {
        let lines = collections
            .iter()
            .map(|collection| collection.lines.clone());
        Arc::new(Object {
            name,
            content: lines.collect(),
            payloads: collections.iter().map(|c| c.claim.ids().len()).sum(),
            collections: Mutex::new(collections),
        })
    }

    /// Tells all that wait for it. An object that is dropped without it was not stored, which they
    /// notice as well.
    pub(crate) fn is_stored(&self) {
        let mut waiting = self
            .collections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for Collection { claim, request, .. } in mem::take(&mut *waiting) {
            claim.stored();
            let _ = request.send(()); // it may have gone
        }
    }
}

/// Makes names: in the order of time, for people, and with a number drawn by lot for each run, so that
/// none is ever made again, whatever the clock does.
#[derive(Debug)]
pub(crate) struct Names {
    folder: Path,
    run: u64,
    /// Of the next object.
    number: Mutex<u64>,
}

impl Names {
    pub(crate) fn new(folder: Path) -> Self {
        Names {
            folder,
            run: RandomState::new().build_hasher().finish(), // its keys come from the system
            number: Mutex::new(0),
        }
    }

    pub(crate) fn next(&self) -> Path {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        *number += 1;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.unwrap_or_default().as_millis();
        let run = self.run;
        self.folder
            .clone()
            .join(format!("{now:013}-{run:016x}-{:06}{ENDING}", *number))
    }
}
