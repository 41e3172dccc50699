//! What each operator does with items. How one is driven is in `operator.rs`.

mod agenda;
mod batch;
mod batch_by;
mod broadcast;
mod delay;
mod expand;
mod heap;
mod merge;
mod merge_ordered;
mod schedule;
mod split;
mod throttle;
mod through;
mod zip;

pub(crate) use batch::{Batch, is_timed};
pub(crate) use batch_by::BatchBy;
pub(crate) use broadcast::Broadcast;
pub(crate) use delay::{delay, delay_until};
pub(crate) use expand::{Expand, Iterated, Parts, Streamed};
pub(crate) use merge::Merge;
pub(crate) use merge_ordered::MergeOrdered;
pub(crate) use schedule::{Claim, Scheduled, Timetable};
pub(crate) use split::Split;
pub(crate) use throttle::Throttle;
pub(crate) use through::{Intake, Supply, Through};
pub(crate) use zip::Zip;
