//! Where items end: the [`Sink`] trait, the ends made of closures, and the boxed twin.

mod boxed;
mod closures;
mod forward;
mod gather;
mod own;

use std::future::ready;

pub use boxed::BoxSink;
pub(crate) use {
    closures::{ForEach, TryForEach},
    forward::Forward,
    gather::{Collect, Fold},
    own::Own,
};

use crate::error::BoxError;

/// A writer of items: one task, one call at a time, as many items a call as have arrived.
///
/// [`Pipeline::sink`](crate::Pipeline::sink) ends a pipeline with one. For parallel writes make the
/// writing a stage, and end with [`count`](crate::Pipeline::count).
///
/// # Order
///
/// Items come in the order in which the last step gives them.
///
/// # Backpressure
///
/// While `write` runs nothing else is taken, so a slow sink slows the pipeline down. It is given
/// at most 256 items at once, or the window of the last stage if that is smaller.
///
/// # Errors
///
/// An `Err` or a panic, of whichever method, ends the run
/// ([`Cause::Sink`](crate::error::Cause::Sink)).
///
/// # Cancel safety
///
/// A cancel drops the future of `write` where it waits. What has been taken out by then counts as
/// delivered, what is left in the vector as cancelled.
///
/// # Examples
///
/// ```
/// use std::io::{self, Write};
/// use pipeline_core::prelude::*;
///
/// struct Lines<W>(W);
///
/// impl<W: Write + Send + 'static> Sink<String> for Lines<W> {
///     type Error = io::Error;
///
///     async fn write(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
///         for line in lines.drain(..) {
///             writeln!(self.0, "{line}")?;
///         }
///         Ok(())
///     }
///
///     async fn flush(&mut self) -> io::Result<()> {
///         self.0.flush()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let numbers = Pipeline::from_iter(0..3).map(|n| n.to_string());
/// numbers.sink(Lines(io::stdout())).run().await?;
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a sink for items of type `{T}`",
    note = "a closure ends a pipeline by `for_each` or `try_for_each`, a sink of `futures` by `forward`"
)]
pub trait Sink<T>: Send + 'static {
    /// Why it cannot go on. Strings will do.
    type Error: Into<BoxError> + Send + 'static;

    /// Writes items, and takes each out of the front of `items` once it is safe; never empty.
    ///
    /// With `Ok`, what is left inside is offered again at once; to take nothing and return `Ok` is
    /// an error, because it would never end.
    ///
    /// # Errors
    ///
    /// An `Err` ends the run; what is left inside then counts as failed.
    fn write(&mut self, items: &mut Vec<T>)
    -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// After a `write`, when nothing else has arrived, and once more at the end of a run that did
    /// not fail.
    ///
    /// # Errors
    ///
    /// An `Err` ends the run. The items written before stay counted as delivered.
    fn flush(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        ready(Ok(()))
    }

    /// Called once, on every way out: end, failure, drain, cancel. Not when the owner of the run was
    /// dropped: then the sink is just dropped. It has 10 seconds after the last work of the run.
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
