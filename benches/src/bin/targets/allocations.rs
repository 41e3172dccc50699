//! How often an item makes the process allocate, once a run is under way.

use std::time::Duration;

use pipeline_core::prelude::*;

use benches::alloc::{self, Recording};
use benches::measure::Effort;
use benches::measure::race::Race;
use benches::measure::runtime;
use benches::options::Options;
use benches::ours;
use benches::peers::Peer;
use benches::peers::idioms::{Buffered, SpawnBuffered};
use benches::table::{Goal, Line, Value, short};
use benches::tally::{Collector, Tally, Wrong};
use benches::work::{Delays, noop, pending_once};

const ITEMS: u64 = 400_000;
const SLEEPING_ITEMS: u64 = 20_000;
const ROUNDS: usize = 3;

/// Reads the counter at a quarter and at three quarters of the items: start and end do not count.
struct Steady {
    tally: Tally,
    taken: u64,
    items: u64,
    at_quarter: u64,
    at_three_quarters: u64,
}

impl Steady {
    fn new(items: u64) -> Self {
        Steady {
            tally: Tally::default(),
            taken: 0,
            items,
            at_quarter: 0,
            at_three_quarters: 0,
        }
    }

    fn per_item(&self) -> Result<f64, Wrong> {
        self.tally.check(self.items, true)?;
        Ok((self.at_three_quarters - self.at_quarter) as f64 / (self.items / 2) as f64)
    }
}

impl Collector<u64> for Steady {
    fn take(&mut self, item: u64) {
        self.tally.take(item);
        self.taken += 1;
        if self.taken == self.items / 4 {
            self.at_quarter = alloc::count();
        }
        if self.taken == self.items / 4 * 3 {
            self.at_three_quarters = alloc::count();
        }
    }
}

fn counted(
    run: impl Future<Output = Result<Steady, Wrong>> + Send + 'static,
) -> Result<f64, Wrong> {
    let Some(_recording) = Recording::start() else {
        return Err(Wrong("this program does not count allocations".to_owned()));
    };
    runtime::run(run)??.per_item()
}

/// Items that are ready at once, pending once, asleep for a while.
pub(super) fn measure(_effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let ready = Options::parallelism(16);
    let pending = Options::parallelism(64);
    let naps = Delays::constant(Duration::from_millis(2), SLEEPING_ITEMS as usize);

    let mut race = Race::new();
    let ours_ready = race.enter("ours, ready", move || {
        counted(async move {
            ours::then(
                Pipeline::from_iter(0..ITEMS),
                ready,
                noop,
                Steady::new(ITEMS),
            )
            .await
        })
    });
    let ours_pending = race.enter("ours, pending", move || {
        counted(async move {
            ours::then(
                Pipeline::from_iter(0..ITEMS),
                pending,
                pending_once,
                Steady::new(ITEMS),
            )
            .await
        })
    });
    let ours_asleep = race.enter("ours, asleep", move || {
        let naps = naps.clone();
        counted(async move {
            let nap = move |index| naps.nap(index);
            ours::then(
                Pipeline::from_iter(0..SLEEPING_ITEMS),
                pending,
                nap,
                Steady::new(SLEEPING_ITEMS),
            )
            .await
        })
    });
    let buffered = race.enter("futures buffered", move || {
        counted(async move { Buffered::run(0..ITEMS, ready, noop, Steady::new(ITEMS)).await })
    });
    let spawned = race.enter("spawn + buffered", move || {
        counted(async move {
            SpawnBuffered::run(0..ITEMS, pending, pending_once, Steady::new(ITEMS)).await
        })
    });
    let rounds = race.run(ROUNDS)?;

    let line = |name: &str, lane, (peer, peers)| Line {
        name: format!("allocations an item, {name}"),
        ours: short(rounds.median(|round| round[lane])),
        peer: format!("{peer} {}", short(rounds.median(|round| round[peers]))),
        value: Value::Alone(rounds.spread(|round| round[lane])),
        goal: Goal::AtMost(0.001),
        calmness: rounds.calmness(),
    };
    Ok(vec![
        line("ready, P 16", ours_ready, ("futures buffered", buffered)),
        line(
            "yield_now, P 64",
            ours_pending,
            ("spawn + buffered", spawned),
        ),
        line(
            "sleep of 2 ms, P 64",
            ours_asleep,
            ("spawn + buffered", spawned),
        ),
    ])
}
