//! What is explored, and how often.
//!
//! | file | has |
//! | --- | --- |
//! | `flow` | order, windows, backpressure, every kind of source, stage and end |
//! | `graph` | branches and joins, stalls |
//! | `failures` | errors, panics, full error channels, policies |
//! | `keys` | items of one key one at a time and in order |
//! | `recovery` | limits of time, retries, dead letters |
//! | `operators` | batches, expansions, pace, adaptors that have enough |
//! | `shutdown` | cancel, drain and drop at any event |
//! | `time` | items that leave later |

mod failures;
mod flow;
mod graph;
mod keys;
mod operators;
mod recovery;
mod shutdown;
mod time;

/// Two tests of a shape, one for each scheduler, in a module with its name.
macro_rules! shapes {
    ($($(#[doc = $text:literal])* $name:ident($random:literal, $pct:literal);)*) => {$(
        $(#[doc = $text])*
        mod $name {
            use crate::explore::schedules::{Lot, explore};

            #[test]
            fn random() {
                explore(stringify!($name), Lot::Random, $random, super::play::$name);
            }

            #[test]
            fn pct() {
                explore(stringify!($name), Lot::Pct, $pct, super::play::$name);
            }
        }
    )*};
}
use shapes;
