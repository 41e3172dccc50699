//! Drives a source: asks it for items, as many at a time as there is room for, and stops asking when
//! it is told to.

use std::{
    future::{pending, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    envelope::Envelope,
    failures::Told,
    filler::Filler,
    guarded::{close, poll_inside},
    hub::{Hub, Task},
    joint::Joint,
    ledger::Fate,
    limits::{DEBT_NS, MAX_RUN, RUN_NS, TURN_NS},
    looks::Looks,
    seat::Seat,
    shield,
    ticket::Ticket,
};
use crate::{
    error::{BoxError, Cause, ErrorKind, Origin, StageError},
    rt,
};

/// The name under which a failed item of a source is reported.
const NAME: &str = "source";

/// Where items come from. The engine's view of a source. It is asked in one of two ways.
pub(crate) trait Feed: Send + 'static {
    type Item: Send + 'static;

    /// Asked by `poll_next`, in a plain loop; else by `next`.
    const POLLED: bool;

    /// Keeps nothing between two calls that a drop could lose.
    fn poll_next(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<Result<Option<Fed<Self::Item>>, BoxError>> {
        Poll::Pending
    }

    /// Cancel safe.
    fn next(&mut self) -> impl Future<Output = Result<Option<Fed<Self::Item>>, BoxError>> + Send {
        pending()
    }

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

/// Starts the source of an edge. The first one of a run takes the preparations, and the others wait
/// until they are done.
pub(crate) fn launch_feed<F: Feed>(
    task: Task,
    feed: F,
    source: u32,
    into: Joint<F::Item>,
    preparations: Option<Vec<Preparation>>,
) {
    let runtime = task.hub().runtime().clone();
    runtime.spawn(drive(task, feed, source, into, preparations));
}

async fn drive<F: Feed>(
    mut task: Task,
    mut feed: F,
    source: u32,
    into: Joint<F::Item>,
    preparations: Option<Vec<Preparation>>,
) {
    task.take_seat().await;
    let out = Filler::new(into, task.seat());
    let mut prepared = true;
    if let Some(preparations) = preparations {
        for preparation in preparations {
            prepared = prepared && preparation.await;
        }
        task.hub().prepared();
    }
    let mut pump = Pump {
        out,
        hub: task.hub(),
        seat: task.seat(),
        source,
        index: 0,
        entered: 0,
        turn_since: 0,
        refusing: false,
    };
    let ended = if prepared {
        pump.run(&mut feed).await
    } else {
        Ok(())
    };
    pump.push();
    // what it gave before it failed is not lost; first the cause, so that the end is not taken for one
    if let Err(error) = ended {
        task.hub().doom(Cause::Source(error));
    }
    pump.out.end();
    drop(pump);
    let closed = close(&mut task, || feed.close()).await;
    if let Err(error) = closed {
        task.hub().doom(Cause::Source(error));
    }
    task.finish();
}

struct Pump<'a, T: Send + 'static> {
    out: Filler<T>,
    hub: &'a Arc<Hub>,
    seat: &'a Arc<Seat>,
    /// The number of the source.
    source: u32,
    /// The index of the next item.
    index: u64,
    /// Items that are in the ledger.
    entered: u64,
    /// Since when this task has the thread.
    turn_since: u64,
    /// The source reads what it had accepted before the drain.
    refusing: bool,
}

/// Why the source is not asked further for the moment.
enum Pause {
    /// There is no more room, or it is time to hand on what there is.
    Push,
    End,
    Failed(BoxError),
    ItemFailed(BoxError),
    /// The run was stopped, or the source is to be.
    Interrupted,
}

/// How many items may still be taken, and when to look at the clock.
struct Quota {
    room: usize,
    taken: usize,
    looks: Looks,
    begun: u64,
}

impl<T: Send + 'static> Pump<'_, T> {
    async fn run<F: Feed<Item = T>>(&mut self, feed: &mut F) -> Result<(), BoxError> {
        self.turn_since = self.hub.now();
        loop {
            let room = self.room().await;
            let mut quota = Quota {
                room,
                taken: 0,
                looks: Looks::new(),
                begun: self.hub.now(),
            };
            let pause = if F::POLLED {
                poll_fn(|context| {
                    let fill = || self.fill(feed, &mut quota, context);
                    shield::call(fill).unwrap_or_else(|payload| {
                        Poll::Ready(Pause::Failed(shield::panic_error(payload)))
                    })
                })
                .await
            } else {
                self.ask(feed, &mut quota).await
            };
            let woke = self.push();
            match pause {
                Pause::Push => {}
                Pause::End => return Ok(()),
                Pause::Failed(error) => return Err(error),
                Pause::ItemFailed(error) => self.item_failed(error).await,
                Pause::Interrupted if self.hub.stopped() || self.out.is_unwanted() => {
                    return Ok(());
                }
                Pause::Interrupted => {
                    self.hub.cut();
                    match shield::call(|| feed.refuse()) {
                        Ok(true) => self.refusing = true,
                        Ok(false) => return Ok(()),
                        Err(payload) => return Err(shield::panic_error(payload)),
                    }
                }
            }
            let now = self.hub.now();
            if now.saturating_sub(self.turn_since) > if woke { DEBT_NS } else { TURN_NS } {
                rt::give_way().await;
                self.turn_since = self.hub.now();
            }
        }
    }

    /// `&mut`, so that a future that calls it is `Send` whatever the items are.
    fn interrupted(&mut self) -> bool {
        self.hub.stopped() || (self.hub.draining() && !self.refusing) || self.out.is_unwanted()
    }

    /// Waits for room in the edge, and gives how much there is; 0 if the source is to be stopped.
    async fn room(&mut self) -> usize {
        let mut waited = false;
        let room = poll_fn(|_| {
            self.seat.begin();
            if self.interrupted() {
                return Poll::Ready(0);
            }
            let room = if self.hub.holds_sources() && !self.hub.draining() {
                Poll::Pending
            } else {
                let room = self.out.poll_room();
                if room.is_pending() {
                    self.seat.rest_inside();
                }
                room
            };
            waited |= room.is_pending();
            room.map(|room| room.min(MAX_RUN))
        })
        .await;
        if waited {
            self.turn_since = self.hub.now();
        }
        room
    }

    /// Takes items from a source that is polled, as long as they are ready.
    fn fill<F: Feed<Item = T>>(
        &mut self,
        feed: &mut F,
        quota: &mut Quota,
        context: &mut Context<'_>,
    ) -> Poll<Pause> {
        loop {
            if self.interrupted() {
                return Poll::Ready(Pause::Interrupted);
            }
            if self.hub.is_paused() && !self.refusing {
                return Poll::Ready(Pause::Push);
            }
            let Poll::Ready(answer) = feed.poll_next(context) else {
                self.wait();
                return Poll::Pending;
            };
            if let Some(pause) = self.take(answer, quota) {
                return Poll::Ready(pause);
            }
        }
    }

    /// Takes items from a source that is awaited.
    async fn ask<F: Feed<Item = T>>(&mut self, feed: &mut F, quota: &mut Quota) -> Pause {
        loop {
            let future = match shield::call(|| feed.next()) {
                Ok(future) => future,
                Err(payload) => return Pause::Failed(shield::panic_error(payload)),
            };
            let mut future = pin!(Some(future));
            let answer = poll_fn(|context| {
                if self.interrupted() {
                    return Poll::Ready(None);
                }
                if self.hub.is_paused() && !self.refusing {
                    return Poll::Ready(Some(None));
                }
                match shield::call(|| poll_inside(future.as_mut(), context)) {
                    Ok(Poll::Ready(answer)) => Poll::Ready(Some(Some(answer))),
                    Ok(Poll::Pending) => {
                        self.wait();
                        Poll::Pending
                    }
                    Err(payload) => Poll::Ready(Some(Some(Err(shield::panic_error(payload))))),
                }
            })
            .await;
            // here and not at the end of the scope, because destructors may panic
            let dropped = shield::call(|| future.set(None));
            let pause = match answer {
                None => Some(Pause::Interrupted),
                // paused: it is asked again when the run is resumed
                Some(None) => Some(Pause::Push),
                Some(Some(answer)) => self.take(answer, quota),
            };
            if let Err(payload) = dropped {
                return Pause::Failed(shield::panic_error(payload));
            }
            if let Some(pause) = pause {
                return pause;
            }
        }
    }

    /// The source has nothing at the moment: what it has given is not held back.
    fn wait(&mut self) {
        self.push();
        self.turn_since = self.hub.now();
    }

    #[inline]
    fn take(
        &mut self,
        answer: Result<Option<Fed<T>>, BoxError>,
        quota: &mut Quota,
    ) -> Option<Pause> {
        let item = match answer {
            Ok(Some(Fed::Item(item))) => item,
            Ok(Some(Fed::Failed(error))) => return Some(Pause::ItemFailed(error)),
            Ok(None) => return Some(Pause::End),
            Err(error) => return Some(Pause::Failed(error)),
        };
        let ticket = Ticket::Single {
            source: self.source,
            index: self.index,
        };
        self.out.push(Envelope::new(item, ticket));
        self.index += 1;
        quota.taken += 1;
        if quota.taken == quota.room {
            return Some(Pause::Push);
        }
        if quota.looks.is_due(quota.taken) && self.hub.now().saturating_sub(quota.begun) > RUN_NS {
            // a source that takes its time
            return Some(Pause::Push);
        }
        None
    }

    async fn item_failed(&mut self, error: BoxError) {
        let origin = Origin::single(self.source, self.index);
        self.index += 1;
        self.entered += 1;
        self.hub.ledger().enter(1);
        self.hub.ledger().add(Fate::Failed, 1);
        let error = StageError::new(NAME.into(), origin, 1, ErrorKind::Failed, error);
        if let Told::Wait(unsent) = self.hub.tell::<T>(error) {
            unsent.send_later(self.hub).await;
        }
    }

    /// Puts what there is into the edge. True if somebody was woken.
    fn push(&mut self) -> bool {
        // before anybody can settle them
        self.hub.ledger().enter(self.index - self.entered);
        self.entered = self.index;
        self.out.flush()
    }
}
