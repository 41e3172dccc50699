//! Runs a scenario on each runtime and in each order that it is for, under a watchdog, and makes the standing checks.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pipeline_core::config::Order;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::flow::Flow;
use crate::tally::Tally;
use crate::time::ms;

/// Where a scenario runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// One thread, and a clock that jumps to the next timer when nothing else can run.
    Paused,
    /// So many worker threads, and real time.
    Threads(usize),
}

/// For scenarios that speak of times.
pub const PAUSED: &[Machine] = &[Machine::Paused];
/// For scenarios that need threads or real time.
pub const THREADS: &[Machine] = &[
    Machine::Threads(1),
    Machine::Threads(2),
    Machine::Threads(8),
];
/// For all others.
pub const ALL: &[Machine] = &[
    Machine::Paused,
    Machine::Threads(1),
    Machine::Threads(2),
    Machine::Threads(8),
];

impl Machine {
    /// A runtime of this kind.
    ///
    /// # Panics
    ///
    /// If the system has no thread left.
    pub fn runtime(self) -> Runtime {
        let built = match self {
            Machine::Paused => Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build(),
            Machine::Threads(n) => Builder::new_multi_thread()
                .worker_threads(n)
                .enable_all()
                .build(),
        };
        built.expect("a runtime")
    }
}

/// A scenario: on the paused clock and ordered, unless said otherwise.
#[derive(Debug, Clone)]
#[must_use = "a scenario does nothing until `run`"]
pub struct Scenario {
    name: String,
    machines: Vec<Machine>,
    orders: Vec<Order>,
    limit: Duration,
}

/// A scenario with a name for its messages.
pub fn scenario(name: impl Into<String>) -> Scenario {
    Scenario {
        name: name.into(),
        machines: PAUSED.to_vec(),
        orders: vec![Order::Ordered],
        limit: ms(60_000),
    }
}

impl Scenario {
    /// Sets where it runs.
    pub fn on(mut self, machines: &[Machine]) -> Self {
        self.machines = machines.to_vec();
        self
    }

    /// Runs it ordered and unordered.
    pub fn in_both_orders(mut self) -> Self {
        self.orders = vec![Order::Ordered, Order::Unordered];
        self
    }

    /// Sets how long it may take in real time. Without it a minute: much more than any takes on a slow machine, as it is
    /// for what hangs.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it everywhere.
    ///
    /// # Panics
    ///
    /// If the story does, or if a standing check fails.
    #[track_caller]
    pub fn run<F>(self, story: F)
    where
        F: AsyncFn(World) + Send + Sync + 'static,
    {
        if let Err(wrong) = self.attempt(story) {
            panic!("{wrong}");
        }
    }

    /// The same, for who goes on when something is wrong.
    ///
    /// # Errors
    ///
    /// What a standing check found.
    ///
    /// # Panics
    ///
    /// If the story does.
    pub fn attempt<F>(self, story: F) -> Result<(), String>
    where
        F: AsyncFn(World) + Send + Sync + 'static,
    {
        let story = Arc::new(story);
        for &machine in &self.machines {
            for &order in &self.orders {
                let world = World::new(&self.name, machine, order);
                let limit = self.limit * patience();
                watched(&world, &story, limit)?;
            }
        }
        Ok(())
    }
}

/// How many times longer than usual things may take: `PATIENCE=20` under miri and sanitizers.
fn patience() -> u32 {
    let times = std::env::var("PATIENCE").ok();
    times.map_or(1, |times| times.parse().expect("PATIENCE is a number"))
}

/// How often the workers of this runtime have gone to sleep and woken up, if all of them are asleep.
fn asleep() -> Option<u64> {
    let metrics = Handle::current().metrics();
    let counts = (0..metrics.num_workers()).map(|worker| metrics.worker_park_unpark_count(worker));
    // an odd number is that of a sleeper
    counts.map(|count| (count % 2 == 1).then_some(count)).sum()
}

/// K5: one scenario in one world, in a thread of its own.
fn watched<F>(world: &World, story: &Arc<F>, limit: Duration) -> Result<(), String>
where
    F: AsyncFn(World) + Send + Sync + 'static,
{
    let (alive, end) = channel::<()>();
    let thread = thread::spawn({
        let (world, story) = (world.clone(), story.clone());
        move || {
            let _alive = alive;
            play(&world, &*story);
        }
    });
    if end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        return Err(format!(
            "K5: {world} did not end within {limit:?}\n{}",
            world.describe()
        ));
    }
    if let Err(panic) = thread.join() {
        eprintln!("in {world}");
        resume_unwind(panic);
    }
    let blame = world.verdict();
    if blame.is_empty() {
        return Ok(());
    }
    Err(format!("{world}:\n  {}", blame.join("\n  ")))
}

fn play<F: AsyncFn(World)>(world: &World, story: &F) {
    let runtime = world.machine().runtime();
    let base = runtime.metrics().num_alive_tasks();
    runtime.block_on(async {
        story(world.clone()).await;
        world.balance(base).await;
    });
}

/// What a scenario runs in.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    name: String,
    machine: Machine,
    order: Order,
    tally: Tally,
    flows: Mutex<Vec<Flow>>,
    blame: Mutex<Vec<String>>,
}

impl World {
    fn new(name: &str, machine: Machine, order: Order) -> Self {
        World(Arc::new(Inner {
            name: name.to_owned(),
            machine,
            order,
            tally: Tally::default(),
            flows: Mutex::default(),
            blame: Mutex::default(),
        }))
    }

    /// Where it runs.
    pub fn machine(&self) -> Machine {
        self.0.machine
    }

    /// Whether stages are to be ordered, in a scenario that runs in both orders.
    pub fn order(&self) -> Order {
        self.0.order
    }

    /// Whether that is `Ordered`.
    pub fn ordered(&self) -> bool {
        self.order() == Order::Ordered
    }

    /// The counts.
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// A run under watch.
    pub fn flow(&self) -> Flow {
        let paused = self.machine() == Machine::Paused;
        let flow = Flow::new(self.tally(), self.order(), paused);
        self.flows(|flows| flows.push(flow.clone()));
        flow
    }

    fn flows<R>(&self, look: impl FnOnce(&mut Vec<Flow>) -> R) -> R {
        look(&mut self.0.flows.lock().expect("no panic under this lock"))
    }

    /// Waits until nothing changes any more, and gives what `look` then sees.
    ///
    /// On the paused clock: until all has run that can run at this moment. On threads: until nothing has changed and no
    /// worker of the runtime has been awake for 12 looks, 5 ms apart; where one is always awake, until nothing has
    /// changed for 40 looks; times the `PATIENCE`. What is sure to come is better waited for by [`until`](Self::until).
    pub async fn settled<V: PartialEq>(&self, look: impl Fn() -> V) -> V {
        if self.machine() == Machine::Paused {
            for _ in 0..3 {
                sleep(ms(1)).await;
            }
            return look();
        }
        let (mut same, mut calm) = (0, 0);
        let mut seen = (look(), asleep());
        // Looks, and not time: a machine that is slow to let this thread run is slow with the others, too.
        while calm < 12 * patience() && same < 40 * patience() {
            // this thread, as a timer would wake a worker
            thread::sleep(ms(5));
            yield_now().await;
            let now = (look(), asleep());
            same = if now.0 == seen.0 { same + 1 } else { 0 };
            let is_calm = now == seen && now.1.is_some();
            calm = if is_calm { calm + 1 } else { 0 };
            seen = now;
        }
        seen.0
    }

    /// Waits until it is so, however slow the machine is; for ever is caught by K5.
    pub async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            // first without the clock: where something always goes on, the paused one stands still
            for _ in 0..1_000 {
                if is_so() {
                    return;
                }
                yield_now().await;
            }
            sleep(ms(1)).await;
        }
    }

    /// K2 and K3: waits until nothing is left of the scenario, at most 1 s, times the `PATIENCE`.
    async fn balance(&self, base: usize) {
        let start = Instant::now();
        let tasks = || Handle::current().metrics().num_alive_tasks();
        while start.elapsed() < ms(1_000) * patience() {
            if tasks() == base && self.tally().verdict().is_none() {
                return;
            }
            sleep(ms(1)).await;
        }
        let mut blame = self.0.blame.lock().expect("no panic under this lock");
        if tasks() != base {
            blame.push(format!("K3: {} tasks alive, {base} before", tasks()));
        }
        blame.extend(self.tally().verdict());
    }

    /// What is wrong, once all is over.
    fn verdict(&self) -> Vec<String> {
        let mut blame = {
            let blame = self.0.blame.lock();
            blame.expect("no panic under this lock").clone()
        };
        for flow in self.flows(|flows| flows.clone()) {
            blame.extend(flow.verdict());
        }
        blame
    }

    /// For the message about a hang. In a thread of its own, as whoever hangs may hold what it asks for.
    fn describe(&self) -> String {
        let flows = self.flows(|flows| flows.clone());
        let (give, description) = channel();
        thread::spawn(move || {
            for flow in flows {
                let _nobody = give.send(flow.describe());
            }
        });
        let mut lines = Vec::new();
        while let Ok(line) = description.recv_timeout(ms(1_000)) {
            lines.push(line);
        }
        lines.join("\n")
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            name,
            machine,
            order,
            ..
        } = &*self.0;
        write!(f, "scenario `{name}` on {machine:?}, {order:?}")
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
