//! A [`Sink`] of the user's as the engine sees it.

use super::Sink;
use crate::{engine::Outlet, error::BoxError};

pub(crate) struct Own<S>(pub(crate) S);

impl<T: Send + 'static, S: Sink<T>> Outlet<T> for Own<S> {
    type Value = ();
    const LAST_FIRST: bool = false;

    async fn write(&mut self, items: &mut Vec<T>) -> Result<(), BoxError> {
        self.0.write(items).await.map_err(Into::into)
    }

    async fn flush(&mut self) -> Result<(), BoxError> {
        self.0.flush().await.map_err(Into::into)
    }

    fn was_offered_all(&self) -> bool {
        true
    }

    async fn close(self) -> Result<(), BoxError> {
        self.0.close().await.map_err(Into::into)
    }
}
