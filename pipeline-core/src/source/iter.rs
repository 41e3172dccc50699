//! Iterators as sources.

use std::{
    future::ready,
    task::{Context, Poll},
};

use crate::{
    engine::{Fed, Feed},
    error::BoxError,
};

pub(crate) struct Iter<I>(pub(crate) I);

impl<I> Feed for Iter<I>
where
    I: Iterator<Item: Send + 'static> + Send + 'static,
{
    type Item = I::Item;
    const POLLED: bool = true;

    #[inline]
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Fed<I::Item>>, BoxError>> {
        Poll::Ready(Ok(self.0.next().map(Fed::Item)))
    }

    fn close(self) -> impl Future<Output = Result<(), BoxError>> + Send {
        ready(Ok(()))
    }
}
