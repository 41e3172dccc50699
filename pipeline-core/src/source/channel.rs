//! A tokio channel as a source.

use std::{
    future::ready,
    task::{Context, Poll},
};

use tokio::sync::mpsc;

use crate::{
    engine::{Fed, Feed},
    error::BoxError,
};

pub(crate) struct Channel<T>(pub(crate) mpsc::Receiver<T>);

impl<T: Send + 'static> Feed for Channel<T> {
    type Item = T;
    const POLLED: bool = true;

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Fed<T>>, BoxError>> {
        self.0
            .poll_recv(context)
            .map(|item| Ok(item.map(Fed::Item)))
    }

    /// Senders get their items back from now on; what they had been told is accepted is delivered.
    fn refuse(&mut self) -> bool {
        self.0.close();
        true
    }

    fn close(self) -> impl Future<Output = Result<(), BoxError>> + Send {
        ready(Ok(()))
    }
}
