//! Ends that make one value of all items.

use std::future::ready;

use super::closures::take_turns;
use crate::{engine::Outlet, error::BoxError};

pub(crate) struct Collect<T>(pub(crate) Vec<T>);

impl<T: Send + 'static> Outlet<T> for Collect<T> {
    type Value = Vec<T>;
    const LAST_FIRST: bool = false;

    fn write(&mut self, items: &mut Vec<T>) -> impl Future<Output = Result<(), BoxError>> + Send {
        self.0.append(items);
        ready(Ok(()))
    }

    fn was_offered_all(&self) -> bool {
        false
    }

    fn close(self) -> impl Future<Output = Result<Vec<T>, BoxError>> + Send {
        ready(Ok(self.0))
    }
}

pub(crate) struct Fold<A, F> {
    /// None after the function has panicked.
    value: Option<A>,
    function: F,
    at_risk: usize,
}

impl<A, F> Fold<A, F> {
    pub(crate) fn new(init: A, function: F) -> Self {
        Fold {
            value: Some(init),
            function,
            at_risk: 0,
        }
    }
}

impl<T, A, F> Outlet<T> for Fold<A, F>
where
    T: Send + 'static,
    A: Send + 'static,
    F: FnMut(A, T) -> A + Send + 'static,
{
    type Value = A;
    const LAST_FIRST: bool = true;

    async fn write(&mut self, items: &mut Vec<T>) -> Result<(), BoxError> {
        let Fold {
            value,
            function,
            at_risk,
        } = self;
        take_turns(items, |item| {
            *at_risk = 1;
            *value = value.take().map(|value| function(value, item));
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

    fn close(self) -> impl Future<Output = Result<A, BoxError>> + Send {
        ready(self.value.ok_or_else(|| "its function panicked".into()))
    }
}
