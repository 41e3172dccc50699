//! What a pipeline costs while there is nothing to do.

use std::future::pending;
use std::thread;
use std::time::Duration;

use pipeline_core::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use benches::measure::Effort;
use benches::measure::machine::Threads;
use benches::measure::race::Calmness;
use benches::measure::runtime::{self, WORKERS};
use benches::measure::spread::Spread;
use benches::ours::describe;
use benches::table::{Goal, Line, Value, short};
use benches::tally::Wrong;
use benches::work::noop;

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(3);

/// How long it may take to come to rest.
const SETTLE: Duration = Duration::from_millis(500);

const WARM_UP: u64 = 100;

/// The names of the threads, by which they are told apart.
const WAITING: &str = "idle-waiting";
const STUCK: &str = "idle-stuck";
const BARE: &str = "idle-bare";

/// A run that waits for its source, one that waits for its sink, and a runtime without a run.
pub(super) fn measure(_effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let waiting = runtime::build(WAITING);
    let _sender = wait_for_source(&waiting)?;
    let stuck = runtime::build(STUCK);
    wait_for_sink(&stuck)?;
    let bare = runtime::build(BARE);

    thread::sleep(SETTLE);
    let before = [WAITING, STUCK, BARE].map(Threads::named);
    thread::sleep(WATCHED);
    let after = [WAITING, STUCK, BARE].map(Threads::named);
    for runtime in [waiting, stuck, bare] {
        runtime.shutdown_background();
    }

    let all_seen =
        |threads: &Option<Threads>| threads.is_none_or(|threads| threads.count >= WORKERS);
    if !before.iter().chain(&after).all(all_seen) {
        return Err(Wrong("not every worker thread was seen".to_owned()));
    }
    let used = |which: usize| Some(after[which]?.since(before[which]?));
    Ok(vec![
        cpu(
            "idle for 3 s: ms of CPU",
            used(0),
            used(2),
            Goal::AtMost(10.0),
        ),
        wakeups(
            "idle for 3 s: wake-ups",
            used(0),
            used(2),
            Goal::AtMost(0.0),
        ),
        cpu(
            "the sink stuck for 3 s: ms of CPU",
            used(1),
            used(2),
            Goal::None,
        ),
        wakeups(
            "the sink stuck for 3 s: wake-ups",
            used(1),
            used(2),
            Goal::None,
        ),
    ])
}

/// A run that has done some items and waits for more. It ends when the sender is dropped.
fn wait_for_source(runtime: &Runtime) -> Result<mpsc::Sender<u64>, Wrong> {
    let (sender, source) = Pipeline::channel(16);
    let (done, mut finished) = mpsc::unbounded_channel();
    let stages = source
        .then(noop)
        .parallelism(16)
        .then(noop)
        .parallelism(16)
        .unordered();
    let job = stages.for_each(move |item| {
        // fails only when nobody waits any more
        let _ = done.send(item);
    });
    keep_running(runtime, job)?;
    let sending = sender.clone();
    runtime.block_on(async move {
        for item in 0..WARM_UP {
            sending
                .send(item)
                .await
                .map_err(|_| Wrong("the run ended".to_owned()))?;
        }
        for _ in 0..WARM_UP {
            finished
                .recv()
                .await
                .ok_or_else(|| Wrong("the run ended".to_owned()))?;
        }
        Ok(())
    })?;
    Ok(sender)
}

/// A run whose sink never takes its second item, so that all before it is full.
fn wait_for_sink(runtime: &Runtime) -> Result<(), Wrong> {
    let stages = Pipeline::from_iter(0_u64..)
        .then(noop)
        .parallelism(16)
        .then(noop)
        .parallelism(16)
        .unordered();
    keep_running(
        runtime,
        stages.try_for_each(|_| pending::<Result<(), BoxError>>()),
    )
}

fn keep_running(runtime: &Runtime, job: Job) -> Result<(), Wrong> {
    let _inside = runtime.enter();
    let mut running = job.start().map_err(|error| Wrong(describe(&error)))?;
    runtime.spawn(async move { running.wait().await.map(drop) });
    Ok(())
}

fn cpu(name: &str, ours: Option<Threads>, bare: Option<Threads>, goal: Goal) -> Line {
    let millis = |threads: Threads| threads.cpu.as_secs_f64() * 1e3;
    line(name, ours.map(millis), bare.map(millis), "ms", goal)
}

fn wakeups(name: &str, ours: Option<Threads>, bare: Option<Threads>, goal: Goal) -> Line {
    let switches = |threads: Threads| threads.switches as f64;
    line(name, ours.map(switches), bare.map(switches), "", goal)
}

fn line(name: &str, ours: Option<f64>, bare: Option<f64>, unit: &str, goal: Goal) -> Line {
    let shown = |value: Option<f64>| {
        value.map_or_else(
            || "n/a".to_owned(),
            |value| format!("{} {unit}", short(value)),
        )
    };
    Line {
        name: name.to_owned(),
        ours: shown(ours),
        peer: format!("a runtime alone {}", shown(bare)),
        value: ours.map_or(Value::Unknown, |value| Value::Alone(Spread::of([value]))),
        goal,
        calmness: Calmness {
            rounds: 1,
            disturbed: 0,
        },
    }
}
