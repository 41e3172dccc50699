//! The life of a value that the engine owns and has to close: a worker's state, a source, a sink.

use std::thread;

use super::world::World;

/// Goes with a value. The rule: closed once on every way out, but not after a panic or half-way
/// through an item, and not when the owner of the run was dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    world: World,
    what: &'static str,
    /// It has to be closed even if it was never at work.
    always: bool,
    used: bool,
    busy: bool,
    closed: bool,
}

impl Ticket {
    /// Of a worker's state. One that was never at work may be the original that others are made from.
    pub(super) fn of_state(world: &World) -> Self {
        Ticket::new(world, "state", false)
    }

    pub(super) fn of_source(world: &World) -> Self {
        Ticket::new(world, "source", true)
    }

    pub(super) fn of_sink(world: &World) -> Self {
        Ticket::new(world, "sink", true)
    }

    fn new(world: &World, what: &'static str, always: bool) -> Self {
        world.ticket_made();
        Ticket {
            world: world.clone(),
            what,
            always,
            used: false,
            busy: false,
            closed: false,
        }
    }

    pub(super) fn duplicate(&self) -> Self {
        Ticket::new(&self.world, self.what, self.always)
    }

    /// The value begins to work. A state that does not get to `rest` is spoiled.
    pub(super) fn work(&mut self) {
        self.used = true;
        self.busy = true;
    }

    pub(super) fn rest(&mut self) {
        self.busy = false;
    }

    pub(super) fn close(mut self) {
        self.closed = true;
        self.world.event("close");
        if self.busy {
            self.world.blame(format!(
                "a {} was closed in the middle of its work",
                self.what
            ));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let owed = (self.always || self.used) && !self.busy && !self.closed;
        if owed && !thread::panicking() {
            self.world.not_closed(self.what);
        }
        self.world.ticket_dropped();
    }
}
