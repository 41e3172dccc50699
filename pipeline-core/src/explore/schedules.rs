//! Runs a shape under many schedules, or under one that is to be seen again.

use std::{cell::Cell, env, fmt::Debug, str::FromStr};

use shuttle::{
    Config, MaxSteps, Runner,
    future::{block_on, yield_now},
    scheduler::{
        PctScheduler, RandomScheduler, ReplayScheduler, Schedule, Scheduler, Task, TaskId,
    },
};

use super::world::World;

/// A run that takes this many steps goes round in circles.
const MOST_STEPS: usize = 200_000;

/// Preemptions of a PCT schedule, and one more.
const DEPTH: usize = 3;

#[derive(Debug, Clone, Copy)]
pub(super) enum Lot {
    Random,
    Pct,
}

/// Plays `shape` under `schedules` schedules.
pub(super) fn explore<F>(name: &str, lot: Lot, schedules: usize, shape: F)
where
    F: AsyncFn(World) + Send + Sync + 'static,
{
    let play = move || {
        block_on(async {
            LAST.set(false);
            let world = World::new();
            shape(world.clone()).await;
            LAST.set(true);
            yield_now().await;
            world.verdict();
        });
    };
    if let Ok(schedule) = env::var("EXPLORE_REPLAY") {
        run(ReplayScheduler::new_from_encoded(schedule.trim()), play);
        return;
    }
    let schedules = schedules * variable("EXPLORE_TIMES", 1);
    // each shape has seeds of its own
    let seed = name
        .bytes()
        .fold(variable("EXPLORE_SEED", 0), |seed: u64, byte| {
            seed.wrapping_mul(31).wrapping_add(byte.into())
        });
    let ran = match lot {
        Lot::Random => run(
            MainLast(RandomScheduler::new_from_seed(seed, schedules)),
            play,
        ),
        Lot::Pct => run(
            MainLast(PctScheduler::new_from_seed(seed, DEPTH, schedules)),
            play,
        ),
    };
    assert_eq!(ran, schedules);
    println!("explored {name}: {ran} schedules");
}

fn run<S: Scheduler + 'static>(scheduler: S, play: impl Fn() + Send + Sync + 'static) -> usize {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(play)
}

fn variable<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    match env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

thread_local! {
    /// The run is over: the main task has to wait for all others.
    static LAST: Cell<bool> = const { Cell::new(false) };
}

/// Lets tasks that are on their way out go before the main task ends. Shuttle takes those that are
/// left then apart where they stand, which nothing real does.
#[derive(Debug)]
struct MainLast<S>(S);

impl<S: Scheduler> Scheduler for MainLast<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.0.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let main = TaskId::from(0);
        if LAST.get() && runnable.len() > 1 {
            let others = runnable.iter().copied();
            let others: Vec<_> = others.filter(|task| task.id() != main).collect();
            return self.0.next_task(&others, current, is_yielding);
        }
        self.0.next_task(runnable, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}
