//! How late deliveries were: the end makes this of all of them.

use std::{fmt, time::Duration};

use crate::message::Message;

/// Of a bucket.
const GRAIN: Duration = Duration::from_micros(100);
/// Ten seconds; the last one is for all that is beyond.
const BUCKETS: usize = 100_000;

/// Counts by tenths of a millisecond, in the same memory for any number.
#[derive(Debug)]
pub(crate) struct Lateness {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Lateness {
    pub(crate) fn new() -> Self {
        Lateness {
            buckets: vec![0; BUCKETS],
            count: 0,
            max: Duration::ZERO,
        }
    }

    /// With those of some more messages.
    pub(crate) fn and(mut self, messages: &[Message]) -> Self {
        messages.iter().for_each(|message| self.add(message.late));
        self
    }

    fn add(&mut self, late: Duration) {
        let bucket = late.as_nanos() / GRAIN.as_nanos();
        let bucket = usize::try_from(bucket)
            .unwrap_or(usize::MAX)
            .min(BUCKETS - 1);
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(late);
    }

    /// So many percent were at most so late.
    fn percentile(&self, percent: u64) -> Duration {
        let enough = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in (1..).zip(&self.buckets) {
            seen += count;
            if seen >= enough {
                return (GRAIN * bucket).min(self.max);
            }
        }
        self.max
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count;
        if count == 0 {
            return f.write_str("nothing delivered");
        }
        write!(
            f,
            "{count} delivered, late by {:.1?} (p50), {:.1?} (p99), {:.1?} (max)",
            self.percentile(50),
            self.percentile(99),
            self.max
        )
    }
}
