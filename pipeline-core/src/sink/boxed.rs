//! A sink whose type is chosen at run time.

use std::fmt;

use async_trait::async_trait;

use super::Sink;
use crate::error::BoxError;

/// Any [`Sink`] for `T`, with its type erased. Each call costs one allocation more, not each item.
pub struct BoxSink<T>(Box<dyn DynSink<T>>);

impl<T: Send + 'static> BoxSink<T> {
    /// Erases the type of `sink`.
    pub fn new(sink: impl Sink<T>) -> Self {
        BoxSink(Box::new(sink))
    }
}

impl<T> fmt::Debug for BoxSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxSink")
    }
}

/// The object-safe twin. Private: users implement `Sink`.
#[async_trait]
trait DynSink<T>: Send {
    async fn write(&mut self, items: &mut Vec<T>) -> Result<(), BoxError>;
    async fn flush(&mut self) -> Result<(), BoxError>;
    async fn close(self: Box<Self>) -> Result<(), BoxError>;
}

#[async_trait]
impl<T: Send + 'static, S: Sink<T>> DynSink<T> for S {
    async fn write(&mut self, items: &mut Vec<T>) -> Result<(), BoxError> {
        Sink::write(self, items).await.map_err(Into::into)
    }

    async fn flush(&mut self) -> Result<(), BoxError> {
        Sink::flush(self).await.map_err(Into::into)
    }

    async fn close(self: Box<Self>) -> Result<(), BoxError> {
        Sink::close(*self).await.map_err(Into::into)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Send + 'static> Sink<T> for BoxSink<T> {
    type Error = BoxError;

    async fn write(&mut self, items: &mut Vec<T>) -> Result<(), BoxError> {
        self.0.write(items).await
    }

    async fn flush(&mut self) -> Result<(), BoxError> {
        self.0.flush().await
    }

    async fn close(self) -> Result<(), BoxError> {
        self.0.close().await
    }
}
