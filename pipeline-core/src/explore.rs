//! The engine under many schedules: whole runs, built as users build them, while shuttle decides at
//! each lock, atomic and spawn who goes on.
//!
//! ```sh
//! RUSTFLAGS="--cfg shuttle" cargo test -p pipeline-core --release --lib --target-dir target/shuttle explore
//! ```
//!
//! A shape ([`shapes`]) is a pipeline with its surroundings: a slow sink, a reader of errors, somebody
//! who cancels at an event drawn by lot. [`world`] watches each run and says afterwards what was wrong
//! with it; a run that is stuck shuttle reports as a deadlock, with the tasks that wait.
//!
//! Each shape runs under a random scheduler and under PCT, from fixed seeds. Variables:
//!
//! | variable | does |
//! | --- | --- |
//! | `EXPLORE_TIMES=10` | ten times as many schedules |
//! | `EXPLORE_SEED=7` | other ones |
//! | `EXPLORE_REPLAY='91021a...'` | one schedule, as a failure has printed it; name the one test it was printed by |
//!
//! All lots are drawn from shuttle's generator, so a schedule replays with all that happened in it.
//! Where nothing but shuttle's own primitives lets tasks meet, its schedules are all there are: the
//! watching itself is done by plain locks, which shuttle does not see.

mod body;
mod ends;
mod lots;
mod schedules;
mod shapes;
mod ticket;
mod world;
