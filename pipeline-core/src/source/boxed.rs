//! A source whose type is chosen at run time.

use std::fmt;

use async_trait::async_trait;

use super::Source;
use crate::error::BoxError;

/// Any [`Source`] of `T`, with its type erased. Each item costs one allocation more.
pub struct BoxSource<T>(Box<dyn DynSource<T>>);

impl<T: Send + 'static> BoxSource<T> {
    /// Erases the type of `source`.
    pub fn new(source: impl Source<Item = T>) -> Self {
        BoxSource(Box::new(source))
    }
}

impl<T> fmt::Debug for BoxSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxSource")
    }
}

/// The object-safe twin. Private: users implement `Source`.
#[async_trait]
trait DynSource<T>: Send {
    async fn next(&mut self) -> Result<Option<T>, BoxError>;
    async fn close(self: Box<Self>) -> Result<(), BoxError>;
}

#[async_trait]
impl<S: Source> DynSource<S::Item> for S {
    async fn next(&mut self) -> Result<Option<S::Item>, BoxError> {
        Source::next(self).await.map_err(Into::into)
    }

    async fn close(self: Box<Self>) -> Result<(), BoxError> {
        Source::close(*self).await.map_err(Into::into)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Send + 'static> Source for BoxSource<T> {
    type Item = T;
    type Error = BoxError;

    async fn next(&mut self) -> Result<Option<T>, BoxError> {
        self.0.next().await
    }

    async fn close(self) -> Result<(), BoxError> {
        self.0.close().await
    }
}
