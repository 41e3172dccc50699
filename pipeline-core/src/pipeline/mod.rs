//! What users write: a source, steps, an end.
//!
//! | file | has |
//! | --- | --- |
//! | `sources` | `from_iter`, `from_stream`, `from_try_stream`, `from_source`, `channel`, `buffer` |
//! | `steps` | stages, and what is fused into them |
//! | `options` | `name`, `parallelism`, `ordered`, `unordered`, `window`, `timeout`, `attempt_timeout`, `retry`, `retry_if`, `dead_letters` |
//! | `ends` | what makes a [`Job`](crate::Job) of it |
//! | `operators` | steps that change the shape of the flow |
//! | `graph` | the steps, and which one takes from which |
//! | `tail` | the last step by type, and how it is closed |

mod assembly;
mod draft;
mod ends;
mod graph;
mod operators;
mod options;
mod sources;
mod steps;
mod tail;

use std::{fmt, marker::PhantomData};

pub(crate) use assembly::Assembly;
pub(crate) use graph::{Graph, Node};
pub use operators::{Schedule, Upstream};
pub use tail::{Closed, Fused, Mapped, Open, StageTail, Tail};

use crate::stage::Stage;

/// Items of type `T` on their way: a source, and the steps so far.
///
/// Nothing runs before the [`Job`](crate::Job) that an end makes of it is started; dropping a
/// pipeline drops what is in it. A pipeline needs no runtime to be described.
///
/// # Reading a pipeline
///
/// Sources are functions of `Pipeline`: [`from_iter`](Pipeline::from_iter),
/// [`from_stream`](Pipeline::from_stream), [`from_try_stream`](Pipeline::from_try_stream),
/// [`from_source`](Pipeline::from_source), [`channel`](Pipeline::channel). Steps and ends are
/// methods. The options of a stage are set directly after it:
///
/// | | is a function of | and takes options |
/// | --- | --- | --- |
/// | [`stage`](Pipeline::stage), [`stage_with`](Pipeline::stage_with) | a type with state | yes |
/// | [`map`](Pipeline::map) | `fn(T) -> U` | yes |
/// | [`try_map`](Pipeline::try_map) | `fn(T) -> Result<U, E>` | yes |
/// | [`then`](Pipeline::then) | `async fn(T) -> U` | yes |
/// | [`and_then`](Pipeline::and_then) | `async fn(T) -> Result<U, E>` | yes |
/// | [`blocking`](Pipeline::blocking), [`try_blocking`](Pipeline::try_blocking) | a `fn` that blocks | yes |
/// | [`filter`](Pipeline::filter), [`filter_map`](Pipeline::filter_map), [`inspect`](Pipeline::inspect) | cheap `fn`s, run inside the step before | no |
///
/// Branches: [`split`](Pipeline::split), [`route`](Pipeline::route), [`broadcast`](Pipeline::broadcast). Joins:
/// [`merge`](Pipeline::merge), [`merge_all`](Pipeline::merge_all), [`merge_ordered`](Pipeline::merge_ordered),
/// [`merge_all_ordered`](Pipeline::merge_all_ordered), [`zip`](Pipeline::zip).
///
/// Ends: [`for_each`](Pipeline::for_each), [`try_for_each`](Pipeline::try_for_each),
/// [`sink`](Pipeline::sink), [`forward`](Pipeline::forward), [`collect`](Pipeline::collect),
/// [`fold`](Pipeline::fold), [`count`](Pipeline::count), [`into_stream`](Pipeline::into_stream).
///
/// # Defaults
///
/// Parallelism 1, ordered, a window of `max(4 * parallelism, 1024)` items (a batch counts as its items), 1024 items read ahead of
/// the first step, no limit of time, no retry, and the first failure ends the run: the defaults never
/// reorder and never hide an error.
///
/// # Bounds
///
/// Everything inside is bounded, and backpressure reaches to the source. [`Job::plan`](crate::Job::plan)
/// tells the bound. It counts items and not bytes, so pick small windows for items that are large. (A type
/// of more than a kilobyte is boxed on its way between two steps: moving it by value costs more.)
///
/// # In signatures
///
/// `Pipeline<T>` is the type for signatures and structs. A pipeline whose last step could still take
/// options has a longer type, and becomes that by `.into()`:
///
/// ```
/// use pipeline_core::prelude::*;
///
/// fn lengths(texts: Pipeline<String>) -> Pipeline<usize> {
///     texts.filter(|text| !text.is_empty()).map(|text| text.len()).parallelism(8).into()
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let texts = Pipeline::from_iter(["a", "", "bcd"].map(String::from));
/// let report = texts.pipe(lengths).collect().run().await?;
/// assert_eq!(report.value, [1, 3]);
/// assert_eq!(report.items.filtered, 1);
/// # Ok(()) }
/// ```
#[must_use = "a pipeline does nothing until it has an end, and that job is run"]
pub struct Pipeline<T, L = Closed<T>> {
    tail: L,
    item: PhantomData<fn() -> T>,
}

impl<T, L> Pipeline<T, L> {
    fn new(tail: L) -> Self {
        Pipeline {
            tail,
            item: PhantomData,
        }
    }
}

impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// `function(self)`, for pieces of pipeline that are written as functions, in reading order.
    pub fn pipe<F, R>(self, function: F) -> R
    where
        F: FnOnce(Pipeline<T>) -> R,
    {
        function(self.into_pipeline())
    }
}

impl<T, L> fmt::Debug for Pipeline<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipeline")
    }
}

/// Any pipeline of `Item`, whatever its last step: for parameters.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pipeline",
    label = "expected a `Pipeline` that has no end yet"
)]
pub trait IntoPipeline {
    /// What flows.
    type Item: Send + 'static;

    /// Closes the last step: it takes no options any more.
    fn into_pipeline(self) -> Pipeline<Self::Item>;
}

#[diagnostic::do_not_recommend]
impl<T: Send + 'static, L: Tail<Item = T>> IntoPipeline for Pipeline<T, L> {
    type Item = T;

    fn into_pipeline(self) -> Pipeline<T> {
        Pipeline::new(tail::close(self.tail))
    }
}

impl<In, Out, S> From<Pipeline<Out, Open<In, Out, S>>> for Pipeline<Out>
where
    In: Send + 'static,
    Out: Send + 'static,
    S: Stage<In, Out>,
{
    fn from(pipeline: Pipeline<Out, Open<In, Out, S>>) -> Self {
        pipeline.into_pipeline()
    }
}

impl<T: Send + 'static, L, F> From<Pipeline<T, Fused<L, F>>> for Pipeline<T>
where
    Fused<L, F>: Tail<Item = T>,
{
    fn from(pipeline: Pipeline<T, Fused<L, F>>) -> Self {
        pipeline.into_pipeline()
    }
}

impl<T: Send + 'static, L: Tail, F> From<Pipeline<T, Mapped<L, F>>> for Pipeline<T>
where
    Mapped<L, F>: Tail<Item = T>,
{
    fn from(pipeline: Pipeline<T, Mapped<L, F>>) -> Self {
        pipeline.into_pipeline()
    }
}
