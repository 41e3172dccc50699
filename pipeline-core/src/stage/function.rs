//! Functions as stages.

use std::{convert::Infallible, fmt, future::ready, sync::Arc};

use super::Stage;
use crate::error::BoxError;

/// A function where a stage is asked for: `stage_fn(decode).boxed()`.
///
/// It takes an async function (or closure) that returns a `Result`. Workers share it, so it is
/// `Fn`. In a chain it is `.and_then(decode)`, which is the same and infers types better.
///
/// ```
/// use pipeline_core::{BoxStage, prelude::*};
///
/// async fn halve(n: u64) -> Result<u64, String> {
///     if n % 2 == 0 { Ok(n / 2) } else { Err(format!("{n} is odd")) }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let stage: BoxStage<u64, u64> = stage_fn(halve).boxed();
/// let halves = Pipeline::from_iter([2, 4]).stage(stage).collect().run().await?.value;
/// assert_eq!(halves, [1, 2]);
/// # Ok(()) }
/// ```
pub fn stage_fn<F>(function: F) -> StageFn<F> {
    StageFn(Arc::new(function))
}

/// See [`stage_fn`].
pub struct StageFn<F>(Arc<F>);

impl<F> Clone for StageFn<F> {
    fn clone(&self) -> Self {
        StageFn(Arc::clone(&self.0))
    }
}

impl<F> fmt::Debug for StageFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StageFn")
    }
}

#[diagnostic::do_not_recommend]
impl<In, F, Fut, Out, E> Stage<In, Out> for StageFn<F>
where
    F: Fn(In) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Out, E>> + Send,
    Out: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    type Error = E;

    #[inline]
    fn process(&mut self, item: In) -> impl Future<Output = Result<Out, E>> + Send {
        (self.0)(item)
    }
}

/// The stage of a [`map`](crate::Pipeline::map) that was given options.
pub struct Map<F>(Arc<F>);

impl<F> Map<F> {
    pub(crate) fn new(function: F) -> Self {
        Map(Arc::new(function))
    }

    #[inline]
    pub(crate) fn function(&self) -> &F {
        &self.0
    }
}

impl<F> Clone for Map<F> {
    fn clone(&self) -> Self {
        Map(Arc::clone(&self.0))
    }
}

impl<F> fmt::Debug for Map<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map")
    }
}

#[diagnostic::do_not_recommend]
impl<In, F, Out> Stage<In, Out> for Map<F>
where
    F: Fn(In) -> Out + Send + Sync + 'static,
    Out: Send + 'static,
{
    type Error = Infallible;

    #[inline]
    fn process(&mut self, item: In) -> impl Future<Output = Result<Out, Infallible>> + Send {
        ready(Ok((self.0)(item)))
    }
}
