//! JSON messages of 1 KiB, read into a struct.
//!
//! Twice: dropped where they were read, and handed on to the end. Handed on, each message is freed by
//! another thread than the one that allocated it, which the system's allocator may make dear for
//! everybody; rayon beside us shows how dear.

use std::sync::Arc;
use std::time::Duration;

use pipeline_core::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::line::speed;
use benches::json::{Messages, Parsed};
use benches::measure::Effort;
use benches::measure::race::Race;
use benches::measure::runtime::{WORKERS, checked, checked_here};
use benches::ours;
use benches::peers::threads;
use benches::table::{Goal, Line};
use benches::tally::{Indexed, Tally, Wrong};

/// Ordered, by as many workers as there are threads.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(WORKERS)
        .build()
        .map_err(|error| Wrong(error.to_string()))?;
    let pool = Arc::new(pool);
    let messages = Messages::write();
    let handed_on = {
        let messages = messages.clone();
        move |index| messages.parse(index)
    };
    let dropped = move |index| messages.parse(index).map(|parsed: Parsed| parsed.index());
    let mut lines = compare(
        "JSON of 1 KiB, handed on, P 2: speed",
        effort,
        &pool,
        handed_on,
    )?;
    lines.extend(compare(
        "JSON of 1 KiB, dropped at once, P 2: speed",
        effort,
        &pool,
        dropped,
    )?);
    Ok(lines)
}

fn compare<F, T>(
    name: &str,
    effort: &Effort,
    pool: &Arc<ThreadPool>,
    read: F,
) -> Result<Vec<Line>, Wrong>
where
    F: Fn(u64) -> Result<T, serde_json::Error> + Clone + Send + Sync + 'static,
    T: Indexed,
{
    let mut race = Race::new();
    let ours = race.enter_sized("ours", effort, ours(read.clone()))?;
    let valid = move |index| read(index).expect("the messages are valid");
    let sequential = race.enter_sized("sequential loop", effort, {
        let valid = valid.clone();
        move |items| {
            checked_here(items, || {
                threads::sequential(items, &valid, Tally::default())
            })
        }
    })?;
    let rayon = race.enter_sized("rayon", effort, {
        let pool = pool.clone();
        move |items| {
            checked_here(items, || {
                threads::rayon(&pool, items, &valid, Tally::default())
            })
        }
    })?;
    let rounds = race.run(effort.rounds)?;
    Ok(vec![
        speed(name, &rounds, ours, sequential, Goal::AtLeast(1.8)),
        speed(name, &rounds, ours, rayon, Goal::None),
    ])
}

fn ours<F, T>(read: F) -> impl Fn(u64) -> Result<Duration, Wrong>
where
    F: Fn(u64) -> Result<T, serde_json::Error> + Clone + Send + Sync + 'static,
    T: Indexed,
{
    move |items| {
        let read = read.clone();
        checked(items, true, async move {
            let stage = Pipeline::from_iter(0..items)
                .try_map(read)
                .parallelism(WORKERS);
            ours::collect(stage, Tally::default()).await
        })
    }
}
