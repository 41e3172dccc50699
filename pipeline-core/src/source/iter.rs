//! Iterators as sources.

use std::future::ready;

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

    #[inline]
    fn next(&mut self) -> impl Future<Output = Result<Option<Fed<I::Item>>, BoxError>> + Send {
        ready(Ok(self.0.next().map(Fed::Item)))
    }

    fn close(self) -> impl Future<Output = Result<(), BoxError>> + Send {
        ready(Ok(()))
    }
}
