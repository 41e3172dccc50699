//! A finished description, and a running one.
//!
//! | type | is |
//! | --- | --- |
//! | [`Job`] | a pipeline with its end and the options of a whole run |
//! | [`Running`] | a run and its owner: waits, or gives the items as a stream |
//! | [`Control`] | a handle for others: cancel, drain, metrics |

mod control;
mod items;
mod job;
mod options;
mod running;
mod shutdown;

pub use control::Control;
pub use items::Items;
pub use job::Job;
pub(crate) use running::Prepared;
pub use running::Running;
