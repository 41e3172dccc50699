//! What is said of the runs: how long they took, beside how long they have to take.

use std::{fmt, time::Duration};

use crate::{
    jobs::Done,
    options::Options,
    schedule::{fifo, length, lower_bound},
};

/// Tokio's timers end with the millisecond after the one that was asked for.
const GRAIN: Duration = Duration::from_millis(1);

/// The figures of one or more runs with the same options.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) options: Options,
    /// The median of the runs, and the shortest and the longest one.
    pub(crate) time: Duration,
    fastest: Duration,
    slowest: Duration,
    /// Computed.
    pub(crate) fifo: Duration,
    grained: Duration,
    windowed: Duration,
    bound: Duration,
    sum: Duration,
    /// Of the last run.
    pub(crate) lanes: usize,
    pub(crate) most_waiting: usize,
    mean_wait: Duration,
}

impl Summary {
    /// Sorts the times.
    pub(crate) fn new(
        options: &Options,
        jobs: &[Duration],
        times: &mut [Duration],
        done: &[Done],
    ) -> Self {
        times.sort_unstable();
        let window = (!options.unordered).then_some(options.window);
        let waits = done.iter().map(|done| done.slot.left - done.slot.end);
        Summary {
            options: options.clone(),
            time: times[times.len() / 2],
            fastest: times[0],
            slowest: times[times.len() - 1],
            fifo: jobs_end(jobs, options.workers, None),
            grained: jobs_end(&grained(jobs), options.workers, None),
            windowed: jobs_end(jobs, options.workers, window),
            bound: lower_bound(jobs, options.workers),
            sum: jobs.iter().sum(),
            lanes: done.iter().map(|done| done.lane + 1).max().unwrap_or(0),
            most_waiting: waiting(done).into_iter().map(|(_, n)| n).max().unwrap_or(0),
            mean_wait: waits.sum::<Duration>().div_f64(done.len().max(1) as f64),
        }
    }
}

fn jobs_end(jobs: &[Duration], workers: usize, window: Option<usize>) -> Duration {
    length(&fifo(jobs, workers, window))
}

fn grained(jobs: &[Duration]) -> Vec<Duration> {
    let sleeps = |job: &Duration| *job + if job.is_zero() { *job } else { GRAIN };
    jobs.iter().map(sleeps).collect()
}

/// How many results wait for their turn, from each moment on at which that changes.
pub(crate) fn waiting(done: &[Done]) -> Vec<(Duration, usize)> {
    let waits = done.iter().map(|done| (done.slot.end, done.slot.left));
    let mut changes: Vec<_> = waits
        .flat_map(|(end, left)| [(end, 1), (left, -1)])
        .collect();
    changes.sort_unstable();
    let mut steps: Vec<(Duration, usize)> = vec![(Duration::ZERO, 0)];
    let mut now = 0_isize;
    for (at, change) in changes {
        now += change;
        // what leaves at the moment at which it is done has left before it is counted
        let count = usize::try_from(now).unwrap_or(0);
        match steps.last_mut() {
            Some(last) if last.0 == at => last.1 = count,
            _ => steps.push((at, count)),
        }
    }
    steps
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        writeln!(f, "{:22}  {:>12}  {:>10}", "", "time", "FIFO = 1")?;
        let mut row = |what: &str, time: Duration, note: &str| {
            let ratio = if self.fifo.is_zero() {
                "-".to_owned()
            } else {
                format!("{:.3}", time.as_secs_f64() / self.fifo.as_secs_f64())
            };
            let line = format!("{what:22}  {:>12}  {ratio:>10}  {note}", millis(time));
            writeln!(f, "{}", line.trim_end())
        };
        if self.options.runs == 1 {
            row("this run", self.time, "")?;
        } else {
            let note = format!("{} to {}", millis(self.fastest), millis(self.slowest));
            let what = format!("median of {} runs", self.options.runs);
            row(&what, self.time, &note)?;
        }
        let fifo = "each job as soon as a worker is free";
        row("FIFO schedule", self.fifo, fifo)?;
        let grain = "each one up to a millisecond longer";
        row("  with tokio's timers", self.grained, grain)?;
        if self.windowed != self.fifo {
            let inside = "and only if there is room in the window";
            row("  with this window", self.windowed, inside)?;
        }
        let bound = "all workers busy all the time";
        row("lower bound", self.bound, bound)?;
        row("one worker", self.sum, "")?;

        writeln!(f)?;
        let (lanes, most) = (self.lanes, self.most_waiting);
        writeln!(f, "{:22}  {lanes:>12}", "workers at work")?;
        if self.options.unordered {
            return Ok(());
        }
        writeln!(f, "{:22}  {most:>12}", "results that waited")?;
        let wait = millis(self.mean_wait);
        writeln!(f, "{:22}  {wait:>12}", "mean wait")
    }
}

/// In milliseconds.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Slot;

    #[test]
    fn results_wait_from_their_end_until_they_leave() {
        let ms = Duration::from_millis;
        let done = |job, end, left| Done {
            job,
            lane: 0,
            slot: Slot {
                begin: ms(0),
                end: ms(end),
                left: ms(left),
            },
        };
        let steps = waiting(&[done(0, 30, 30), done(1, 10, 30), done(2, 20, 30)]);
        assert_eq!(steps, [(ms(0), 0), (ms(10), 1), (ms(20), 2), (ms(30), 0)]);
    }
}
