//! Functions that block, as stages.

use std::{fmt, future::ready, sync::Arc};

use super::Stage;
use crate::error::BoxError;

/// The stage of [`try_blocking`](crate::Pipeline::try_blocking): its workers are threads, so it may
/// simply be called. A type of its own, because that is how the builder knows.
pub(crate) struct Blocking<F>(Arc<F>);

impl<F> Blocking<F> {
    pub(crate) fn new(function: F) -> Self {
        Blocking(Arc::new(function))
    }
}

impl<F> Clone for Blocking<F> {
    fn clone(&self) -> Self {
        Blocking(Arc::clone(&self.0))
    }
}

impl<F> fmt::Debug for Blocking<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocking")
    }
}

#[diagnostic::do_not_recommend]
impl<In, F, Out, E> Stage<In, Out> for Blocking<F>
where
    F: Fn(In) -> Result<Out, E> + Send + Sync + 'static,
    Out: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    type Error = E;

    fn process(&mut self, item: In) -> impl Future<Output = Result<Out, E>> + Send {
        ready((self.0)(item))
    }
}
