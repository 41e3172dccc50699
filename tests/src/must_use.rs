//! Things that do nothing by themselves, and that the compiler warns about when they are thrown away.
//!
//! Scenario 197: a pipeline, a job and a run that are not used are warnings.
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use pipeline_core::prelude::*;
//!
//! Pipeline::from_iter(0..3).map(|n| n + 1);
//! ```
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use pipeline_core::prelude::*;
//!
//! Pipeline::from_iter(0..3).count();
//! ```
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use pipeline_core::prelude::*;
//!
//! fn start(job: Job) -> Result<(), pipeline_core::error::BuildError> {
//!     job.start()?;
//!     Ok(())
//! }
//! ```
//!
//! The same programs, with their values used, compile:
//!
//! ```
//! #![deny(unused_must_use)]
//! use pipeline_core::prelude::*;
//!
//! fn start(job: Job) -> Result<(), pipeline_core::error::BuildError> {
//!     drop(job.start()?);
//!     Ok(())
//! }
//!
//! drop(Pipeline::from_iter(0..3).map(|n| n + 1));
//! drop(Pipeline::from_iter(0..3).count());
//! ```
