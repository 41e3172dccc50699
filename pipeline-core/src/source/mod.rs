//! Where items come from: the [`Source`] trait, its adapters and its boxed twin.

mod boxed;
mod channel;
mod iter;
mod own;
mod stream;

use std::future::ready;

pub use boxed::BoxSource;
pub(crate) use {
    channel::Channel,
    iter::Iter,
    own::Own,
    stream::{Items, Results},
};

use crate::error::BoxError;

/// Items one after another, until `None`.
///
/// [`Pipeline::from_source`](crate::Pipeline::from_source) starts a pipeline with one. Iterators,
/// streams and channels need none of it: see [`Pipeline`](crate::Pipeline).
///
/// # Backpressure
///
/// `next` is called only when there is room for what it gives: at most `buffer` items
/// ([`Pipeline::buffer`](crate::Pipeline::buffer), 1024 unless set) are between the source and the
/// first step. One task calls it, one call at a time, and first when every stage that is made by a
/// factory has its first value.
///
/// # Errors
///
/// An `Err`, or a panic, is the last that is asked of the source. What it gave before is finished, and
/// then the run has failed ([`Cause::Source`](crate::error::Cause::Source)). For items that fail one
/// by one see [`from_try_stream`](crate::Pipeline::from_try_stream).
///
/// # Cancel safety
///
/// **`next` must be cancel safe**: a drain drops the future while it waits, and no item may go with
/// it. Reads of channels usually are; a future that has taken half an item from a socket is not,
/// unless that half is kept in `self`.
///
/// # Examples
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use pipeline_core::prelude::*;
///
/// struct Countdown(u32);
///
/// impl Source for Countdown {
///     type Item = u32;
///     type Error = Infallible;
///
///     async fn next(&mut self) -> Result<Option<u32>, Infallible> {
///         tokio::time::sleep(Duration::from_millis(1)).await; // dropped here, nothing is lost
///         let Some(next) = self.0.checked_sub(1) else { return Ok(None) };
///         self.0 = next;
///         Ok(Some(next))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), BoxError> {
/// let report = Pipeline::from_source(Countdown(3)).collect().run().await?;
/// assert_eq!(report.value, [2, 1, 0]);
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source",
    note = "an iterator starts a pipeline by `from_iter`, a stream by `from_stream`, a stream of `Result` by `from_try_stream`"
)]
pub trait Source: Send + 'static {
    /// What it gives.
    type Item: Send + 'static;
    /// Why it cannot go on. Strings will do.
    type Error: Into<BoxError> + Send + 'static;

    /// The next item, or `None` at the end; it is not called again after that.
    ///
    /// # Errors
    ///
    /// An `Err` is the end of the source, and fails the run when what is inside has come to its end.
    ///
    /// # Cancel safety
    ///
    /// Required: see the trait.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Item>, Self::Error>> + Send;

    /// Called once, on every way out: end, failure, drain, cancel. Not when the owner of the run was
    /// dropped: then the source is just dropped. It has 10 seconds after the last work of the run.
    ///
    /// # Errors
    ///
    /// An `Err` fails the run, if nothing has before.
    fn close(self) -> impl Future<Output = Result<(), Self::Error>> + Send
    where
        Self: Sized,
    {
        ready(Ok(()))
    }
}
