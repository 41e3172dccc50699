//! What each operator does with items. How one is driven is in `operator.rs`.

mod batch;
mod split;

pub(crate) use batch::Batch;
pub(crate) use split::Split;
