//! Drives a source: asks it for items, as many at a time as there is room for, and stops asking when
//! it is told to.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::Poll,
};

use super::{
    edge::{Edge, Producer},
    envelope::{Envelope, Slot},
    failures::Told,
    guarded::{close, poll_inside},
    hub::{Hub, Task},
    ledger::Fate,
    limits::{CLOCK_EVERY, DEBT_NS, MAX_RUN, RUN_NS, TURN_NS},
    seat::Seat,
    shield,
};
use crate::{
    error::{BoxError, Cause, ErrorKind, Origin, StageError},
    rt,
};

/// The name under which a failed item of a source is reported.
const NAME: &str = "source";

/// Where items come from. The engine's view of a source.
pub(crate) trait Feed: Send + 'static {
    type Item: Send + 'static;
    /// Cancel safe.
    fn next(&mut self) -> impl Future<Output = Result<Option<Fed<Self::Item>>, BoxError>> + Send;
    /// The run drains: nothing new is to come. True if what had been accepted is still to be read,
    /// to the end.
    fn refuse(&mut self) -> bool {
        false
    }
    fn close(self) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// What a source gives.
pub(crate) enum Fed<T> {
    Item(T),
    /// An item that failed before it got here.
    Failed(BoxError),
}

/// To be awaited before the source is asked for anything. False if the run has been stopped.
pub(crate) type Preparation = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Starts the source of `edge`.
pub(crate) fn launch_feed<F: Feed>(
    task: Task,
    feed: F,
    edge: Arc<Edge<F::Item>>,
    preparations: Vec<Preparation>,
) {
    let runtime = task.hub().runtime().clone();
    runtime.spawn(drive(task, feed, edge, preparations));
}

/// The source, to whom it is told that there is room.
struct Asker(Arc<Seat>);

impl Producer for Asker {
    fn resume(self: Arc<Self>) {
        self.0.wake();
    }
}

async fn drive<F: Feed>(
    mut task: Task,
    mut feed: F,
    edge: Arc<Edge<F::Item>>,
    preparations: Vec<Preparation>,
) {
    task.take_seat().await;
    let asker = Arc::new(Asker(Arc::clone(task.seat())));
    let upstream: Weak<Asker> = Arc::downgrade(&asker);
    edge.filled_by(upstream);
    let mut prepared = true;
    for preparation in preparations {
        prepared = prepared && preparation.await;
    }
    let mut pump = Pump {
        edge: &edge,
        hub: task.hub(),
        slots: Vec::new(),
        pushed: 0,
        index: 0,
        turn_since: 0,
    };
    let ended = if prepared {
        pump.run(&mut feed).await
    } else {
        Ok(())
    };
    pump.push();
    edge.set_end(pump.pushed);
    if let Err(error) = ended {
        task.hub().stop(Cause::Source(error));
    }
    let closed = close(&mut task, || feed.close()).await;
    if let Err(error) = closed {
        task.hub().stop(Cause::Source(error));
    }
    drop(asker);
    task.finish();
}

struct Pump<'a, T> {
    edge: &'a Arc<Edge<T>>,
    hub: &'a Arc<Hub>,
    /// Given by the source and not in the edge yet. There is room for them.
    slots: Vec<Slot<T>>,
    /// Sequences in the edge.
    pushed: u64,
    /// The index of the next item.
    index: u64,
    /// Since when this task has the thread.
    turn_since: u64,
}

/// What came of asking the source once.
enum Answer<T> {
    Item(Fed<T>),
    End,
    Failed(BoxError),
    /// The run was stopped, or the source is to be.
    Interrupted,
}

impl<T: Send + 'static> Pump<'_, T> {
    async fn run<F: Feed<Item = T>>(&mut self, feed: &mut F) -> Result<(), BoxError> {
        let mut refusing = false;
        self.turn_since = self.hub.now();
        loop {
            let mut room = self.room(refusing).await;
            let begun = self.hub.now();
            let mut next_look = 1;
            let mut count = 0;
            while room > 0 {
                match self.ask(feed, refusing).await {
                    Answer::Item(Fed::Item(item)) => {
                        let origin = Origin::single(0, self.index);
                        self.slots.push(Slot::Done(Envelope::new(item, origin)));
                        self.index += 1;
                        room -= 1;
                    }
                    Answer::Item(Fed::Failed(error)) => self.failed(error).await,
                    Answer::End => return Ok(()),
                    Answer::Failed(error) => return Err(error),
                    Answer::Interrupted => break,
                }
                count += 1;
                if count == next_look {
                    next_look = if next_look < CLOCK_EVERY {
                        next_look * 4
                    } else {
                        next_look + CLOCK_EVERY
                    };
                    if self.hub.now().saturating_sub(begun) > RUN_NS {
                        // a source that takes its time: what it has given is not held back
                        break;
                    }
                }
            }
            let woke = self.push();
            if self.hub.stopped() {
                return Ok(());
            }
            if self.hub.draining() && !refusing {
                refusing = match shield::call(|| feed.refuse()) {
                    Ok(refusing) => refusing,
                    Err(payload) => return Err(shield::panic_error(payload)),
                };
                if !refusing {
                    self.hub.cut();
                    return Ok(());
                }
                // what comes now had been accepted before
                self.hub.cut();
            }
            let now = self.hub.now();
            if now.saturating_sub(self.turn_since) > if woke { DEBT_NS } else { TURN_NS }
                || !rt::has_budget()
            {
                rt::give_way().await;
                self.turn_since = self.hub.now();
            }
        }
    }

    /// Waits for room in the edge, and gives how much there is; 0 if the source is to be stopped.
    async fn room(&mut self, refusing: bool) -> usize {
        let mut waited = false;
        let room = poll_fn(|_| {
            loop {
                if self.hub.stopped() || (self.hub.draining() && !refusing) {
                    return Poll::Ready(0);
                }
                let free = self.edge.free();
                if free > 0 {
                    return Poll::Ready(usize::try_from(free).unwrap_or(usize::MAX).min(MAX_RUN));
                }
                if !self.edge.ask_for_room(self.pushed) {
                    waited = true;
                    return Poll::Pending;
                }
            }
        })
        .await;
        if waited {
            self.turn_since = self.hub.now();
        }
        room
    }

    async fn ask<F: Feed<Item = T>>(&mut self, feed: &mut F, refusing: bool) -> Answer<T> {
        let future = match shield::call(|| feed.next()) {
            Ok(future) => future,
            Err(payload) => return Answer::Failed(shield::panic_error(payload)),
        };
        let mut future = pin!(Some(future));
        let answer = poll_fn(|context| {
            if self.hub.stopped() || (self.hub.draining() && !refusing) {
                return Poll::Ready(Answer::Interrupted);
            }
            match shield::call(|| poll_inside(future.as_mut(), context)) {
                Ok(Poll::Ready(Ok(Some(fed)))) => Poll::Ready(Answer::Item(fed)),
                Ok(Poll::Ready(Ok(None))) => Poll::Ready(Answer::End),
                Ok(Poll::Ready(Err(error))) => Poll::Ready(Answer::Failed(error)),
                Err(payload) => Poll::Ready(Answer::Failed(shield::panic_error(payload))),
                Ok(Poll::Pending) => {
                    // nobody waits for items that are there
                    self.push();
                    self.turn_since = self.hub.now();
                    Poll::Pending
                }
            }
        })
        .await;
        match shield::call(|| future.set(None)) {
            Ok(()) => answer,
            Err(payload) => {
                if let Answer::Item(Fed::Item(item)) = answer {
                    self.hub.ledger().enter(1);
                    self.hub
                        .ledger()
                        .cancel(item, &Origin::single(0, self.index));
                }
                Answer::Failed(shield::panic_error(payload))
            }
        }
    }

    async fn failed(&mut self, error: BoxError) {
        let origin = Origin::single(0, self.index);
        self.index += 1;
        self.hub.ledger().enter(1);
        self.hub.ledger().settle(Fate::Failed, 1);
        let error = StageError::new(NAME.into(), origin, 1, ErrorKind::Failed, error);
        if let Told::Wait(error, channel) = self.hub.tell(error) {
            self.push();
            let mut room = pin!(channel.reserve());
            let stopped = || self.hub.stopped();
            match poll_fn(|cx| {
                if stopped() {
                    Poll::Ready(None)
                } else {
                    room.as_mut().poll(cx).map(Result::ok)
                }
            })
            .await
            {
                Some(permit) => permit.send(error),
                None => drop(self.hub.lose(&error)),
            }
        }
    }

    /// Puts what there is into the edge. True if somebody was woken.
    fn push(&mut self) -> bool {
        let count = self.slots.len() as u64;
        if count == 0 {
            return false;
        }
        self.hub.ledger().enter(count);
        let first = self.pushed;
        self.pushed += count;
        self.edge.complete(true, first, &mut self.slots)
    }
}
