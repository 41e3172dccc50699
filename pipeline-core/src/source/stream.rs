//! Streams as sources.

use std::{
    future::{poll_fn, ready},
    pin::Pin,
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

    fn next(&mut self) -> impl Future<Output = Result<Option<Fed<S::Item>>, BoxError>> + Send {
        poll_fn(|context| {
            self.0
                .as_mut()
                .poll_next(context)
                .map(|item| Ok(item.map(Fed::Item)))
        })
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

    fn next(&mut self) -> impl Future<Output = Result<Option<Fed<T>>, BoxError>> + Send {
        poll_fn(|context| {
            self.0.as_mut().poll_next(context).map(|item| {
                Ok(item.map(|result| match result {
                    Ok(item) => Fed::Item(item),
                    Err(error) => Fed::Failed(error.into()),
                }))
            })
        })
    }

    fn close(self) -> impl Future<Output = Result<(), BoxError>> + Send {
        ready(Ok(()))
    }
}
