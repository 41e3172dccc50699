//! What is seen of one run from outside, and what has to be true of it.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use tokio::sync::oneshot;
use tokio_stream::StreamExt;

use super::lots::{dawdle, one_of};
use crate::{
    Report, RunError, Running,
    error::Cause,
    report::{Counts, Outcome},
    run::{Items, Job},
};

/// Items of different senders differ by multiples of this.
pub(super) const SENDER: u64 = 1000;

/// One run under watch. Clones are the same run.
#[derive(Debug, Clone)]
pub(super) struct World(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// `Plan::max_inside`.
    bound: Option<u64>,
    /// What leaves has to be in the order of what came, among those of one group.
    order: Option<fn(u64) -> u64>,
    /// Not every item has to be received, even in a run that finishes.
    discards: bool,
    /// Items are numbered anew on their way, and counted twice.
    renumbers: bool,
    may_not_close: bool,
    /// A body that fails may be tried again: whether its item has failed is known when that is told.
    told_later: bool,
    /// Given by the source, or accepted by the channel before it.
    pulled: u64,
    from_channel: bool,
    last_begun: Option<u64>,
    received: Vec<u64>,
    failed: Vec<u64>,
    filtered: Vec<u64>,
    /// Items and tickets that are alive.
    items: u64,
    tickets: u64,
    gone: Option<Waker>,
    not_closed: Vec<&'static str>,
    events: u64,
    alarms: Vec<(u64, Waker)>,
    bells: Vec<oneshot::Sender<()>>,
    ringer: Option<Waker>,
    blame: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Described,
    Started,
    /// Its owner was dropped.
    LetGo,
    /// Its end was promised: nothing of the user's is called any more.
    Over,
}

impl State {
    /// The engine has let go of everything that it was given.
    fn is_empty(&self) -> bool {
        self.items == 0 && self.tickets == 0
    }
}

/// What flows. Counted while it lives.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) index: u64,
    world: World,
}

impl Clone for Item {
    fn clone(&self) -> Self {
        self.world.item(self.index)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.world.left(|state| state.items -= 1);
    }
}

impl World {
    /// A run, and somebody who wakes its bodies.
    pub(super) fn new() -> Self {
        let world = World(Arc::default());
        drop(shuttle::future::spawn(world.clone().ring()));
        world
    }

    fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.0.lock().expect("no panic under this lock"))
    }

    /// What is received has to be in the order of the source.
    pub(super) fn in_order(&self) {
        self.in_order_by(|index| index / SENDER);
    }

    /// The same for those of one group.
    pub(super) fn in_order_by(&self, group: fn(u64) -> u64) {
        self.state(|state| state.order = Some(group));
    }

    /// The time to close is over before all have had their turn.
    pub(super) fn may_not_close(&self) {
        self.state(|state| state.may_not_close = true);
    }

    /// Whoever is told of a failure says so by [`told`](Self::told).
    pub(super) fn told_later(&self) {
        self.state(|state| state.told_later = true);
    }

    /// What is not received any more is dropped.
    pub(super) fn discards(&self) {
        self.state(|state| state.discards = true);
    }

    /// The report counts more items than there are, as some are numbered anew.
    pub(super) fn renumbers(&self) {
        self.state(|state| state.renumbers = true);
    }

    // ---------------------------------------------------------------- events

    /// Something of the user's is called.
    pub(super) fn event(&self, what: &str) {
        let due: Vec<_> = self.state(|state| {
            if state.phase == Phase::Over {
                state.blame.push(format!("{what}: called after the end"));
            }
            state.events += 1;
            let events = state.events;
            let due = state.alarms.extract_if(.., |(at, _)| *at <= events);
            due.collect()
        });
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Waits for event number `at`; or for the end of the run, if that comes first.
    pub(super) async fn event_number(&self, at: u64) {
        poll_fn(|context| {
            self.state(|state| {
                if state.events >= at || state.phase == Phase::Over || state.is_empty() {
                    return Poll::Ready(());
                }
                state.alarms.push((at, context.waker().clone()));
                Poll::Pending
            })
        })
        .await;
    }

    /// Another task acts at one of the first `most` events; or at the end, if that comes first.
    pub(super) fn at_an_event(&self, most: u64, act: impl FnOnce() + Send + 'static) {
        let (world, at) = (self.clone(), one_of(0..=most));
        drop(shuttle::future::spawn(async move {
            world.event_number(at).await;
            act();
        }));
    }

    /// Waits until another task wakes this one.
    pub(super) async fn wait_to_be_woken(&self) {
        let (sender, woken) = oneshot::channel();
        let ringer = self.state(|state| {
            state.bells.push(sender);
            state.ringer.take()
        });
        if let Some(ringer) = ringer {
            ringer.wake();
        }
        let _woken = woken.await;
    }

    /// Wakes one after another of those who wait, in any order.
    async fn ring(self) {
        loop {
            poll_fn(|context| {
                self.state(|state| {
                    if !state.bells.is_empty() {
                        return Poll::Ready(());
                    }
                    state.ringer = Some(context.waker().clone());
                    Poll::Pending
                })
            })
            .await;
            dawdle(2).await;
            let waiting = self.state(|state| state.bells.len() as u64);
            let bell = one_of(0..=waiting - 1);
            let bell = self.state(|state| state.bells.swap_remove(bell as usize));
            // one who was cancelled does not hear it
            let _nobody = bell.send(());
        }
    }

    // ---------------------------------------------------------------- items

    /// An item that the engine asked a source for.
    pub(super) fn pull(&self, index: u64) -> Item {
        self.event("source");
        self.entered();
        self.item(index)
    }

    /// The item after the last one.
    pub(super) fn pull_next(&self) -> Item {
        let index = self.state(|state| state.pulled);
        self.pull(index)
    }

    fn item(&self, index: u64) -> Item {
        self.state(|state| state.items += 1);
        Item {
            index,
            world: self.clone(),
        }
    }

    /// An item that the channel before the run is about to accept.
    pub(super) fn accepted(&self, index: u64) -> Item {
        self.state(|state| state.from_channel = true);
        self.entered();
        self.item(index)
    }

    fn entered(&self) {
        self.state(|state| {
            state.pulled += 1;
            let gone = state.received.len() + state.failed.len() + state.filtered.len();
            let inside = state.pulled - gone as u64;
            let bound = state.bound.filter(|_| !state.discards && !state.told_later);
            if let Some(bound) = bound.filter(|bound| inside > *bound) {
                state
                    .blame
                    .push(format!("{inside} items inside where the plan says {bound}"));
            }
        });
    }

    pub(super) fn received(&self, item: Item) {
        self.event("end");
        self.state(|state| state.received.push(item.index));
        drop(item);
    }

    pub(super) fn failed(&self, item: &Item) {
        self.failed_at(item.index);
    }

    pub(super) fn failed_at(&self, index: u64) {
        self.state(|state| {
            if !state.told_later {
                state.failed.push(index);
            }
        });
    }

    pub(super) fn told(&self, index: u64) {
        self.state(|state| state.failed.push(index));
    }

    pub(super) fn filtered(&self, item: &Item) {
        self.event("filter");
        self.state(|state| state.filtered.push(item.index));
    }

    /// Whether item `index` has come to a body.
    pub(super) fn has_begun(&self, index: u64) -> bool {
        self.state(|state| state.last_begun >= Some(index))
    }

    pub(super) fn begun(&self, index: u64) {
        self.state(|state| state.last_begun = state.last_begun.max(Some(index)));
    }

    pub(super) fn failures(&self) -> usize {
        self.state(|state| state.failed.len())
    }

    pub(super) fn ticket_made(&self) {
        self.state(|state| state.tickets += 1);
    }

    pub(super) fn ticket_dropped(&self) {
        self.left(|state| state.tickets -= 1);
    }

    /// A value was dropped that should have been closed, if the run has an owner to close it for.
    pub(super) fn not_closed(&self, what: &'static str) {
        self.state(|state| {
            if matches!(state.phase, Phase::Started | Phase::Over) {
                state.not_closed.push(what);
            }
        });
    }

    fn left(&self, change: impl FnOnce(&mut State)) {
        let wakers = self.state(|state| {
            change(state);
            if !state.is_empty() {
                return Vec::new();
            }
            let alarms = state.alarms.drain(..).map(|(_, waker)| waker);
            alarms.chain(state.gone.take()).collect()
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until everything that the engine was given has been dropped. If it keeps something for
    /// ever that is a deadlock.
    pub(super) async fn empty(&self) {
        poll_fn(|context| {
            self.state(|state| {
                if state.is_empty() {
                    return Poll::Ready(());
                }
                state.gone = Some(context.waker().clone());
                Poll::Pending
            })
        })
        .await;
    }

    // ---------------------------------------------------------------- the run

    pub(super) fn start<R: Send + 'static>(&self, job: Job<R>) -> Running<R> {
        let bound = job.plan().max_inside as u64;
        self.state(|state| {
            state.bound = Some(bound);
            state.phase = Phase::Started;
        });
        job.start().expect("a pipeline that can be started")
    }

    /// Waits for the end of the run, and makes all checks.
    pub(super) async fn end<R: Send + 'static>(
        &self,
        mut running: Running<R>,
    ) -> Result<Report<R>, RunError> {
        let result = running.wait().await;
        self.check(&result);
        drop(running);
        self.verdict();
        self.empty().await;
        result
    }

    /// Reads a stream to its end, and makes all checks.
    pub(super) async fn read(
        self,
        mut running: Running<Items<Item>>,
    ) -> Result<Report<()>, RunError> {
        let result = loop {
            dawdle(2).await;
            match running.next().await {
                Some(Ok(item)) => self.received(item),
                Some(Err(error)) => break Err(error),
                None => break Ok(running.control().metrics()),
            }
        };
        self.check(&result);
        drop(running);
        self.verdict();
        self.empty().await;
        result
    }

    /// Runs it to its own end.
    pub(super) async fn finish<R: Send + 'static>(&self, job: Job<R>) -> Report<R> {
        let report = self.end(self.start(job)).await;
        let report = report.expect("a run that finishes");
        assert_eq!(report.outcome, Some(Outcome::Finished));
        report
    }

    /// Drops the owner. Bodies may be in the middle of a poll, but nothing is closed any more.
    pub(super) async fn let_go<R: Send + 'static>(&self, running: Running<R>) {
        let control = running.control();
        self.state(|state| state.phase = Phase::LetGo);
        drop(running);
        self.empty().await;
        while control.metrics().outcome.is_none() {
            shuttle::future::yield_now().await;
        }
        self.conservation(&control.metrics().items, false);
    }

    /// The end has been promised.
    fn check<R>(&self, result: &Result<Report<R>, RunError>) {
        match result {
            Ok(report) => self.over(report.outcome, &report.items, None),
            Err(error) => self.over(
                error.report.outcome,
                &error.report.items,
                Some(&error.cause),
            ),
        }
    }

    fn over(&self, outcome: Option<Outcome>, counts: &Counts, cause: Option<&Cause>) {
        let due = match cause {
            None => matches!(outcome, Some(Outcome::Finished | Outcome::Drained)),
            Some(Cause::Cancelled) => outcome == Some(Outcome::Cancelled),
            Some(Cause::DeadlinePassed(_)) => outcome == Some(Outcome::DeadlinePassed),
            Some(Cause::Stalled(..) | Cause::RuntimeGone | Cause::Build(_)) => false,
            Some(_) => outcome == Some(Outcome::Failed),
        };
        if !due {
            self.blame(format!("outcome {outcome:?} with cause {cause:?}"));
        }
        let alive = self.state(|state| {
            state.phase = Phase::Over;
            state.items
        });
        if alive > 0 {
            self.blame(format!("{alive} items are alive after the end"));
        }
        self.conservation(counts, cause.is_none());
        let waiting = self.state(|state| std::mem::take(&mut state.alarms));
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// `all`: every item had its turn.
    fn conservation(&self, counts: &Counts, all: bool) {
        let mut wrong = Vec::new();
        let mut expect = |what: &str, seen: usize, said: u64| {
            if seen as u64 != said {
                wrong.push(format!("{what}: {seen} were seen, the report says {said}"));
            }
        };
        let Counts {
            taken,
            delivered,
            failed,
            filtered,
            cancelled,
        } = *counts;
        expect(
            "taken",
            (delivered + failed + filtered + cancelled) as usize,
            taken,
        );
        self.state(|state| {
            if state.renumbers {
                return;
            }
            if all || !state.from_channel {
                expect("pulled", state.pulled as usize, taken);
            }
            expect("delivered", state.received.len(), delivered);
            if all {
                if !state.told_later {
                    expect("failed", state.failed.len(), failed);
                }
                expect("filtered", state.filtered.len(), filtered);
                if !state.discards {
                    expect("cancelled", 0, cancelled);
                }
            }
        });
        wrong
            .into_iter()
            .for_each(|wrong| self.blame(format!("{wrong} ({counts:?})")));
    }

    pub(super) fn blame(&self, what: String) {
        self.state(|state| state.blame.push(what));
    }

    /// Fails if anything was wrong.
    pub(super) fn verdict(&self) {
        let blame = self.state(|state| {
            let mut blame = std::mem::take(&mut state.blame);
            let mut fates = [&state.received[..], &state.failed, &state.filtered].concat();
            fates.sort_unstable();
            if let Some(twice) = fates.windows(2).find(|pair| pair[0] == pair[1]) {
                blame.push(format!("item {} has two fates", twice[0]));
            }
            let mut last = HashMap::new();
            for index in &state.received {
                let Some(group) = state.order else { break };
                let before = last.insert(group(*index), index);
                if before.is_some_and(|before| before >= index) {
                    blame.push(format!("out of order: {:?}", state.received));
                    break;
                }
            }
            if !state.not_closed.is_empty() && !state.may_not_close {
                blame.push(format!("dropped and not closed: {:?}", state.not_closed));
            }
            blame
        });
        assert!(blame.is_empty(), "{}", blame.join("\n"));
    }
}
