//! One item in, one result out: the [`Stage`] trait, functions as stages, and the boxed twin.

mod adapt;
mod blocking;
mod boxed;
mod function;

use std::future::ready;

pub(crate) use adapt::{Adapt, by_cloning, by_factory};
pub(crate) use blocking::Blocking;
pub use boxed::BoxStage;
pub(crate) use boxed::short_name;
pub use function::{Map, StageFn, stage_fn};

use crate::{config::StageConfig, error::BoxError};

/// Work on one item at a time.
///
/// [`Pipeline::stage`](crate::Pipeline::stage) puts one into a pipeline. Up to `parallelism`
/// workers run it, and each worker owns a value of its own (a clone, or one made by the factory of
/// [`stage_with`](crate::Pipeline::stage_with)): `&mut self` is worker-local state, for buffers and
/// connections. What workers share goes into an `Arc`. Most stages need no type of their own:
/// [`#[stage]`](macro@crate::stage) makes one of a function, and closures go to [`map`](crate::Pipeline::map), [`then`](crate::Pipeline::then),
/// [`try_map`](crate::Pipeline::try_map) and [`and_then`](crate::Pipeline::and_then).
///
/// # Order
///
/// Bodies begin in the order of the input, and at most `parallelism` are between begin and end.
/// Results leave in the order of the input (the default) or as they are ready
/// ([`unordered`](crate::Pipeline::unordered)). An item that fails leaves no hole: the ones after
/// it do not wait for it.
///
/// # Backpressure
///
/// No body begins while `window` items are inside the stage, in work or finished and not taken by
/// the next step. Nothing is dropped to make room.
///
/// # Errors
///
/// An `Err` fails the item and nothing else: it is told as a [`StageError`](crate::StageError), see
/// [the errors of a job](crate::error). So is a panic, or an item whose time is over
/// ([`timeout`](crate::Pipeline::timeout)); the worker's value is then dropped without `close`, and a new
/// one is made. With [`retry`](crate::Pipeline::retry) the item is tried again first.
///
/// # Cancel safety
///
/// A cancelled run, and a limit of time, drop the future of `process` where it waits, with the item, and
/// the value with it. Several items are worked on in one task, one after another: they share its task id, its
/// task-locals and its cooperative budget. A body that computes for long without awaiting holds up
/// its runtime thread, as in any task, and whoever was woken last and is to be run there next, which may be
/// another worker of the stage; [`blocking`](crate::Pipeline::blocking) is for that.
///
/// # Examples
///
/// ```
/// use pipeline_core::prelude::*;
///
/// /// Reuses its buffer from item to item.
/// #[derive(Clone, Default)]
/// struct Shout {
///     buffer: String,
/// }
///
/// impl Stage<&'static str, usize> for Shout {
///     type Error = std::convert::Infallible;
///
///     async fn process(&mut self, word: &'static str) -> Result<usize, Self::Error> {
///         self.buffer.clear();
///         self.buffer.push_str(word);
///         self.buffer.push('!');
///         Ok(self.buffer.len())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let report = Pipeline::from_iter(["a", "bc"]).stage(Shout::default()).parallelism(4).collect().run().await?;
/// assert_eq!(report.value, [2, 3]);
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stage for items of type `{In}`",
    label = "not a `Stage<{In}, _>`",
    note = "a function is used by what it does: `.map(f)` for `fn(T) -> U`, `.then(f)` for `async fn(T) -> U`, \
            and if it returns a `Result`: `.try_map(f)`, `.and_then(f)`"
)]
pub trait Stage<In, Out>: Send + 'static {
    /// What a failed item is reported with. Strings will do.
    type Error: Into<BoxError> + Send + 'static;

    /// Called once for the value of each worker, before its first item: for what is made anew for each of
    /// them, and takes time or may fail. Default: nothing.
    ///
    /// The first value is made when the first item is there, or before the source is asked for anything
    /// if the stage says [`StageConfig::prepared`]. A value that takes the place of one that was lost (by a panic
    /// of its body, or a limit of time) is opened, too. Limits of time do not count here; a stop of the
    /// run drops the future, and the value.
    ///
    /// # Errors
    ///
    /// An `Err`, or a panic, fails the run ([`Cause::Stage`](crate::error::Cause::Stage)), and the value is
    /// dropped without [`close`](Self::close).
    fn open(&mut self) -> impl Future<Output = Result<(), BoxError>> + Send {
        ready(Ok(()))
    }

    /// Works on one item. Written as `async fn process(&mut self, item: In) -> Result<Out, ..>`.
    ///
    /// It may be dropped at any await: see the cancel safety of the trait.
    fn process(&mut self, item: In) -> impl Future<Output = Result<Out, Self::Error>> + Send;

    /// Called once for the value of each worker, with no item in work: when the stage has seen its
    /// last item, or the run was stopped. Not called for a value whose body panicked or was dropped
    /// half-way, nor when the owner of the run was dropped: then it is just dropped.
    ///
    /// All values, sources and sinks have 10 seconds to close after the last of their work.
    ///
    /// # Errors
    ///
    /// An `Err` fails the run ([`Cause::Stage`](crate::error::Cause::Stage)), if nothing has before.
    fn close(self) -> impl Future<Output = Result<(), Self::Error>> + Send
    where
        Self: Sized,
    {
        ready(Ok(()))
    }

    /// The options that it brings; those set on the builder go before.
    #[must_use]
    fn defaults() -> StageConfig<In>
    where
        Self: Sized,
    {
        StageConfig::default()
    }

    /// The options of this value: only a boxed stage has other ones than its type.
    #[doc(hidden)]
    fn config(&self) -> StageConfig<In>
    where
        Self: Sized,
    {
        Self::defaults()
    }

    /// Erases the type, for stages that are chosen at run time. Costs one allocation an item.
    fn boxed(self) -> BoxStage<In, Out>
    where
        Self: Clone + Sized,
        In: Send + 'static,
        Out: Send + 'static,
    {
        BoxStage::new(self)
    }
}
