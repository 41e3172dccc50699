//! Every constant of the engine that is a choice, with the reason for its value.
//!
//! They were measured on 2 cores and simulated for 64; whoever measures on more finds them here.

use std::time::Duration;

/// The work that a run should hold. Long enough that two locks a run (about 50 ns when nobody
/// contends) are lost in it, short enough that a run never holds up order or fairness.
pub(super) const RUN_NS: u64 = 10_000;

/// The most items in a run, however cheap.
pub(super) const MAX_RUN: usize = 128;

/// A run that has taken this long gives its rest back, for others to take.
pub(super) const LONG_RUN_NS: u64 = 4 * RUN_NS;

/// Items between two looks at the clock, after those at 1, 4 and 16. Never looking again let 60 slow
/// items late in a run go one after another.
pub(super) const CLOCK_EVERY: usize = 16;

/// From here on an item may be worth another core by the number of waiting items alone. Below it only
/// by the work that waits: for cheap items a second core adds nothing but cache traffic.
pub(super) const COUNTED_NS: u64 = 1_000;

/// How long a worker may go on after it has woken another task, which may sit in this thread's slot
/// where no other thread can take it (see `rt::give_way`).
pub(super) const DEBT_NS: u64 = 20_000;

/// How long a worker may go on in any case before other tasks of its thread get their turn.
pub(super) const TURN_NS: u64 = 100_000;

/// A producer that found no room goes on when this many slots are free (or a quarter of the window,
/// or when nothing is left to take): fewer wake-ups, at no loss of order or bound.
pub(super) const RESUME_SLOTS: u64 = 256;

/// The most items that an end takes at once.
pub(super) const TAKE: usize = 256;

/// The most items that an operator takes at once from an input.
pub(crate) const LOT: usize = if cfg!(shuttle) { 2 } else { 64 };

/// How often the sentry looks at workers that do not come back while items wait.
pub(super) const SENTRY: Duration = Duration::from_millis(1);

/// Looks after which the sentry goes home, if there was nothing to do, or else to the end of the queue
/// for a thread.
pub(super) const SENTRY_PATIENCE: u32 = 20;

/// Time for all sources, sinks and stages to close after everything else of the run has ended.
pub(super) const CLOSE: Duration = Duration::from_secs(10);

/// Failures that nobody receives are logged so often in a run, and then once a [`WARN_EVERY_NS`].
pub(super) const WARN_FIRST: u64 = 8;

/// See [`WARN_FIRST`].
pub(super) const WARN_EVERY_NS: u64 = 1_000_000_000;

/// Items of more bytes than this travel in boxes.
pub(super) const LARGE: usize = 1024;

/// Timers are rounded up to a millisecond, and tasks wait for their turn. What a throttled item was late is
/// made up for by those behind it, but no more than this: after a long stop there is no rush.
pub(crate) const LATE: Duration = Duration::from_millis(5);

/// Items that a stream gives to an adaptor between two turns of the other tasks of its thread.
pub(super) const HELPING: usize = 128;
