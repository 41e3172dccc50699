//! What a test sees of one run from outside, and the checks that follow from it: K1, K4 and K6.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use pipeline_core::config::Order;
use pipeline_core::error::{BuildError, Cause, RunError};
use pipeline_core::report::{Counts, Outcome, Report};
use pipeline_core::run::{Control, Job};

use crate::gauge::Gauge;
use crate::live::Live;
use crate::tally::{Item, Tally};
use crate::ticket::Kind;

/// One run under test. Clones are the same run.
#[derive(Debug, Clone)]
pub struct Flow(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tally: Tally,
    order: Order,
    /// One thread and virtual time: what runs after a drop of the owner can be told exactly.
    paused: bool,
    pulled: AtomicU64,
    filtered: AtomicU64,
    cancelled: AtomicU64,
    copies: AtomicU64,
    most_inside: AtomicU64,
    bound: AtomicU64,
    counts_source: AtomicBool,
    counts_end: AtomicBool,
    counts_filters: AtomicBool,
    renumbers: AtomicBool,
    cuts_short: AtomicBool,
    silent: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// Values have to be closed: the run was started, and still has its owner and its runtime.
    closes: bool,
    out: Vec<u64>,
    failed: Vec<u64>,
    closed: Vec<Kind>,
    gauges: Vec<Gauge>,
    control: Option<Control>,
    blame: Vec<String>,
}

/// How far the run is, for the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Described,
    Started,
    /// Its owner was dropped, or its runtime.
    LetGo,
    Ended,
}

impl Flow {
    /// A run that is yet to be described.
    pub fn new(tally: &Tally, order: Order, paused: bool) -> Self {
        Flow(Arc::new(Inner {
            tally: tally.clone(),
            order,
            paused,
            pulled: AtomicU64::new(0),
            filtered: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            copies: AtomicU64::new(0),
            most_inside: AtomicU64::new(0),
            bound: AtomicU64::new(u64::MAX),
            counts_source: AtomicBool::new(false),
            counts_end: AtomicBool::new(false),
            counts_filters: AtomicBool::new(false),
            renumbers: AtomicBool::new(false),
            cuts_short: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            state: Mutex::default(),
        }))
    }

    fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.0.state.lock().expect("no panic under this lock"))
    }

    /// The counts of the scenario.
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    // -- what flows --

    /// An item that the test hands over by itself, into a channel.
    pub fn item(&self, index: u64) -> Item {
        Item::new(&self.0.tally, index)
    }

    /// An item that the library asked a source for.
    pub fn pull(&self, index: u64) -> Item {
        self.called("source");
        self.0.counts_source.store(true, Ordering::SeqCst);
        let pulled = self.0.pulled.fetch_add(1, Ordering::SeqCst) + 1;
        let (handed, failed) =
            self.state(|state| (state.out.len() as u64, state.failed.len() as u64));
        let gone = handed
            + failed
            + self.0.filtered.load(Ordering::SeqCst)
            + self.0.cancelled.load(Ordering::SeqCst);
        self.0
            .most_inside
            .fetch_max(pulled.saturating_sub(gone), Ordering::SeqCst);
        self.item(index)
    }

    /// The items of `range`, each made when it is asked for.
    pub fn items(&self, range: Range<u64>) -> impl Iterator<Item = Item> + Send + 'static {
        let flow = self.clone();
        flow.0.counts_source.store(true, Ordering::SeqCst);
        range.map(move |index| flow.pull(index))
    }

    /// The consumer has received an item.
    pub fn hand(&self, item: Item) {
        self.called("end");
        self.hears_end();
        let index = item.index;
        drop(item);
        self.state(|state| state.out.push(index));
    }

    /// An end that receives: for `for_each`.
    pub fn receive(&self) -> impl FnMut(Item) + Send + 'static {
        let flow = self.clone();
        flow.hears_end();
        move |item| flow.hand(item)
    }

    /// What the consumer receives goes through [`Flow::hand`].
    pub fn hears_end(&self) {
        self.0.counts_end.store(true, Ordering::SeqCst);
    }

    /// Items are numbered anew on their way: the report counts more of them than the test sees, and what an adaptor
    /// holds or leaves out is not the plan's.
    pub fn renumbers(&self) {
        self.0.renumbers.store(true, Ordering::SeqCst);
    }

    /// A filter that is counted.
    pub fn keep(
        &self,
        keep: impl Fn(u64) -> bool + Send + Sync + 'static,
    ) -> impl Fn(&Item) -> bool + Send + Sync + 'static {
        let flow = self.clone();
        flow.0.counts_filters.store(true, Ordering::SeqCst);
        move |item| {
            flow.called("filter");
            let keeps = keep(item.index);
            if !keeps {
                flow.0.filtered.fetch_add(1, Ordering::SeqCst);
            }
            keeps
        }
    }

    /// A step of this run may have enough before its source ends: what was not used counts as cancelled, though the run
    /// finishes.
    pub fn cuts_short(&self) {
        self.0.cuts_short.store(true, Ordering::SeqCst);
    }

    /// A body has failed on the item `index`, or panicked.
    pub fn failed(&self, index: u64) {
        self.state(|state| state.failed.push(index));
    }

    /// The test has taken so many items out of a run that goes on.
    pub fn cancelled(&self, count: u64) {
        self.0.cancelled.fetch_add(count, Ordering::SeqCst);
    }

    /// An item was copied.
    pub fn copied(&self) {
        self.0.copies.fetch_add(1, Ordering::SeqCst);
    }

    /// A gauge whose limit is checked at the end.
    pub fn gauge(&self, limit: usize) -> Gauge {
        let gauge = Gauge::new(limit);
        self.state(|state| state.gauges.push(gauge.clone()));
        gauge
    }

    // -- what was seen --

    /// How many items the source has given.
    pub fn pulled(&self) -> u64 {
        self.0.pulled.load(Ordering::SeqCst)
    }

    /// How often items were copied.
    pub fn copies(&self) -> u64 {
        self.0.copies.load(Ordering::SeqCst)
    }

    /// The items that the consumer has, in order of receipt.
    pub fn out(&self) -> Vec<u64> {
        self.state(|state| state.out.clone())
    }

    /// The items on which a body has failed, in order of failure.
    pub fn failures(&self) -> Vec<u64> {
        self.state(|state| state.failed.clone())
    }

    /// The consumer has exactly these, in this order if the scenario is ordered.
    #[track_caller]
    pub fn expect(&self, expected: impl IntoIterator<Item = u64>) {
        let mut out = self.out();
        if self.0.order != Order::Ordered {
            out.sort_unstable();
        }
        let expected: Vec<u64> = expected.into_iter().collect();
        if out != expected {
            let at = out.iter().zip(&expected).take_while(|(a, b)| a == b);
            let at = at.count();
            let near = |list: &[u64]| list.iter().skip(at).take(8).copied().collect::<Vec<_>>();
            panic!(
                "received {} items, expected {}; from place {at} on: {:?}, expected {:?}",
                out.len(),
                expected.len(),
                near(&out),
                near(&expected)
            );
        }
    }

    /// How many values of this kind were closed.
    pub fn closes_of(&self, kind: Kind) -> usize {
        self.state(|state| {
            state
                .closed
                .iter()
                .filter(|closed| **closed == kind)
                .count()
        })
    }

    // -- running --

    /// Starts the run and watches it.
    ///
    /// # Errors
    ///
    /// Those of [`Job::start`].
    pub fn start<R: Send + 'static>(&self, job: Job<R>) -> Result<Live<R>, BuildError> {
        let bound = job.plan().max_inside as u64;
        self.0.bound.store(bound, Ordering::SeqCst);
        let running = job.start()?;
        self.started(running.control());
        Ok(Live::new(running, self.clone()))
    }

    /// It was started by somebody else, who tells [`Flow::over`] or [`Flow::let_go`] of its end.
    pub fn started(&self, control: Control) {
        self.state(|state| {
            state.stage = Stage::Started;
            state.closes = true;
            state.control = Some(control);
        });
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// Those of [`Job::run`].
    pub async fn run<R: Send + 'static>(&self, job: Job<R>) -> Result<Report<R>, RunError> {
        self.start(job)?.wait().await
    }

    /// [`Flow::run`] of a job whose bodies are not the fixture's: it is told which items fail.
    ///
    /// # Errors
    ///
    /// Those of [`Job::run`].
    pub async fn run_failing<R: Send + 'static>(
        &self,
        job: Job<R>,
        fail: impl IntoIterator<Item = u64>,
    ) -> Result<Report<R>, RunError> {
        fail.into_iter().for_each(|index| self.failed(index));
        self.run(job).await
    }

    /// What the run says of itself at this moment.
    ///
    /// # Panics
    ///
    /// If it was never started.
    pub fn metrics(&self) -> Report {
        let control = self.state(|state| state.control.clone());
        control.expect("the run was started").metrics()
    }

    // -- what the fixture's parts tell --

    /// Something is wrong. The scenario will fail with it.
    pub fn blame(&self, what: impl Into<String>) {
        self.state(|state| state.blame.push(what.into()));
    }

    /// User code is called: after the end that is a fault (K6).
    pub fn called(&self, what: &str) {
        if self.0.silent.load(Ordering::SeqCst) {
            self.blame(format!("K6: {what} was called after the end"));
        }
    }

    /// A value was closed.
    pub fn closed(&self, kind: Kind) {
        self.state(|state| state.closed.push(kind));
        if kind != Kind::State && self.closes_of(kind) > 1 {
            self.blame(format!("the {kind:?} was closed twice"));
        }
    }

    /// Whether values have to be closed.
    pub fn closes(&self) -> bool {
        self.state(|state| state.closes)
    }

    /// The owner is dropped at this moment, or the runtime.
    pub fn let_go(&self) {
        self.state(|state| {
            if state.stage == Stage::Started {
                state.stage = Stage::LetGo;
                state.closes = false;
            }
        });
    }

    /// The owner has been dropped. On one thread nothing may run from here on; with more, a body may be in the middle of a poll.
    pub fn gone(&self) {
        if self.0.paused {
            self.0.silent.store(true, Ordering::SeqCst);
        }
    }

    /// The call that promises the end has returned.
    pub fn ended<R>(&self, result: Result<&Report<R>, &RunError>) {
        let (counts, outcome, expected) = match result {
            Ok(report) => {
                let fine = [Outcome::Finished, Outcome::Drained];
                (report.items, report.outcome, fine.to_vec())
            }
            Err(error) => {
                let outcome = match error.cause {
                    Cause::Cancelled => vec![Outcome::Cancelled],
                    Cause::DeadlinePassed(_) => vec![Outcome::DeadlinePassed],
                    Cause::Stalled(..) => vec![Outcome::Stalled],
                    Cause::RuntimeGone => vec![Outcome::Cancelled, Outcome::Failed],
                    _ => vec![Outcome::Failed],
                };
                (error.report.items, error.report.outcome, outcome)
            }
        };
        if !outcome.is_some_and(|outcome| expected.contains(&outcome)) {
            self.blame(format!(
                "the outcome is {outcome:?} where one of {expected:?} was due"
            ));
        }
        self.over();
        let all = matches!(outcome, Some(Outcome::Finished | Outcome::Drained));
        self.conservation(&counts, all);
        let now = self.metrics().items;
        if now != counts {
            self.blame(format!(
                "K1: `wait` gave {counts:?}, `metrics` give {now:?}"
            ));
        }
    }

    /// The end has been promised in another way: a stream gave its last.
    pub fn over(&self) {
        self.0.silent.store(true, Ordering::SeqCst);
        let gauges = self.state(|state| {
            state.stage = Stage::Ended;
            state.gauges.clone()
        });
        let inside: usize = gauges.iter().map(Gauge::now).sum();
        if inside > 0 {
            self.blame(format!("K6: {inside} bodies are alive after the end"));
        }
    }

    /// K1. `all`: the run ended by itself or was drained, so that each item had its turn.
    fn conservation(&self, counts: &Counts, all: bool) {
        let ended = counts.delivered + counts.failed + counts.filtered + counts.cancelled;
        let mut wrong = Vec::new();
        if counts.taken != ended {
            wrong.push(format!("{} taken, {ended} ended", counts.taken));
        }
        let renumbers = self.0.renumbers.load(Ordering::SeqCst);
        let mut compare = |what: &str, seen: u64, said: u64| {
            if seen != said && !renumbers {
                wrong.push(format!(
                    "{what}: the test saw {seen}, the report says {said}"
                ));
            }
        };
        let (handed, failed) =
            self.state(|state| (state.out.len() as u64, state.failed.len() as u64));
        if self.0.counts_source.load(Ordering::SeqCst) {
            compare("pulled", self.pulled(), counts.taken);
        }
        if self.0.counts_end.load(Ordering::SeqCst) {
            compare("delivered", handed, counts.delivered);
        }
        if all {
            compare("failed", failed, counts.failed);
            if self.0.counts_filters.load(Ordering::SeqCst) {
                let filtered = self.0.filtered.load(Ordering::SeqCst);
                compare("filtered", filtered, counts.filtered);
            }
            if !self.0.cuts_short.load(Ordering::SeqCst) {
                let cancelled = self.0.cancelled.load(Ordering::SeqCst);
                compare("cancelled", cancelled, counts.cancelled);
            }
        }
        for wrong in wrong {
            self.blame(format!("K1: {wrong} ({counts:?})"));
        }
    }

    /// What is wrong with the run, once all is over.
    pub fn verdict(&self) -> Vec<String> {
        let (stage, gauges, fates) = self.state(|state| {
            let fates = [&state.out[..], &state.failed[..]].concat();
            (state.stage, state.gauges.clone(), fates)
        });
        match stage {
            Stage::Started => self.blame("the test did not wait for the end of its run"),
            Stage::LetGo => self.conservation(&self.metrics().items, false),
            Stage::Described | Stage::Ended => {}
        }
        let twice = repeated(fates);
        if twice > 0 {
            self.blame(format!("K1: {twice} items have more than one fate"));
        }
        let most = self.0.most_inside.load(Ordering::SeqCst);
        let bound = self.0.bound.load(Ordering::SeqCst);
        let comparable =
            self.0.counts_end.load(Ordering::SeqCst) && !self.0.renumbers.load(Ordering::SeqCst);
        if comparable && most > bound {
            self.blame(format!(
                "K4: {most} items inside where the plan says {bound}"
            ));
        }
        let mut blame = self.state(|state| state.blame.clone());
        blame.extend(gauges.iter().filter_map(Gauge::verdict));
        blame.truncate(20);
        blame
    }

    /// All that is known of the run, for the message about a hang.
    pub fn describe(&self) -> String {
        let (stage, gauges, out, failed, control) = self.state(|state| {
            let gauges: Vec<_> = state.gauges.iter().map(Gauge::now).collect();
            let control = state.control.clone();
            (
                state.stage,
                gauges,
                state.out.len(),
                state.failed.len(),
                control,
            )
        });
        let report = control.map(|control| control.metrics());
        format!(
            "run {stage:?}: {} pulled, {out} handed out, {failed} failed, {gauges:?} in bodies\n{report:#?}",
            self.pulled()
        )
    }
}

/// How many of the list are there already.
fn repeated(mut list: Vec<u64>) -> usize {
    let total = list.len();
    list.sort_unstable();
    list.dedup();
    total - list.len()
}
