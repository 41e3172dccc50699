//! Finds out that a run cannot go on, because all of its tasks wait for each other.
//!
//! Only a step that waits for one of its inputs while others fill up can bring that about, and only if
//! the inputs come from the same step further up. So this exists in runs whose steps branch and come
//! together again, and in others nothing of it is done.
//!
//! No time plays a part in it. Each task says when it begins to wait for nothing but its neighbours
//! ([`Watched::rest`]), and is no longer counted as waiting from the moment on at which it is woken, by
//! whoever wakes it and before he waits himself (I12). So as long as anything can go on, somebody is
//! astir. When nobody is, the supervisor looks at all seats twice; if they have not moved, they have all
//! waited at one moment, and then there is nobody left who could wake any of them.

use std::sync::Arc;

use super::{edge::Edge, hub::Link, seat::Seat};
use crate::rt::{
    Mutex, Padded,
    atomic::{
        AtomicU64, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
};

/// The tasks of a run that are astir, the supervisor not counted.
#[derive(Debug, Default)]
pub(super) struct Census {
    astir: AtomicUsize,
    supervisor: Mutex<Option<Arc<Seat>>>,
}

impl Census {
    pub(super) fn reports_to(&self, supervisor: &Arc<Seat>) {
        *self.supervisor.lock() = Some(Arc::clone(supervisor));
    }

    /// Whether it is worth to look at the seats. By the supervisor, which can be woken from here on.
    pub(super) fn is_quiet(&self) -> bool {
        // orders the two: either this sees that nobody is astir, or the last one finds the waker
        let _ordered = self.supervisor.lock();
        self.astir.load(SeqCst) == 0
    }

    fn one_more(&self) {
        self.astir.fetch_add(1, SeqCst);
    }

    fn one_less(&self) {
        if self.astir.fetch_sub(1, SeqCst) == 1 {
            let supervisor = self.supervisor.lock().clone();
            if let Some(supervisor) = supervisor {
                supervisor.wake();
            }
        }
    }
}

/// It waits for nothing but its neighbours.
const RESTING: u64 = 1;
/// It has been woken, and not been polled since.
const WOKEN: u64 = 2;
/// From one rest to the next.
const STEP: u64 = 4;

/// What a task does, as far as it matters here.
#[derive(Debug)]
pub(super) struct Watched {
    /// The number of the rest, and the two flags. The same number is never used for a second rest.
    word: Padded<AtomicU64>,
    census: Arc<Census>,
}

impl Watched {
    /// A task that is astir, as it is yet to be polled.
    pub(super) fn new(census: Arc<Census>) -> Self {
        census.one_more();
        Watched {
            word: Padded::default(),
            census,
        }
    }

    /// The task has been polled, and has not yet looked for anything to do.
    #[inline]
    pub(super) fn begin(&self) {
        let word = self.word.load(Relaxed);
        if word.is_multiple_of(STEP) {
            return;
        }
        // what was done before it was woken is seen by the look that follows
        let word = self.word.swap((word | (STEP - 1)) + 1, SeqCst);
        if word % STEP == RESTING {
            self.census.one_more();
        }
    }

    /// The task has looked for something to do since it has [begun](Self::begin), and found nothing: its
    /// neighbours will wake it, and nobody else. Not if it has been woken meanwhile.
    pub(super) fn rest(&self) {
        let word = self.word.load(Relaxed);
        let rests = word.is_multiple_of(STEP)
            && self
                .word
                .compare_exchange(word, word | RESTING, SeqCst, SeqCst)
                .is_ok();
        if rests {
            self.census.one_less();
        }
    }

    /// The task is about to be woken.
    pub(super) fn rouse(&self) {
        // first, so that nobody ever counts too few
        self.census.one_more();
        let word = self.word.fetch_or(WOKEN, SeqCst);
        if word % STEP != RESTING {
            self.census.one_less();
        }
    }

    /// The task is gone.
    pub(super) fn leave(&self) {
        let word = self.word.swap(u64::MAX - RESTING, SeqCst);
        if word % STEP != RESTING {
            self.census.one_less();
        }
    }

    /// Which rest this is, if it is one.
    pub(super) fn resting(&self) -> Option<u64> {
        let word = self.word.load(SeqCst);
        (word % STEP == RESTING).then_some(word)
    }
}

/// An input of a step with several.
pub(crate) trait Brim: Send + Sync {
    /// Whether it is full, and those before it wait for room.
    fn is_full(&self) -> bool;
}

impl<T: Send + 'static> Brim for Edge<T> {
    fn is_full(&self) -> bool {
        self.producer_waits()
    }
}

/// A step that may wait for one of its inputs while others fill up.
pub(crate) struct Join {
    inputs: Vec<(Arc<str>, Arc<dyn Brim>)>,
    /// Which one it waits for.
    waits_for: AtomicUsize,
}

impl Join {
    /// Of inputs with the names of the steps that they come from.
    pub(crate) fn new(inputs: Vec<(Arc<str>, Arc<dyn Brim>)>) -> Arc<Self> {
        Arc::new(Join {
            inputs,
            waits_for: AtomicUsize::new(0),
        })
    }

    #[inline]
    pub(super) fn waits_for(&self, input: usize) {
        self.waits_for.store(input, Relaxed);
    }
}

impl Link for Join {
    fn stalled(&self) -> Option<(Arc<str>, Arc<str>)> {
        let empty = self.waits_for.load(Relaxed);
        let (waited_for, _) = self.inputs.get(empty)?;
        let mut others = self.inputs.iter().enumerate();
        let (_, (full, _)) = others.find(|(input, (_, edge))| *input != empty && edge.is_full())?;
        Some((Arc::clone(full), Arc::clone(waited_for)))
    }
}
