//! What each operator does with items. How one is driven is in `operator.rs`.

mod agenda;
mod batch;
mod batch_by;
mod delay;
mod expand;
mod heap;
mod schedule;
mod split;
mod throttle;
mod through;

pub(crate) use batch::{Batch, is_timed};
pub(crate) use batch_by::BatchBy;
pub(crate) use delay::{delay, delay_until};
pub(crate) use expand::{Expand, Iterated, Parts, Streamed};
pub(crate) use schedule::{Claim, Scheduled, Timetable};
pub(crate) use split::Split;
pub(crate) use throttle::Throttle;
pub(crate) use through::{Intake, Through};
