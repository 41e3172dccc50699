use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;

use crate::engine::StreamEnd;

/// The items of a pipeline as a stream: what [`into_stream`](crate::Pipeline::into_stream) makes.
///
/// One meets it as `Running<Items<T>>`, which is a stream of `Result<T, RunError>`: its items, and
/// at the end an `Err` if the run did not finish, so that a failed run never looks like a short one.
pub struct Items<T>(Arc<StreamEnd<T>>);

impl<T: Send + 'static> Items<T> {
    pub(crate) fn new(end: Arc<StreamEnd<T>>) -> Self {
        Items(end)
    }

    pub(super) fn end(&self) -> &Arc<StreamEnd<T>> {
        &self.0
    }
}

/// The items alone: it ends when the run does, however that was.
impl<T: Send + 'static> Stream for Items<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_next(context)
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Items")
    }
}
