//! What runs a pipeline. The protocol, in prose and with its invariants numbered, is in `README.md`
//! beside this file; comments cite an invariant as `I3`.
//!
//! It knows items, workers and edges, and nothing of how a pipeline is described.

mod edge;
mod envelope;
mod failures;
mod feed;
mod filler;
mod gate;
mod guarded;
mod histogram;
mod hub;
mod inlet;
mod joint;
mod keys;
mod lease;
mod ledger;
mod limits;
mod looks;
#[cfg(all(test, loom))]
mod models;
mod operator;
mod operators;
mod outlet;
mod pace;
mod pool;
mod recovery;
mod ring;
mod seat;
mod sentry;
mod shield;
mod stall;
mod station;
mod stream;
mod stubs;
mod supervisor;
mod tally;
mod ticket;
mod watch;
mod worker;

pub(crate) use edge::Reader;
pub(crate) use failures::Failures;
pub(crate) use feed::{Fed, Feed, Preparation};
pub(crate) use filler::Filler;
pub(crate) use hub::{Ended, Hub};
pub(crate) use inlet::Inlet;
pub(crate) use joint::Joint;
pub(crate) use keys::{Keys, keys};
pub(crate) use limits::{LATE, LOT};
pub(crate) use operator::{Bench, Operator};
pub(crate) use operators::{
    Batch, BatchBy, Broadcast, Claim, Expand, Intake, Iterated, Merge, MergeOrdered, Parts,
    Scheduled, Split, Streamed, Supply, Throttle, Through, Timetable, Zip, delay, delay_until,
    is_timed,
};
pub(crate) use outlet::{Outlet, most_at_once};
pub(crate) use recovery::Recovery;
pub(crate) use seat::{Role, Seat};
pub(crate) use shield::{call, discard, panic_error};
pub(crate) use stall::{Brim, Join};
#[expect(
    unreachable_pub,
    reason = "a bound of a hidden method of a public, sealed trait"
)]
pub use station::Fuse;
pub(crate) use station::{Identity, Maker, StationParts, StationPlan, Work};
pub(crate) use stream::StreamEnd;
pub(crate) use {
    feed::launch_feed,
    operator::place_operator,
    outlet::launch_outlet,
    station::launch_station,
    supervisor::{Attendant, launch_supervisor},
};
