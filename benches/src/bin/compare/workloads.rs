//! What everyone has to do, and the races in which they do it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rayon::ThreadPoolBuilder;
use tokio::time::sleep;

use super::erased::{Drain, Payload, Work, consume};
use benches::json::{Messages, Parsed};
use benches::measure::Effort;
use benches::measure::race::{Lane, Race, Rounds};
use benches::measure::runtime::{WORKERS, checked, checked_here};
use benches::one_stage::OneStage;
use benches::options::Options;
#[cfg(feature = "peers")]
use benches::peers::threads::pariter;
use benches::peers::threads::{rayon, sequential};
use benches::peers::{Peer, Visitor, visit_all};
use benches::tally::{Collector, Indexed, Tally, Wrong};
use benches::work::{Delays, noop, pending_once, spin};

/// Some work, and all who do it.
#[derive(Debug)]
pub(super) struct Workload {
    /// Its group, its block of the page, its plot.
    pub(super) name: &'static str,
    /// What the figures are.
    pub(super) figure: &'static str,
    kind: Kind,
}

/// What is done. No function: the tests, which want the names alone, are then built without everybody's code.
#[derive(Debug)]
enum Kind {
    NoOp,
    AnyOrder,
    Four,
    Yield,
    /// For so many microseconds.
    Hash(u64),
    Json,
    Sleeps,
    SlowItems,
    SlowSink,
}

/// The rounds, with the contenders' lanes. The first is ours.
#[derive(Debug)]
pub(super) struct Raced {
    pub(super) rounds: Rounds<f64>,
    pub(super) lanes: Vec<Lane>,
}

const FEW: Options = Options::parallelism(16);
const MANY: Options = Options::parallelism(64);

const SLEEPS: usize = 1000;
const RARELY_SLOW: usize = 2000;

/// Results that a slow sink takes.
const SUNK: u64 = 20;
const SUNK_AT_ONCE: Options = Options::parallelism(4);

pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "no-op",
        figure: "time an item",
        kind: Kind::NoOp,
    },
    Workload {
        name: "no-op in any order",
        figure: "time an item",
        kind: Kind::AnyOrder,
    },
    Workload {
        name: "four no-op stages",
        figure: "time an item",
        kind: Kind::Four,
    },
    Workload {
        name: "yield",
        figure: "time an item",
        kind: Kind::Yield,
    },
    Workload {
        name: "5 us of CPU",
        figure: "time an item",
        kind: Kind::Hash(5),
    },
    Workload {
        name: "50 us of CPU",
        figure: "time an item",
        kind: Kind::Hash(50),
    },
    Workload {
        name: "JSON",
        figure: "time a message",
        kind: Kind::Json,
    },
    Workload {
        name: "sleeps",
        figure: "time for all 1,000 items",
        kind: Kind::Sleeps,
    },
    Workload {
        name: "slow items",
        figure: "time for all 2,000 items",
        kind: Kind::SlowItems,
    },
    Workload {
        name: "slow sink",
        figure: "time for all 20 items",
        kind: Kind::SlowSink,
    },
];

impl Workload {
    /// Everyone does it.
    pub(super) fn race(&self, effort: &Effort) -> Result<Raced, Wrong> {
        let mut field = Field::new(Size::Filling(*effort));
        match self.kind {
            Kind::NoOp => {
                field.enter_all(FEW, noop);
                field.enter_threads(|index| index);
            }
            Kind::AnyOrder => field.enter_all(FEW.unordered(), noop),
            Kind::Four => visit_all(&mut Four(&mut field)),
            Kind::Yield => field.enter_all(MANY, pending_once),
            Kind::Hash(micros) => field.enter_computing(move |index| spin(index, micros)),
            Kind::Json => {
                let messages = Messages::write();
                field.enter_computing(move |index| -> Parsed {
                    messages.parse(index).expect("the messages are valid")
                });
            }
            Kind::Sleeps => {
                let options = Options::parallelism(100);
                field = Field::napping(effort, options, Delays::uniform(SLEEPS));
            }
            Kind::SlowItems => {
                field = Field::napping(effort, MANY, Delays::rarely_slow(RARELY_SLOW));
            }
            Kind::SlowSink => {
                field = Field::new(Size::Fixed(SUNK, effort.long_rounds));
                visit_all(&mut Sunk(&mut field));
            }
        }
        field.run()
    }
}

/// How many items there are.
#[derive(Debug, Clone, Copy)]
enum Size {
    /// As many as fill a sample. Figures are by item.
    Filling(Effort),
    /// So many, for so many rounds. Figures are for all of them.
    Fixed(u64, usize),
}

/// A race that fills.
struct Field {
    size: Size,
    race: Race<f64>,
    /// Or what went wrong first.
    lanes: Result<Vec<Lane>, Wrong>,
}

impl Field {
    fn new(size: Size) -> Self {
        Field {
            size,
            race: Race::new(),
            lanes: Ok(Vec::new()),
        }
    }

    fn enter(
        &mut self,
        name: &'static str,
        run: impl Fn(u64) -> Result<Duration, Wrong> + 'static,
    ) {
        let Ok(lanes) = &mut self.lanes else { return };
        let lane = match self.size {
            Size::Filling(effort) => self.race.enter_sized(name, &effort, run),
            Size::Fixed(items, _) => Ok(self.race.enter_fixed(name, items, run)),
        };
        match lane {
            Ok(lane) => lanes.push(lane),
            Err(wrong) => self.lanes = Err(wrong),
        }
    }

    /// Everyone who works on several items at once.
    fn enter_all<F, Fut, T>(&mut self, options: Options, function: F)
    where
        F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Indexed,
    {
        let work = OneStage { options, function };
        visit_all(&mut Each { field: self, work });
    }

    /// Those who can only compute.
    fn enter_threads<F, T>(&mut self, function: F)
    where
        F: Fn(u64) -> T + Clone + Send + Sync + 'static,
        T: Indexed,
    {
        let alone = function.clone();
        self.enter("sequential loop", move |items| {
            checked_here(items, || sequential(items, &alone, Tally::default()))
        });
        let pool = ThreadPoolBuilder::new().num_threads(WORKERS).build();
        let pool = pool.expect("the system gives threads");
        let shared = function.clone();
        self.enter("rayon", move |items| {
            checked_here(items, || rayon(&pool, items, &shared, Tally::default()))
        });
        #[cfg(feature = "peers")]
        self.enter("pariter", move |items| {
            let function = function.clone();
            checked_here(items, || {
                pariter(WORKERS, items, function, Tally::default())
            })
        });
    }

    /// The same work for those who await it and for those who call it.
    fn enter_computing<F, T>(&mut self, function: F)
    where
        F: Fn(u64) -> T + Clone + Send + Sync + 'static,
        T: Indexed,
    {
        let awaited = Arc::new(function.clone());
        self.enter_all(FEW, move |index| {
            let function = awaited.clone();
            async move { function(index) }
        });
        self.enter_threads(function);
    }

    fn napping(effort: &Effort, options: Options, delays: Delays) -> Self {
        let items = delays.as_slice().len() as u64;
        let mut field = Field::new(Size::Fixed(items, effort.long_rounds));
        field.enter_all(options, move |index| delays.nap(index));
        field
    }

    fn run(self) -> Result<Raced, Wrong> {
        let rounds = match self.size {
            Size::Filling(effort) => effort.rounds,
            Size::Fixed(_, rounds) => rounds,
        };
        let lanes = self.lanes?;
        let rounds = self.race.run(rounds)?;
        Ok(Raced { rounds, lanes })
    }
}

/// One stage of each.
struct Each<'f, F> {
    field: &'f mut Field,
    work: OneStage<F>,
}

impl<F, Fut, T> Visitor for Each<'_, F>
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Indexed,
{
    fn visit<P: Peer>(&mut self) {
        self.field.enter(P::NAME, self.work.by::<P>());
    }
}

/// Four stages of each, with nothing to do.
struct Four<'f>(&'f mut Field);

impl Visitor for Four<'_> {
    fn visit<P: Peer>(&mut self) {
        let work = OneStage {
            options: FEW,
            function: noop,
        };
        self.0.enter(P::NAME, work.four_by::<P>());
    }
}

/// A stage of each, before a sink that takes 20 ms with each result. An item is ten times pending.
struct Sunk<'f>(&'f mut Field);

impl Visitor for Sunk<'_> {
    fn visit<P: Peer>(&mut self) {
        self.0.enter(P::NAME, |items| {
            let taken = Arc::new(Mutex::new(Tally::default()));
            let tally = taken.clone();
            let work = Work::new(async |index| {
                for _ in 0..10 {
                    sleep(Duration::from_millis(1)).await;
                }
                Payload::of(index)
            });
            let sink = Drain::new(move |payload: Payload| {
                let tally = tally.clone();
                async move {
                    sleep(Duration::from_millis(20)).await;
                    lock(&tally).take(payload.index);
                }
            });
            checked(items, true, async move {
                consume::<P>(items, SUNK_AT_ONCE, work, sink).await?;
                let tally = *lock(&taken);
                Ok(tally)
            })
        });
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_the_first_of_all() {
        let mut field = Field::new(Size::Fixed(10, 1));
        field.enter_all(FEW, noop);
        field.enter_threads(|index| index);
        let raced = field.run().expect("nothing is wrong");
        assert_eq!(raced.lanes.first().map(|lane| lane.name()), Some("ours"));
    }

    #[test]
    fn names_of_workloads_differ() {
        let mut names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), WORKLOADS.len());
    }
}
