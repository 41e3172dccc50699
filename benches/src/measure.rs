//! How things are measured: in interleaved rounds, on a fresh runtime, with an eye on the machine.

pub mod alone;
pub mod machine;
pub mod race;
pub mod runtime;
pub mod spread;

use std::time::Duration;

/// How much time a report may take.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds of work whose size can be chosen.
    pub rounds: usize,
    /// How long one sample of such work takes.
    pub sample: Duration,
    /// Rounds of work that takes its time.
    pub long_rounds: usize,
    /// How long items are fed at a given pace.
    pub paced: Duration,
}

impl Effort {
    /// About a minute in all.
    pub const QUICK: Self = Effort {
        rounds: 7,
        sample: Duration::from_millis(60),
        long_rounds: 3,
        paced: Duration::from_millis(500),
    };

    /// About six minutes in all.
    pub const FULL: Self = Effort {
        rounds: 21,
        sample: Duration::from_millis(200),
        long_rounds: 9,
        paced: Duration::from_secs(2),
    };
}
