//! A [`Source`] of the user's as the engine sees it.

use super::Source;
use crate::{
    engine::{Fed, Feed},
    error::BoxError,
};

pub(crate) struct Own<S>(pub(crate) S);

impl<S: Source> Feed for Own<S> {
    type Item = S::Item;
    const POLLED: bool = false;

    async fn next(&mut self) -> Result<Option<Fed<S::Item>>, BoxError> {
        match self.0.next().await {
            Ok(item) => Ok(item.map(Fed::Item)),
            Err(error) => Err(error.into()),
        }
    }

    async fn close(self) -> Result<(), BoxError> {
        self.0.close().await.map_err(Into::into)
    }
}
