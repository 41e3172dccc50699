//! What can go wrong, and who is told.
//!
//! A failed item is told once, to one place: the error channel of the job if it has one
//! ([`Job::errors`](crate::Job::errors)), else it ends the run and is what
//! [`Job::run`](crate::Job::run) returns. The types, from the smallest to the largest:
//!
//! | type | says |
//! | --- | --- |
//! | [`StageError`] | one item failed in one stage |
//! | [`Cause`] | why a run did not finish |
//! | [`RunError`] | the cause, with the report of what was done until then |
//! | [`BuildError`] | the pipeline cannot be started as it is described |

mod build;
mod origin;
mod panic;
mod policy;
mod run;
mod stage;

pub use build::BuildError;
pub use origin::Origin;
pub use panic::Panicked;
pub use policy::{OnError, Overflow};
pub use run::{Cause, RunError};
pub use stage::{ErrorKind, StageError};

/// Any error of a user's stage, source or sink.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
