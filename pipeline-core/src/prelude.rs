//! What most programs need: `use pipeline_core::prelude::*;`.

pub use crate::config::{Rate, Retry, StageConfig};
pub use crate::error::{BoxError, OnError};
pub use crate::pipeline::{IntoPipeline, Pipeline};
pub use crate::run::Job;
pub use crate::sink::Sink;
pub use crate::source::Source;
pub use crate::stage::{Stage, stage_fn};
#[cfg(feature = "macros")]
pub use pipeline_macros::stage;
