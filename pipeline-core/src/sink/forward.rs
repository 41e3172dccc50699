//! A sink of `futures` as an end.

use std::{future::poll_fn, pin::Pin};

use crate::{engine::Outlet, error::BoxError};

/// Boxed once: a sink need not be `Unpin`.
pub(crate) struct Forward<S> {
    sink: Pin<Box<S>>,
    at_risk: usize,
}

impl<S> Forward<S> {
    pub(crate) fn new(sink: S) -> Self {
        Forward {
            sink: Box::pin(sink),
            at_risk: 0,
        }
    }
}

impl<T, S> Outlet<T> for Forward<S>
where
    T: Send + 'static,
    S: futures_sink::Sink<T, Error: Into<BoxError> + Send> + Send + 'static,
{
    type Value = ();
    const LAST_FIRST: bool = true;

    async fn write(&mut self, items: &mut Vec<T>) -> Result<(), BoxError> {
        while !items.is_empty() {
            poll_fn(|context| self.sink.as_mut().poll_ready(context))
                .await
                .map_err(Into::into)?;
            if let Some(item) = items.pop() {
                self.at_risk = 1;
                self.sink.as_mut().start_send(item).map_err(Into::into)?;
                self.at_risk = 0;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), BoxError> {
        poll_fn(|context| self.sink.as_mut().poll_flush(context))
            .await
            .map_err(Into::into)
    }

    fn at_risk(&self) -> usize {
        self.at_risk
    }

    fn was_offered_all(&self) -> bool {
        false
    }

    async fn close(mut self) -> Result<(), BoxError> {
        poll_fn(|context| self.sink.as_mut().poll_close(context))
            .await
            .map_err(Into::into)
    }
}
