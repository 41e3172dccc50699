//! Streams as sources.

use std::{
    future::ready,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use crate::{
    engine::{Fed, Feed},
    error::BoxError,
};

/// A stream of items. Boxed once: a stream need not be `Unpin`.
pub(crate) struct Items<S>(Pin<Box<S>>);

impl<S> Items<S> {
    pub(crate) fn new(stream: S) -> Self {
        Items(Box::pin(stream))
    }
}

impl<S> Feed for Items<S>
where
    S: Stream<Item: Send + 'static> + Send + 'static,
{
    type Item = S::Item;
    const POLLED: bool = true;

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Fed<S::Item>>, BoxError>> {
        self.0
            .as_mut()
            .poll_next(context)
            .map(|item| Ok(item.map(Fed::Item)))
    }

    fn close(self) -> impl Future<Output = Result<(), BoxError>> + Send {
        ready(Ok(()))
    }
}

/// A stream of results: an `Err` is a failed item, and the stream goes on.
pub(crate) struct Results<S>(Pin<Box<S>>);

impl<S> Results<S> {
    pub(crate) fn new(stream: S) -> Self {
        Results(Box::pin(stream))
    }
}

impl<S, T, E> Feed for Results<S>
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    type Item = T;
    const POLLED: bool = true;

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Fed<T>>, BoxError>> {
        let item = self.0.as_mut().poll_next(context);
        item.map(|item| {
            Ok(item.map(|result| result.map_or_else(|error| Fed::Failed(error.into()), Fed::Item)))
        })
    }

    fn close(self) -> impl Future<Output = Result<(), BoxError>> + Send {
        ready(Ok(()))
    }
}
