//! Items that can be copied, and a stage that counts the attempts at them: for retries and dead letters.

use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pipeline_core::stage::Stage;
use tokio::time::Instant;

use crate::flow::Flow;
use crate::gauge::Gauge;
use crate::tally::{Fault, Item};
use crate::ticket::{Closing, Kind, Ticket};

/// An [`Item`] that can be copied. A copy is counted like an item (K2), and as a copy.
pub struct Parcel {
    /// Its number at the source.
    pub index: u64,
    item: Item,
    flow: Flow,
}

impl Parcel {
    /// The item in it.
    #[must_use]
    pub fn open(self) -> Item {
        self.item
    }

    /// An error because of this item.
    pub fn fault(&self, text: &str) -> Fault {
        self.item.fault(text)
    }
}

impl Clone for Parcel {
    fn clone(&self) -> Self {
        self.flow.called("clone of an item");
        self.flow.copied();
        Parcel {
            index: self.index,
            item: self.flow.item(self.index),
            flow: self.flow.clone(),
        }
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parcel").field(&self.index).finish()
    }
}

impl Flow {
    /// [`Flow::items`] that can be copied.
    pub fn parcels(&self, range: Range<u64>) -> impl Iterator<Item = Parcel> + Send + 'static {
        let flow = self.clone();
        self.items(range).map(move |item| Parcel {
            index: item.index,
            item,
            flow: flow.clone(),
        })
    }

    /// A stage that calls `function` for each attempt at an item, with the attempt's number from 1. No more than `limit`
    /// may run at once.
    ///
    /// Which items fail for good is not its business: that is said with [`Flow::failed`] or [`Flow::run_failing`].
    pub fn tries<F, Fut>(&self, limit: usize, function: F) -> Tries<F>
    where
        F: Fn(Parcel, u32) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Parcel, Fault>> + Send + 'static,
    {
        let log = Log::new();
        Tries {
            function: Arc::new(function),
            flow: self.clone(),
            gauge: self.gauge(limit),
            ticket: Ticket::new(self, Kind::State, Closing::Quiet),
            value: log.value(),
            log,
        }
    }
}

/// One attempt at an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Try {
    /// Which item.
    pub index: u64,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// When it began, from the making of the log.
    pub at: Duration,
    /// Which value of the stage it was made with.
    pub value: usize,
}

/// All attempts, in the order in which they began. Clones are the same log.
#[derive(Debug, Clone)]
pub struct Log(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    start: Instant,
    tries: Vec<Try>,
    values: usize,
}

impl Log {
    /// Without any.
    pub fn new() -> Self {
        Log(Arc::new(Mutex::new(State {
            start: Instant::now(),
            tries: Vec::new(),
            values: 0,
        })))
    }

    fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.0.lock().expect("no panic under this lock"))
    }

    /// The number of a new value of a stage.
    pub fn value(&self) -> usize {
        self.state(|state| {
            state.values += 1;
            state.values
        })
    }

    /// An attempt begins, with this value of the stage. Gives its number.
    pub fn begin(&self, index: u64, value: usize) -> u32 {
        self.state(|state| {
            let before = state.tries.iter().filter(|other| other.index == index);
            let attempt = before.count() as u32 + 1;
            let at = state.start.elapsed();
            state.tries.push(Try {
                index,
                attempt,
                at,
                value,
            });
            attempt
        })
    }

    /// The attempts at the item `index`.
    pub fn of(&self, index: u64) -> Vec<Try> {
        self.state(|state| {
            let tries = state.tries.iter().copied();
            tries.filter(|other| other.index == index).collect()
        })
    }

    /// How many attempts there were at the item `index`.
    pub fn count(&self, index: u64) -> usize {
        self.of(index).len()
    }

    /// How many attempts there were at all items.
    pub fn total(&self) -> usize {
        self.state(|state| state.tries.len())
    }

    /// The attempts at the item `index` began at these times, in milliseconds, at the grain of a timer each.
    #[track_caller]
    pub fn expect_times(&self, index: u64, expected: &[u64]) {
        let times: Vec<_> = self.of(index).iter().map(|one| one.at).collect();
        let near = times.len() == expected.len()
            && times
                .iter()
                .zip(expected)
                .enumerate()
                .all(|(nth, (at, expected))| {
                    let expected = Duration::from_millis(*expected);
                    // each timer before this attempt may have rounded up
                    let grain = Duration::from_millis(2) * (nth as u32 + 1);
                    (expected..=expected + grain).contains(at)
                });
        assert!(
            near,
            "expected attempts at {expected:?} ms, they were at {times:?}"
        );
    }
}

impl Default for Log {
    fn default() -> Self {
        Log::new()
    }
}

/// A stage under watch: each attempt, when, and with which value.
pub struct Tries<F> {
    function: Arc<F>,
    flow: Flow,
    gauge: Gauge,
    ticket: Ticket,
    log: Log,
    value: usize,
}

impl<F> Tries<F> {
    /// Its gauge, shared by all workers.
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// Its log, shared by all workers.
    pub fn log(&self) -> Log {
        self.log.clone()
    }
}

impl<F> Clone for Tries<F> {
    fn clone(&self) -> Self {
        self.flow.called("clone of a stage");
        Tries {
            function: self.function.clone(),
            flow: self.flow.clone(),
            gauge: self.gauge.clone(),
            ticket: self.ticket.duplicate(),
            log: self.log.clone(),
            value: self.log.value(),
        }
    }
}

impl<F> fmt::Debug for Tries<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tries").field("log", &self.log).finish()
    }
}

impl<F, Fut> Stage<Parcel, Item> for Tries<F>
where
    F: Fn(Parcel, u32) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Parcel, Fault>> + Send + 'static,
{
    type Error = Fault;

    fn process(&mut self, parcel: Parcel) -> impl Future<Output = Result<Item, Fault>> + Send {
        let turn = self.ticket.turn();
        self.flow.called("body");
        let inside = self.gauge.enter(parcel.index);
        let attempt = self.log.begin(parcel.index, self.value);
        let flow = self.flow.clone();
        let work = (self.function)(parcel, attempt);
        async move {
            let result = {
                let mut work = pin!(work);
                poll_fn(|context| {
                    flow.called("poll of a body");
                    work.as_mut().poll(context)
                })
                .await
            };
            drop(inside);
            turn.over();
            result.map(|parcel| parcel.open().output())
        }
    }

    async fn close(self) -> Result<(), Fault> {
        self.ticket.close().await
    }
}
