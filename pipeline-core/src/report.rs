//! What a run does, and did.

use std::{fmt, time::Duration};

/// What came of a run, or has come of it so far.
///
/// `value` is what the end made of the items: the `Vec` of
/// [`collect`](crate::Pipeline::collect), the number of [`count`](crate::Pipeline::count), `()` of
/// a sink. `Display` prints a small table for people; its form may change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report<R = ()> {
    /// What the end made of the items.
    pub value: R,
    /// How the run ended; `None` while it goes on.
    pub outcome: Option<Outcome>,
    /// From the start to the end, by tokio's clock.
    pub elapsed: Duration,
    /// What became of the items of the source.
    pub items: Counts,
    /// A line for each stage, from the source to the end.
    pub stages: Vec<StageReport>,
}

impl<R> Report<R> {
    /// The same report with another value, and the value that was in it.
    pub fn map<Q>(self, value: impl FnOnce(R) -> Q) -> Report<Q> {
        let Report {
            value: old,
            outcome,
            elapsed,
            items,
            stages,
        } = self;
        Report {
            value: value(old),
            outcome,
            elapsed,
            items,
            stages,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The source came to its end, and so did every item.
    Finished,
    /// The source was stopped by a drain, and every item that was taken came to its end.
    Drained,
    /// It was cancelled.
    Cancelled,
    /// An item, the source, the sink or a stage failed, or the runtime was shut down.
    Failed,
    /// A drain took longer than it was allowed to.
    DeadlinePassed,
    /// Parts of the pipeline waited for each other.
    Stalled,
}

/// Of items of the source. At the end of a run
/// `taken = delivered + failed + filtered + cancelled`; before that the difference is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Given by the source.
    pub taken: u64,
    /// Taken over by the end of the pipeline.
    pub delivered: u64,
    /// Failed in a stage or in the sink.
    pub failed: u64,
    /// Left out by `filter` or `filter_map`.
    pub filtered: u64,
    /// Still inside when the run was stopped.
    pub cancelled: u64,
}

/// What one stage did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageReport {
    /// Its name.
    pub name: String,
    /// Items whose work was begun.
    pub taken: u64,
    /// Results handed on.
    pub given: u64,
    /// Items that failed, panics included.
    pub failed: u64,
    /// Attempts that were made after the first one of their item.
    pub retries: u64,
    /// Items that failed because their time was over: included in `failed`.
    pub timeouts: u64,
    /// Items that had a result although their time was over: a body that does not wait cannot be
    /// interrupted. Noticed as far as the clock is read, which is not for each item.
    pub overruns: u64,
    /// Items left out by the `filter`s and `filter_map`s that run inside it.
    pub filtered: u64,
    /// Items that failed by a panic: included in `failed`.
    pub panics: u64,
    /// Failures that nobody received: no error channel, or it was full, or its receiver was gone.
    pub errors_not_delivered: u64,
    /// Time that items spent in bodies, added up over all workers, waiting and pauses before another
    /// attempt included.
    pub busy: Duration,
    /// Time in which there was work, but no room for results.
    pub blocked: Duration,
    /// Time in which every worker was idle for want of items.
    pub starved: Duration,
    /// Half of the items took at most this long, as in `busy`; to within an eighth.
    pub p50: Duration,
    /// 99 % of the items took at most this long, as in `busy`; to within an eighth.
    pub p99: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Finished => "finished",
            Outcome::Drained => "drained",
            Outcome::Cancelled => "cancelled",
            Outcome::Failed => "failed",
            Outcome::DeadlinePassed => "deadline passed",
            Outcome::Stalled => "stalled",
        })
    }
}

impl<R> fmt::Display for Report<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Some(outcome) => write!(f, "{outcome} after {:.3?}", self.elapsed)?,
            None => write!(f, "running for {:.3?}", self.elapsed)?,
        }
        let Counts {
            taken,
            delivered,
            failed,
            filtered,
            cancelled,
        } = self.items;
        writeln!(
            f,
            ": {taken} taken = {delivered} delivered + {failed} failed + {filtered} filtered + {cancelled} cancelled"
        )?;
        let width = self
            .stages
            .iter()
            .map(|stage| stage.name.chars().count())
            .max()
            .unwrap_or(0)
            .max(5);
        writeln!(
            f,
            "{:width$}  {:>10} {:>10} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "stage",
            "taken",
            "given",
            "failed",
            "panics",
            "timeouts",
            "retries",
            "busy",
            "blocked",
            "starved",
            "p50",
            "p99"
        )?;
        for s in &self.stages {
            writeln!(
                f,
                "{:width$}  {:>10} {:>10} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10} {:>10}",
                s.name,
                s.taken,
                s.given,
                s.failed,
                s.panics,
                s.timeouts,
                s.retries,
                format!("{:.1?}", s.busy),
                format!("{:.1?}", s.blocked),
                format!("{:.1?}", s.starved),
                format!("{:.1?}", s.p50),
                format!("{:.1?}", s.p99),
            )?;
        }
        Ok(())
    }
}
