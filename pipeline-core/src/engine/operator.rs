//! Drives an operator: a step that changes the shape of the flow, in one task between edges.
//!
//! An operator takes items from its [`Inlet`]s and puts what it makes of them into its [`Filler`]s, many
//! at a time on both sides: two locks a lot, none an item.

use std::{
    future::poll_fn,
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    envelope::Envelope,
    failures::{Told, Unsent},
    hub::{Hub, Link, Task},
    ledger::{Fate, Ledger},
    limits::{DEBT_NS, TURN_NS},
    looks::Looks,
    pace::Timing,
    shield,
    tally::{Tally, Totals},
    ticket::Ticket,
};
use crate::{
    error::{BoxError, Cause, ErrorKind, StageError},
    report::StageReport,
    rt::{self, Mutex},
};

/// A structural step, as the engine sees it.
pub(crate) trait Operator: Send + 'static {
    /// Goes on until it has to wait or is asked to [pause](Bench::is_due). Code of the user's it calls
    /// through [`Bench::shielded`]. Not called any more when nobody takes anything from any of its outputs.
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step>;

    /// Whether it waits for nothing but room and items, now that it waits: no time, and no code of the
    /// user's. Then it is known when a run [stalls](super::stall).
    fn waits_inside(&self) -> bool {
        false
    }

    /// Hands on everything that is finished, before the task waits. True if somebody was woken since this
    /// was last asked.
    fn flush(&mut self) -> bool;

    /// All is done: ends its outputs.
    fn end(&mut self);

    /// The run is over: what it has taken and not given is settled as cancelled. What is in its inlets
    /// and fillers settles itself.
    fn cancel(&mut self, ledger: &Ledger);
}

/// Why an operator came back.
pub(crate) enum Step {
    /// Others are to have their turn.
    Pause,
    /// Nothing more will come of it.
    End,
}

/// What an operator works with beside its items.
pub(crate) struct Bench {
    hub: Arc<Hub>,
    name: Arc<str>,
    post: Arc<Post>,
    tally: Tally,
    /// Failures that have been counted and are to be told.
    failed: Vec<StageError>,
    /// Items since the task has its thread.
    done: usize,
    looks: Looks,
    /// Since when the task has its thread.
    turn_since: u64,
    /// Since when it works without having handed on what came of it.
    part_since: u64,
    /// It has woken somebody since, who may wait for this thread.
    owes: bool,
    /// It has waited since.
    waited: bool,
}

/// The operator as the run sees it.
struct Post {
    name: Arc<str>,
    totals: Mutex<Totals>,
}

impl Bench {
    /// The operator's line of the report stands where this is called: after those of the steps before it, so
    /// before its output is made, with which the line of a stage behind it comes.
    pub(crate) fn new(hub: &Arc<Hub>, name: Arc<str>) -> Self {
        let post = Arc::new(Post {
            name: Arc::clone(&name),
            totals: Mutex::new(Totals::new(hub.now())),
        });
        hub.add(Arc::clone(&post) as Arc<dyn Link>);
        Bench {
            hub: Arc::clone(hub),
            name,
            post,
            tally: Tally::default(),
            failed: Vec::new(),
            done: 0,
            looks: Looks::new(),
            turn_since: hub.now(),
            part_since: hub.now(),
            owes: false,
            waited: false,
        }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        self.hub.ledger()
    }

    /// An item has been taken. True if it is time to come back: others wait for this thread, a failure is
    /// to be told, or the run was stopped.
    #[inline]
    pub(super) fn took(&mut self) -> bool {
        self.tally.taken += 1;
        self.is_due()
    }

    /// So many items were taken past this bench.
    pub(super) fn took_by_itself(&mut self, items: u64) {
        self.tally.taken += items;
    }

    /// The same for work without a new item.
    #[inline]
    pub(super) fn is_due(&mut self) -> bool {
        if self.hub.stopped() || !self.failed.is_empty() {
            return true;
        }
        self.done += 1;
        // soon in each part, as the user's functions may take long, and what they gave is not held back
        self.looks.is_due(self.done) && self.hub.now().saturating_sub(self.part_since) > DEBT_NS
    }

    fn begin_turn(&mut self) {
        self.turn_since = self.hub.now();
        self.part_since = self.turn_since;
        self.owes = false;
        self.done = 0;
        self.looks = Looks::new();
    }

    /// A part of the turn is over, and what came of it has been handed on. Soon if that woke others, who may
    /// sit where only this thread can run them, they get their turn; to give way costs more than most items do.
    async fn end_part(&mut self, woke: bool) {
        self.owes |= woke;
        let now = self.hub.now();
        let due = if self.owes { DEBT_NS } else { TURN_NS };
        if now.saturating_sub(self.turn_since) > due {
            rt::give_way().await;
            self.begin_turn();
        } else {
            self.part_since = now;
        }
    }

    /// An item has been given to a next step.
    #[inline]
    pub(super) fn gave(&mut self) {
        self.tally.given += 1;
    }

    /// An item became nothing.
    pub(super) fn filtered(&mut self, ticket: Ticket) {
        self.tally.filtered += 1;
        let items = &mut self.tally.filtered_items;
        self.hub
            .ledger()
            .settle_or_count(ticket, Fate::Filtered, items);
    }

    /// Nobody wants this item any more.
    pub(super) fn cancelled<T>(&mut self, envelope: Envelope<T>) {
        self.hub.ledger().cancel(envelope);
    }

    /// An item has failed.
    pub(super) fn failed(&mut self, ticket: Ticket, kind: ErrorKind, error: BoxError) {
        let origin = ticket.origin();
        self.tally.failed += 1;
        self.tally.panics += u64::from(kind == ErrorKind::Panicked);
        let items = &mut self.tally.failed_items;
        self.hub
            .ledger()
            .settle_or_count(ticket, Fate::Failed, items);
        let error = StageError::new(Arc::clone(&self.name), origin, 1, kind, error);
        self.failed.push(error);
    }

    /// Runs code of the user's that works on an item; a panic fails the item, whose ticket is then gone.
    #[inline]
    pub(super) fn shielded<R>(
        &mut self,
        ticket: Ticket,
        code: impl FnOnce() -> R,
    ) -> Option<(R, Ticket)> {
        match shield::call(code) {
            Ok(result) => Some((result, ticket)),
            Err(payload) => {
                self.failed(ticket, ErrorKind::Panicked, shield::panic_error(payload));
                None
            }
        }
    }

    /// Adds up what was counted.
    fn add_up(&mut self) {
        let ledger = self.hub.ledger();
        ledger.add(Fate::Failed, self.tally.failed_items);
        ledger.add(Fate::Filtered, self.tally.filtered_items);
        (self.tally.failed_items, self.tally.filtered_items) = (0, 0);
        let mut totals = self.post.totals.lock();
        totals.add(&mut self.tally, &Timing::default());
    }

    /// Tells the failures. Their order is kept.
    async fn tell(&mut self) {
        for error in mem::take(&mut self.failed) {
            let told = match self.hub.tell::<()>(error) {
                Told::Yes => true,
                Told::No => false,
                Told::Wait(unsent) => self.send(unsent).await,
            };
            self.tally.undelivered += u64::from(!told);
        }
    }

    async fn send(&self, unsent: Unsent<()>) -> bool {
        unsent.send_later(&self.hub).await
    }
}

impl Link for Post {
    fn report(&self, now: u64) -> Option<StageReport> {
        Some(self.totals.lock().report(&self.name, now))
    }
}

/// Puts an operator in its place, and gives what starts it. Its fillers are made with the seat of `task`.
pub(crate) fn place_operator<O: Operator>(
    task: Task,
    bench: Bench,
    operator: O,
) -> impl FnOnce() + 'static {
    let runtime = task.hub().runtime().clone();
    let driven = Driven { operator, bench };
    move || runtime.spawn(drive(task, driven))
}

/// The operator, and the promise that what is inside is settled, however its task ends.
struct Driven<O: Operator> {
    operator: O,
    bench: Bench,
}

impl<O: Operator> Drop for Driven<O> {
    fn drop(&mut self) {
        self.bench.tally.undelivered += self.bench.failed.len() as u64;
        self.operator.cancel(self.bench.hub.ledger());
        self.bench.add_up();
    }
}

/// Why the task of an operator came back from it.
enum Left {
    Stopped,
    Step(Step),
    Broken(BoxError),
}

async fn drive<O: Operator>(task: Task, mut driven: Driven<O>) {
    task.take_seat().await;
    let hub = Arc::clone(task.hub());
    loop {
        let left = poll_fn(|context| {
            task.seat().begin();
            if hub.stopped() {
                return Poll::Ready(Left::Stopped);
            }
            if task.seat().is_unwanted() {
                return Poll::Ready(Left::Step(Step::End));
            }
            let Driven { operator, bench } = &mut driven;
            if mem::take(&mut bench.waited) {
                bench.begin_turn();
            }
            let work = || operator.poll_work(context, bench);
            let worked = shield::call(work).map_err(shield::panic_error);
            if matches!(worked, Ok(Poll::Pending)) {
                operator.flush();
                bench.add_up();
            }
            match worked {
                // what has failed is told before anything else is waited for
                Ok(Poll::Pending) if !bench.failed.is_empty() => {
                    Poll::Ready(Left::Step(Step::Pause))
                }
                Ok(Poll::Pending) => {
                    bench.waited = true;
                    if operator.waits_inside() {
                        task.seat().rest_inside();
                    }
                    Poll::Pending
                }
                Ok(Poll::Ready(step)) => Poll::Ready(Left::Step(step)),
                Err(error) => Poll::Ready(Left::Broken(error)),
            }
        })
        .await;
        let woke = driven.operator.flush();
        driven.bench.tell().await;
        match left {
            Left::Step(Step::Pause) => {
                driven.bench.add_up();
                driven.bench.end_part(woke).await;
            }
            Left::Step(Step::End) => {
                driven.operator.end();
                break;
            }
            Left::Stopped => break,
            // a destructor of the user's, most likely
            Left::Broken(error) => {
                let name = Arc::clone(&driven.bench.name);
                hub.stop(Cause::Stage(name, error));
                break;
            }
        }
    }
    drop(driven);
    task.finish();
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use std::task::Waker;

    use super::*;

    fn bench() -> Bench {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        Bench::new(&Hub::on(runtime.handle()), "step".into())
    }

    /// Works for so long, and a little longer.
    fn work(bench: &Bench, ns: u64) {
        let begun = bench.hub.now();
        while bench.hub.now() - begun <= ns {}
    }

    fn gives_way(bench: &mut Bench, woke: bool) -> bool {
        let end = std::pin::pin!(bench.end_part(woke));
        end.poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    }

    #[test]
    fn what_took_long_to_make_is_handed_on() {
        let mut bench = bench();
        work(&bench, DEBT_NS);
        assert!(bench.took(), "at the first look");
        assert!(!bench.took() && !bench.took(), "not at each item");
        assert!(bench.took(), "at the fourth");
    }

    #[test]
    fn who_has_woken_others_gives_way_soon_and_others_later() {
        let mut bench = bench();
        work(&bench, DEBT_NS);
        assert!(gives_way(&mut bench, true));
        bench.begin_turn();
        work(&bench, TURN_NS);
        assert!(gives_way(&mut bench, false));
        // who is slow may have to be asked twice
        bench.turn_since = u64::MAX;
        assert!(!gives_way(&mut bench, true));
    }

    #[test]
    fn a_debt_is_kept_until_the_turn_is_over() {
        let mut bench = bench();
        bench.turn_since = u64::MAX;
        assert!(!gives_way(&mut bench, true));
        bench.turn_since = 0;
        work(&bench, DEBT_NS);
        assert!(gives_way(&mut bench, false));
        bench.begin_turn();
        assert!(!bench.owes);
    }

    #[test]
    fn items_that_went_past_are_counted() {
        let mut bench = bench();
        bench.took_by_itself(3);
        bench.took_by_itself(4);
        assert_eq!(bench.tally.taken, 7);
    }
}
