//! What a stage counts: by each worker for itself, added up under a lock that it takes anyway.

use std::time::Duration;

use super::{histogram::Histogram, pace::Timing};
use crate::report::StageReport;

/// What a worker has counted since it last added it up.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) taken: u64,
    pub(super) given: u64,
    pub(super) failed: u64,
    pub(super) filtered: u64,
    pub(super) panics: u64,
    pub(super) retries: u64,
    pub(super) timeouts: u64,
    pub(super) overruns: u64,
    pub(super) undelivered: u64,
    /// Source items to be settled: those behind `failed` and `filtered` that nothing else stands for.
    pub(super) failed_items: u64,
    pub(super) filtered_items: u64,
}

/// A stage's sums.
pub(super) struct Totals {
    sums: Tally,
    busy_ns: u64,
    times: Histogram,
    blocked: Stopwatch,
    starved: Stopwatch,
}

impl Totals {
    pub(super) fn new(now: u64) -> Self {
        let mut starved = Stopwatch::default();
        starved.start(now);
        Totals {
            sums: Tally::default(),
            busy_ns: 0,
            times: Histogram::new(),
            blocked: Stopwatch::default(),
            starved,
        }
    }

    #[inline]
    pub(super) fn add(&mut self, tally: &mut Tally, timing: &Timing) {
        let Tally {
            taken,
            given,
            failed,
            filtered,
            panics,
            retries,
            timeouts,
            overruns,
            undelivered,
            failed_items,
            filtered_items,
        } = std::mem::take(tally);
        self.sums.taken += taken;
        self.sums.given += given;
        self.sums.failed += failed;
        self.sums.filtered += filtered;
        self.sums.panics += panics;
        self.sums.retries += retries;
        self.sums.timeouts += timeouts;
        self.sums.overruns += overruns;
        self.sums.undelivered += undelivered;
        self.sums.failed_items += failed_items;
        self.sums.filtered_items += filtered_items;
        if timing.ready > 0 {
            self.busy_ns += timing.ready_ns;
            self.times
                .add(timing.ready_ns / timing.ready as u64, timing.ready as u64);
        }
        if let Some(ns) = timing.pended_ns {
            self.busy_ns += ns;
            self.times.add(ns, 1);
        }
    }

    pub(super) fn blocked(&mut self) -> &mut Stopwatch {
        &mut self.blocked
    }

    pub(super) fn starved(&mut self) -> &mut Stopwatch {
        &mut self.starved
    }

    pub(super) fn report(&self, name: &str, now: u64) -> StageReport {
        let Tally {
            taken,
            given,
            failed,
            filtered,
            panics,
            retries,
            timeouts,
            overruns,
            undelivered,
            ..
        } = self.sums;
        StageReport {
            name: name.to_owned(),
            taken,
            given,
            failed,
            filtered,
            panics,
            retries,
            timeouts,
            overruns,
            errors_not_delivered: undelivered,
            busy: Duration::from_nanos(self.busy_ns),
            blocked: self.blocked.total(now),
            starved: self.starved.total(now),
            p50: self.times.quantile(0.5),
            p99: self.times.quantile(0.99),
        }
    }
}

/// Adds up the time between starts and stops.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    total_ns: u64,
    since: Option<u64>,
}

impl Stopwatch {
    pub(super) fn start(&mut self, now: u64) {
        self.since.get_or_insert(now);
    }

    pub(super) fn stop(&mut self, now: u64) {
        if let Some(since) = self.since.take() {
            self.total_ns += now.saturating_sub(since);
        }
    }

    fn total(&self, now: u64) -> Duration {
        let running = self.since.map_or(0, |since| now.saturating_sub(since));
        Duration::from_nanos(self.total_ns + running)
    }
}
