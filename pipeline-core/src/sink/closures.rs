//! Closures as ends: one item at a time.

use std::future::ready;

use crate::{engine::Outlet, error::BoxError, rt};

/// How long closures may go on before others have their turn, and a cancel is seen.
const TURN_NS: u64 = 100_000;

/// Gives the items, which lie last first, to `each` in order, and leaves those behind a panic where
/// they are.
pub(super) async fn take_turns<T>(items: &mut Vec<T>, mut each: impl FnMut(T)) {
    let clock = rt::Clock::new();
    let (mut done, mut next_look, mut turn_ends) = (0, 1, TURN_NS);
    while let Some(item) = items.pop() {
        each(item);
        done += 1;
        if done < next_look {
            continue;
        }
        // reading the clock costs more than many a closure
        next_look = done + done.clamp(1, 16);
        if clock.now() > turn_ends {
            rt::give_way().await;
            turn_ends = clock.now() + TURN_NS;
            next_look = done + 1;
        }
    }
}

pub(crate) struct ForEach<F> {
    function: F,
    at_risk: usize,
}

impl<F> ForEach<F> {
    pub(crate) fn new(function: F) -> Self {
        ForEach {
            function,
            at_risk: 0,
        }
    }
}

impl<T: Send + 'static, F: FnMut(T) + Send + 'static> Outlet<T> for ForEach<F> {
    type Value = ();
    const LAST_FIRST: bool = true;

    async fn write(&mut self, items: &mut Vec<T>) -> Result<(), BoxError> {
        let ForEach { function, at_risk } = self;
        take_turns(items, |item| {
            *at_risk = 1;
            function(item);
            *at_risk = 0;
        })
        .await;
        Ok(())
    }

    fn at_risk(&self) -> usize {
        self.at_risk
    }

    fn was_offered_all(&self) -> bool {
        false
    }

    fn close(self) -> impl Future<Output = Result<(), BoxError>> + Send {
        ready(Ok(()))
    }
}

pub(crate) struct TryForEach<F> {
    function: F,
    at_risk: usize,
}

impl<F> TryForEach<F> {
    pub(crate) fn new(function: F) -> Self {
        TryForEach {
            function,
            at_risk: 0,
        }
    }
}

impl<T, F, Fut, E> Outlet<T> for TryForEach<F>
where
    T: Send + 'static,
    F: FnMut(T) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    type Value = ();
    const LAST_FIRST: bool = true;

    async fn write(&mut self, items: &mut Vec<T>) -> Result<(), BoxError> {
        let clock = rt::Clock::new();
        let mut turn_ends = TURN_NS;
        while let Some(item) = items.pop() {
            self.at_risk = 1;
            (self.function)(item).await.map_err(Into::into)?;
            self.at_risk = 0;
            if clock.now() > turn_ends {
                rt::give_way().await;
                turn_ends = clock.now() + TURN_NS;
            }
        }
        Ok(())
    }

    fn at_risk(&self) -> usize {
        self.at_risk
    }

    fn was_offered_all(&self) -> bool {
        false
    }

    fn close(self) -> impl Future<Output = Result<(), BoxError>> + Send {
        ready(Ok(()))
    }
}
