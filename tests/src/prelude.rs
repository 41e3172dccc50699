//! What nearly every scenario needs.

pub use crate::body::{Body, InOrder};
pub use crate::ends::{TestSink, TestSource};
pub use crate::flow::Flow;
pub use crate::gate::{Door, Gate, Gates};
pub use crate::gauge::Gauge;
pub use crate::live::Live;
pub use crate::random::Random;
pub use crate::results::{all_errors, cause, chain, failure, not_delivered, only_error, origins};
pub use crate::run::{ALL, Machine, PAUSED, THREADS, World, scenario};
pub use crate::tally::{Fault, Item};
pub use crate::ticket::Closing;
pub use crate::time::{Stopwatch, ms};
pub use crate::tries::{Log, Parcel, Tries, Try};
