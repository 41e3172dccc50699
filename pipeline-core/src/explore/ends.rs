//! The sources and sinks of the explorations.

use super::{
    body::Habit,
    lots::{dawdle, in_hundred, one_of},
    ticket::Ticket,
    world::{Item, World},
};
use crate::{BoxError, Sink, Source};

/// A source that may have to wait.
#[derive(Debug)]
pub(super) struct Spring {
    world: World,
    habit: Habit,
    left: u64,
    ticket: Ticket,
}

/// A sink that takes its time, and not always all that it is given.
#[derive(Debug)]
pub(super) struct Basin {
    world: World,
    habit: Habit,
    ticket: Ticket,
}

impl World {
    /// The items `0..items`, without waiting.
    pub(super) fn items(&self, items: u64) -> impl Iterator<Item = Item> + Send + 'static {
        let world = self.clone();
        (0..items).map(move |index| world.pull(index))
    }

    /// The items `0..items`.
    pub(super) fn spring(&self, items: u64, habit: Habit) -> Spring {
        Spring {
            world: self.clone(),
            habit,
            left: items,
            ticket: Ticket::of_source(self),
        }
    }

    pub(super) fn basin(&self, habit: Habit) -> Basin {
        Basin {
            world: self.clone(),
            habit,
            ticket: Ticket::of_sink(self),
        }
    }

    /// The end of a pipeline, without waiting.
    pub(super) fn receive(&self) -> impl FnMut(Item) + Send + 'static {
        let world = self.clone();
        move |item| world.received(item)
    }

    /// An end that counts, without waiting.
    pub(super) fn count(&self) -> impl FnMut(u64, Item) -> u64 + Send + 'static {
        let world = self.clone();
        move |count, item| {
            world.received(item);
            count + 1
        }
    }

    /// A filter.
    pub(super) fn keep(
        &self,
        keeps: impl Fn(u64) -> bool + Send + Sync + 'static,
    ) -> impl Fn(&Item) -> bool + Send + Sync + 'static {
        let world = self.clone();
        move |item| {
            let keeps = keeps(item.index);
            if !keeps {
                world.filtered(item);
            }
            keeps
        }
    }
}

impl Source for Spring {
    type Item = Item;
    type Error = BoxError;

    async fn next(&mut self) -> Result<Option<Item>, BoxError> {
        self.world.event("source");
        dawdle(self.habit.turns).await;
        if in_hundred(self.habit.waits) {
            self.world.wait_to_be_woken().await;
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        Ok(Some(self.world.pull_next()))
    }

    async fn close(self) -> Result<(), BoxError> {
        self.ticket.close();
        self.habit.close()
    }
}

impl Sink<Item> for Basin {
    type Error = BoxError;

    async fn write(&mut self, items: &mut Vec<Item>) -> Result<(), BoxError> {
        self.world.event("sink");
        let most = one_of(1..=items.len() as u64);
        for _ in 0..most {
            dawdle(self.habit.turns).await;
            if in_hundred(self.habit.waits) {
                self.world.wait_to_be_woken().await;
            }
            self.world.received(items.remove(0));
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), BoxError> {
        self.world.event("flush");
        dawdle(self.habit.turns).await;
        Ok(())
    }

    async fn close(self) -> Result<(), BoxError> {
        self.ticket.close();
        self.habit.close()
    }
}
