//! The one data structure between two neighbours: reorder buffer of the producer and queue of the
//! consumer in one, behind one mutex that is touched once a run and never once an item.
//!
//! The producer's side is here, the side of a consuming stage in `edge/crew.rs` (its workers in
//! `edge/staff.rs`, its keys in `edge/lanes.rs`), that of an end in
//! `edge/reader.rs`.

mod crew;
mod lanes;
mod reader;
mod staff;

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    task::Poll,
};

pub(super) use crew::{Claim, Consumer, Desk};
pub(crate) use reader::{Reader, Taken};
pub(super) use staff::CrewPlan;

use self::{
    crew::{Cleared, Crew},
    reader::{Sleeper, Waiting},
};
use super::{
    envelope::Slot,
    gate::Gate,
    hub::{Hub, Link},
    ledger::Ledger,
    limits::RESUME_SLOTS,
    ring::Ring,
    seat::Seat,
    shield,
};
use crate::{
    report::StageReport,
    rt::{
        Mutex, Padded,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Release, SeqCst},
        },
    },
};

/// Whoever fills an edge and may have to wait for room in it. Held weakly: links upstream never keep
/// anything alive (I8).
pub(super) trait Producer: Send + Sync {
    /// There is room again.
    fn resume(self: Arc<Self>);
    /// Nobody will take what it puts there.
    fn unwanted(self: Arc<Self>);
}

pub(crate) struct Edge<T> {
    hub: Arc<Hub>,
    /// Most slots in use: the window of the stage that fills this edge, or the buffer of the source.
    capacity: u64,
    /// Mirror of the ring's head. A producer that reads an old one sees less room than there is,
    /// never more (I3).
    head: Padded<AtomicU64>,
    gate: Padded<Gate>,
    /// Nobody will take anything from here any more. Written once, under the lock.
    unwanted: AtomicBool,
    state: Mutex<State<T>>,
}

struct State<T> {
    ring: Ring<T>,
    /// The sequence at which nothing more comes.
    end: Option<u64>,
    upstream: Option<Weak<dyn Producer>>,
    /// The producer waits for room; the head stood here when it began to.
    wants_room: Option<u64>,
    crew: Option<Crew<T>>,
    reader: Waiting,
}

/// What has to be done after the lock has been let go, because of what was changed under it.
#[must_use]
enum Action<T> {
    Nothing,
    Wake(Arc<Seat>),
    Start(Arc<dyn Consumer<T>>),
    Read(Sleeper),
    CallSentry,
}

impl<T> Edge<T> {
    /// Whether nobody will take anything from here any more: see [`unwant`](Self::unwant).
    #[inline]
    pub(super) fn is_unwanted(&self) -> bool {
        self.unwanted.load(SeqCst)
    }
}

impl<T: Send + 'static> Edge<T> {
    pub(crate) fn new(hub: &Arc<Hub>, capacity: usize) -> Arc<Self> {
        let state = State {
            ring: Ring::new(),
            end: None,
            upstream: None,
            wants_room: None,
            crew: None,
            reader: Waiting::default(),
        };
        let edge = Arc::new(Edge {
            hub: Arc::clone(hub),
            capacity: capacity as u64,
            head: Padded::default(),
            gate: Padded::default(),
            unwanted: AtomicBool::new(false),
            state: Mutex::new(state),
        });
        hub.add(edge.clone());
        edge
    }

    pub(super) fn filled_by(&self, upstream: Weak<dyn Producer>) {
        self.state.lock().upstream = Some(upstream);
    }

    fn act(self: &Arc<Self>, action: Action<T>) -> bool {
        match action {
            Action::Nothing => return false,
            Action::CallSentry => {
                self.hub.call_sentry();
                return false;
            }
            Action::Wake(seat) => seat.wake(),
            Action::Start(consumer) => consumer.start(Arc::clone(self)),
            Action::Read(reader) => reader.wake(),
        }
        true
    }

    // ---------------------------------------------------------------- the producer's side

    /// How many more sequences from `next` on may be given out.
    #[inline]
    fn room(&self, next: u64) -> u64 {
        if cfg!(planted = "window") {
            return u64::MAX;
        }
        self.capacity - (next - self.head.load(Acquire))
    }

    /// Puts consecutive results in their places (`ordered`) or at the back, from sequence `first`
    /// on. True if somebody was woken.
    #[inline]
    pub(super) fn complete(
        self: &Arc<Self>,
        ordered: bool,
        first: u64,
        results: &mut VecDeque<Slot<T>>,
    ) -> bool {
        if results.is_empty() {
            return false;
        }
        let mut state = self.state.lock();
        if self.is_unwanted() {
            drop(state);
            self.hub.ledger().cancel_slots(results.drain(..));
            return false;
        }
        if ordered {
            state.ring.place(first, results);
        } else {
            state.ring.append(results);
        }
        debug_assert!(
            cfg!(planted) || state.ring.len() as u64 <= self.capacity,
            "I3: more inside than the window allows"
        );
        let action = state.serve(self);
        drop(state);
        self.act(action)
    }

    /// For a producer whose items come in order and go in at once: free slots, from sequence `next` on,
    /// which is the next one. While there are none it is told when there are (I6).
    pub(super) fn find_room(&self, next: u64) -> Poll<usize> {
        let mut state = self.state.lock();
        let head = state.ring.head();
        let free = (head + self.capacity).saturating_sub(next);
        if free > 0 {
            return Poll::Ready(usize::try_from(free).unwrap_or(usize::MAX));
        }
        state.wants_room.get_or_insert(head);
        Poll::Pending
    }

    /// The producer of sequence `next` found no room. True if there is some after all; else it is
    /// told when there is (I6).
    pub(super) fn ask_for_room(&self, next: u64) -> bool {
        let mut state = self.state.lock();
        let head = state.ring.head();
        if head + self.capacity > next {
            return true;
        }
        state.wants_room.get_or_insert(head);
        false
    }

    /// Whether whoever fills it waits for room.
    pub(super) fn producer_waits(&self) -> bool {
        self.state.lock().wants_room.is_some()
    }

    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Whoever takes from here has had enough, though the run goes on. What is inside is cancelled, so is
    /// what still comes, and those before it end as if they had come to their end.
    pub(super) fn unwant(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if self.unwanted.swap(true, SeqCst) {
            return;
        }
        let slots = state.ring.clear();
        let waiting = state.crew.as_mut().map(Crew::dismiss).unwrap_or_default();
        state.wants_room = None;
        let upstream = state.upstream.as_ref().and_then(Weak::upgrade);
        let finished = state.take_finished(self);
        drop(state);
        let ledger = self.hub.ledger();
        ledger.cancel_slots(slots);
        let waiting = waiting.into_iter();
        waiting.for_each(|envelope| ledger.cancel(envelope));
        self.after_finish(finished);
        if let Some(upstream) = upstream {
            upstream.unwanted();
        }
        // those that make their states have no place here yet
        self.hub.wake_workers();
    }

    /// Nothing comes after sequence `end`.
    pub(super) fn set_end(self: &Arc<Self>, end: u64) {
        let mut state = self.state.lock();
        state.end = Some(end);
        let upstream = state.upstream.take();
        let reader = state.reader.take();
        let finished = state.take_finished(self);
        drop(state);
        drop(upstream);
        if let Some(reader) = reader {
            reader.wake();
        }
        self.after_finish(finished);
    }
}

impl<T> State<T> {
    /// After slots have been taken: publishes the head, and says whom to tell that there is room.
    #[inline]
    fn took(&mut self, edge: &Edge<T>) -> Option<Arc<dyn Producer>> {
        let head = self.ring.head();
        edge.head.store(head, Release);
        let waiting_since = self.wants_room?;
        if self.ring.ready() > 0 && head - waiting_since < RESUME_SLOTS.min(edge.capacity / 4) {
            return None;
        }
        self.wants_room = None;
        if cfg!(planted = "wakeup") && head.is_multiple_of(3) {
            return None;
        }
        self.upstream.as_ref()?.upgrade()
    }
}

impl<T: Send + 'static> Link for Edge<T> {
    fn wind_down(&self) {
        let mut state = self.state.lock();
        let reader = state.reader.take();
        let consumer = state.crew.as_ref().and_then(Crew::consumer);
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        if let Some(consumer) = consumer {
            consumer.wind_down();
        }
    }

    fn look(self: Arc<Self>) -> bool {
        self.look_after_crew()
    }

    fn report(&self, now: u64) -> Option<StageReport> {
        self.state.lock().crew.as_ref().map(|crew| crew.report(now))
    }

    fn clear(&self, ledger: &Ledger) {
        let mut state = self.state.lock();
        let slots = state.ring.clear();
        let cleared = state.crew.as_mut().map(Crew::clear);
        let upstream = state.upstream.take();
        let reader = state.reader.take();
        drop(state);
        drop(upstream);
        ledger.cancel_slots(slots);
        if let Some(Cleared {
            waiting,
            keys,
            consumer,
        }) = cleared
        {
            drop(consumer);
            shield::discard(keys);
            let waiting = waiting.into_iter();
            waiting.for_each(|envelope| ledger.cancel(envelope));
        }
        // an end that still waits finds the run over
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl<T> std::fmt::Debug for Edge<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge")
            .field("capacity", &self.capacity)
            .field("head", &self.head.load(Acquire))
            .finish_non_exhaustive()
    }
}
