//! Typed dataflow pipelines for tokio: process many items concurrently, and get it right.
//!
//! A pipeline is `source -> stages -> end`. You write the functions; the library owns what is
//! between them: how many run at once, the order of results, backpressure, errors and panics,
//! shutdown, and telling you what happened.
//!
//! ```
//! use pipeline_core::prelude::*;
//!
//! async fn fetch(id: u64) -> Result<String, std::io::Error> {
//!     Ok(format!("record {id}"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let report = Pipeline::from_iter(0..1000)
//!         .and_then(fetch).parallelism(64)            // 64 at a time, results in order
//!         .filter(|record| record.ends_with('7'))     // fused into the workers of `fetch`
//!         .collect()
//!         .run()
//!         .await?;
//!     assert_eq!(report.value[1], "record 17");
//!     assert_eq!(report.items.filtered, 900);
//!     Ok(())
//! }
//! ```
//!
//! # In reading order
//!
//! 1. [`Pipeline`]: sources, steps, their options, ends.
//! 2. [`Job`] and [`Running`]: start, wait, cancel, drain.
//! 3. [`error`]: what a failure does, and who is told.
//! 4. [`#[stage]`](macro@stage): stages with a name, with state and options of their own.
//! 5. [`Stage`], [`Source`], [`Sink`]: types of your own.
//! 6. [`report`] and [`plan`]: what a run did, and what it is going to do.
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | **item** | what flows |
//! | **source** | where items come from |
//! | **stage** | a function of one item, run by up to `parallelism` workers |
//! | **end** | where items go: a sink, a closure, a collection, a stream |
//! | **run** | a started pipeline |
//! | **permit** | the right to run one item in a stage; free again when the body finishes |
//! | **window** | how many items may be inside a stage, in work or finished and waiting for their turn |
//! | **origin** | which items of the source something came from; errors name it |
//! | **cancel**, **drain** | stop now; stop the source and finish what was taken |
//!
//! # What is promised
//!
//! - Every item that was taken from the source ends in exactly one of delivered, failed, filtered,
//!   cancelled; the [`Report`] has the numbers.
//! - An ordered stage gives its results in the order of its input; failures, panics and filtered
//!   items leave no hole.
//! - At most `parallelism` bodies of a stage are in work, and at most [`Plan::max_inside`](plan::Plan)
//!   items inside the pipeline, whatever is slow.
//! - A panic of your code is the error of its item, and concerns nobody else.
//! - What becomes of an item is decided once: its result, its failure, its time limit or a cancel,
//!   whatever comes together. A failure is told once, to one place, or counted.
//! - A run has one outcome, and the first cause wins. After [`Running::wait`] nothing of yours runs.
//! - A pipeline that waits costs nothing: no polling, no ticks.
//! - No unsafe code; nothing is printed; no global state is touched.
//!
//! # Features
//!
//! | feature | default | brings |
//! | --- | --- | --- |
//! | `macros` | yes | [`#[stage]`](macro@stage), which makes a stage of a function |
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private;
pub mod config;
mod engine;
pub mod error;
#[cfg(all(test, shuttle))]
mod explore;
pub mod pipeline;
pub mod plan;
pub mod prelude;
pub mod report;
mod rt;
pub mod run;
pub mod sink;
pub mod source;
pub mod stage;

#[cfg(feature = "macros")]
pub use pipeline_macros::stage;

pub use error::{BoxError, BuildError, RunError, StageError};
pub use pipeline::{IntoPipeline, Pipeline, Schedule};
pub use report::Report;
pub use run::{Job, Running};
pub use sink::{BoxSink, Sink};
pub use source::{BoxSource, Source};
pub use stage::{BoxStage, Stage, stage_fn};
