//! What can go wrong, and who is told.
//!
//! A failed item is told once, to one place: the dead letters of its stage if it has any
//! ([`dead_letters`](crate::Pipeline::dead_letters)), else the error channel of the job
//! ([`Job::errors`](crate::Job::errors)), else it ends the run and is what
//! [`Job::run`](crate::Job::run) returns. What a stage tries again
//! ([`retry`](crate::Pipeline::retry)) has not failed yet: nobody is told, it is counted in the report.
//! The types, from the smallest to the largest:
//!
//! | type | says |
//! | --- | --- |
//! | [`StageError`] | one item failed in one stage; its source is the user's error, a [`Panicked`] or a [`TimedOut`] |
//! | [`DeadLetter`] | the same, with the item |
//! | [`Cause`] | why a run did not finish |
//! | [`RunError`] | the cause, with the report of what was done until then |
//! | [`BuildError`] | the pipeline cannot be started as it is described |
//!
//! Printed with `{}` each says its own level only, as an error does whose cause is in its
//! [`source`](std::error::Error::source). `{:#}` of a [`StageError`] or a [`RunError`] is one line with all causes,
//! the user's own error last. `{:?}` of a [`RunError`] or a [`BuildError`] is that line as well, as it is what a
//! `main` that returns it prints, and an `unwrap`.

mod build;
mod causes;
mod letter;
mod origin;
mod panic;
mod policy;
mod run;
mod stage;
mod time;

pub use build::BuildError;
pub use letter::DeadLetter;
pub use origin::Origin;
pub use panic::Panicked;
pub use policy::{OnError, Overflow};
pub use run::{Cause, RunError};
pub use stage::{ErrorKind, StageError};
pub use time::{Limit, TimedOut};

/// Any error of a user's stage, source or sink.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
