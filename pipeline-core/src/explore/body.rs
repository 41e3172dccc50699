//! The stage of the explorations: its bodies wait, fail and panic by lot, and are counted.

use std::{
    panic::resume_unwind,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    thread,
};

use super::{
    lots::{dawdle, in_hundred, one_of},
    ticket::Ticket,
    world::{Item, World},
};
use crate::{BoxError, Stage};

/// What bodies do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Habit {
    /// Up to so many turns are given to others.
    pub(super) turns: u64,
    /// Of a hundred, so many wait for somebody else to wake them.
    pub(super) waits: u64,
    /// Of a hundred, so many fail.
    pub(super) fails: u64,
    /// Of a hundred, so many panic, in one of three places.
    pub(super) panics: u64,
    /// Of a hundred values, so many fail or panic when they are closed.
    pub(super) breaks: u64,
}

/// Bodies that are ready at once.
pub(super) const READY: Habit = Habit {
    turns: 0,
    waits: 0,
    fails: 0,
    panics: 0,
    breaks: 0,
};

/// Bodies that wait, more or less long.
pub(super) const WAITS: Habit = Habit {
    turns: 2,
    waits: 40,
    ..READY
};

/// Bodies of every kind.
pub(super) const FAILS: Habit = Habit {
    turns: 1,
    waits: 20,
    fails: 20,
    panics: 20,
    ..READY
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Passes,
    Fails,
    PanicsWhenCalled,
    PanicsWhenPolled,
    PanicsWhenDropped,
}

impl Habit {
    fn draw(self) -> End {
        if in_hundred(self.panics) {
            match one_of(0..=2) {
                0 => End::PanicsWhenCalled,
                1 => End::PanicsWhenPolled,
                _ => End::PanicsWhenDropped,
            }
        } else if in_hundred(self.fails) {
            End::Fails
        } else {
            End::Passes
        }
    }
}

impl Habit {
    /// What comes of closing something.
    pub(super) fn close(self) -> Result<(), BoxError> {
        if !in_hundred(self.breaks) {
            return Ok(());
        }
        if in_hundred(50) {
            panic_quietly();
        }
        Err("broken".into())
    }
}

/// A panic that is part of the story. It passes the panic hook by, so that nothing is printed, and
/// shuttle does not take it for the failure.
pub(super) fn panic_quietly() -> ! {
    resume_unwind(Box::new("part of the story"))
}

/// A stage whose clones are the states of its workers.
#[derive(Debug)]
pub(super) struct Body {
    world: World,
    habit: Habit,
    parallelism: usize,
    at_once: Arc<AtomicUsize>,
    ticket: Ticket,
}

impl World {
    /// A stage of which at most `parallelism` bodies may run at once.
    pub(super) fn body(&self, parallelism: usize, habit: Habit) -> Body {
        Body {
            world: self.clone(),
            habit,
            parallelism,
            at_once: Arc::default(),
            ticket: Ticket::of_state(self),
        }
    }

    /// As a plain function, for stages that block.
    pub(super) fn blocking_body(
        &self,
        parallelism: usize,
        habit: Habit,
    ) -> impl Fn(Item) -> Result<Item, BoxError> + Send + Sync + 'static {
        let world = self.clone();
        let at_once = Arc::default();
        move |item: Item| {
            let _visit = Visit::new(&world, &at_once, parallelism);
            for _ in 0..one_of(0..=habit.turns) {
                shuttle::thread::yield_now();
            }
            match habit.draw() {
                End::Passes => Ok(item),
                End::Fails => {
                    world.failed(&item);
                    Err("broken".into())
                }
                _ => {
                    world.failed(&item);
                    panic_quietly()
                }
            }
        }
    }
}

impl Clone for Body {
    fn clone(&self) -> Self {
        Body {
            world: self.world.clone(),
            at_once: Arc::clone(&self.at_once),
            ticket: self.ticket.duplicate(),
            ..*self
        }
    }
}

impl Stage<Item, Item> for Body {
    type Error = BoxError;

    fn process(&mut self, item: Item) -> impl Future<Output = Result<Item, BoxError>> + Send {
        self.ticket.work();
        let visit = Visit::new(&self.world, &self.at_once, self.parallelism);
        let (habit, end) = (self.habit, self.habit.draw());
        if end == End::PanicsWhenCalled {
            self.world.failed(&item);
            panic_quietly();
        }
        let bomb = (end == End::PanicsWhenDropped).then(|| Bomb {
            world: self.world.clone(),
            index: item.index,
        });
        let (world, ticket) = (&self.world, &mut self.ticket);
        let work = async move {
            let _visit = visit;
            dawdle(habit.turns).await;
            if in_hundred(habit.waits) {
                world.wait_to_be_woken().await;
            }
            world.event("body");
            match end {
                End::Fails => {
                    world.failed(&item);
                    ticket.rest();
                    Err("broken".into())
                }
                End::PanicsWhenPolled => {
                    world.failed(&item);
                    panic_quietly()
                }
                // a state whose future panics when it is dropped is spoiled, too
                End::PanicsWhenDropped => Ok(item),
                _ => {
                    ticket.rest();
                    Ok(item)
                }
            }
        };
        Working {
            work: Box::pin(work),
            _bomb: bomb,
        }
    }

    async fn close(self) -> Result<(), BoxError> {
        self.ticket.close();
        self.habit.close()
    }
}

/// A body at work.
struct Working<F> {
    work: Pin<Box<F>>,
    _bomb: Option<Bomb>,
}

impl<F: Future> Future for Working<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.get_mut().work.as_mut().poll(context)
    }
}

/// Panics when it is dropped.
struct Bomb {
    world: World,
    index: u64,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.world.failed_at(self.index);
            panic_quietly();
        }
    }
}

/// One item in a body.
struct Visit {
    world: World,
    at_once: Arc<AtomicUsize>,
}

impl Visit {
    fn new(world: &World, at_once: &Arc<AtomicUsize>, parallelism: usize) -> Self {
        world.event("body");
        let now = at_once.fetch_add(1, Relaxed) + 1;
        if now > parallelism {
            world.blame(format!(
                "{now} bodies at once where {parallelism} are allowed"
            ));
        }
        Visit {
            world: world.clone(),
            at_once: Arc::clone(at_once),
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.world.event("end of a body");
        self.at_once.fetch_sub(1, Relaxed);
    }
}
