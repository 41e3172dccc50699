//! How much later an item comes out because it went through a pipeline, at 10,000 items a second.

use std::thread;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt, stream};
use pipeline_core::prelude::*;
use tokio::sync::mpsc;

use benches::measure::Effort;
use benches::measure::race::{Lane, Race, Rounds};
use benches::measure::runtime;
use benches::measure::spread::quantile;
use benches::options::Options;
use benches::ours;
use benches::peers::idioms::Buffered;
use benches::peers::{Peer, drain};
use benches::table::{Goal, Line, Value, time};
use benches::tally::{Collector, Indexed, Tally, Wrong};

const PACE: Duration = Duration::from_micros(100);

/// How finely the sender sleeps.
const NAP: Duration = Duration::from_micros(20);

const CAPACITY: usize = 1024;

/// An item with the moment at which its way began.
#[derive(Debug)]
struct Stamped {
    index: u64,
    since: Instant,
}

impl Stamped {
    fn now(index: u64) -> Self {
        Stamped {
            index,
            since: Instant::now(),
        }
    }
}

impl Indexed for Stamped {
    fn index(&self) -> u64 {
        self.index
    }
}

async fn pass(item: Stamped) -> Stamped {
    item
}

/// How long each item was on its way, in nanoseconds.
#[derive(Debug)]
struct Latencies {
    tally: Tally,
    nanos: Vec<f64>,
}

impl Collector<Stamped> for Latencies {
    fn take(&mut self, item: Stamped) {
        self.nanos.push(item.since.elapsed().as_secs_f64() * 1e9);
        self.tally.take(item);
    }
}

impl Latencies {
    fn new(items: u64) -> Self {
        Latencies {
            tally: Tally::default(),
            nanos: Vec::with_capacity(items as usize),
        }
    }

    fn quantiles(mut self, items: u64) -> Result<Quantiles, Wrong> {
        self.tally.check(items, true)?;
        self.nanos.sort_by(f64::total_cmp);
        Ok(Quantiles {
            p50: quantile(&self.nanos, 0.5),
            p99: quantile(&self.nanos, 0.99),
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Quantiles {
    p50: f64,
    p99: f64,
}

/// Sends the items `0..items` from a thread of its own, made by `item` at the moment of sending.
fn pace<T: Send + 'static>(items: u64, item: fn(u64) -> T, sender: mpsc::Sender<T>) {
    thread::spawn(move || {
        let mut due = Instant::now();
        for index in 0..items {
            due += PACE;
            while Instant::now() < due {
                thread::sleep(NAP);
            }
            if sender.blocking_send(item(index)).is_err() {
                return;
            }
        }
    });
}

/// Items at that pace, stamped when the stream gives them: waking the receiver does not count.
fn paced(items: u64) -> impl Stream<Item = Stamped> + Send + 'static {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    pace(items, |index| index, sender);
    received(receiver).map(Stamped::now)
}

fn received<T: Send + 'static>(
    receiver: mpsc::Receiver<T>,
) -> impl Stream<Item = T> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|item| (item, receiver))
    })
    .boxed()
}

fn sample<F>(items: u64, run: F) -> Result<Quantiles, Wrong>
where
    F: Future<Output = Result<Latencies, Wrong>> + Send + 'static,
{
    runtime::run(run)??.quantiles(items)
}

/// Within the pipeline, and from the sender to the end.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let items = (effort.paced.as_nanos() / PACE.as_nanos()) as u64;
    let options = Options::parallelism(16);

    let mut race = Race::new();
    let ours = race.enter("ours", move || {
        sample(items, async move {
            let source = Pipeline::from_stream(paced(items));
            ours::then(source, options, pass, Latencies::new(items)).await
        })
    });
    let buffered = race.enter("futures buffered", move || {
        sample(items, async move {
            let results = Buffered::stage(paced(items), options, pass);
            let mut latencies = Latencies::new(items);
            drain(results, &mut latencies).await;
            Ok(latencies)
        })
    });
    let ours_sent = race.enter("ours, from the sender", move || {
        sample(items, async move {
            let (sender, source) = Pipeline::channel(CAPACITY);
            pace(items, Stamped::now, sender);
            ours::then(source, options, pass, Latencies::new(items)).await
        })
    });
    let bare_sent = race.enter("a channel, from the sender", move || {
        sample(items, async move {
            let (sender, receiver) = mpsc::channel(CAPACITY);
            pace(items, Stamped::now, sender);
            let mut latencies = Latencies::new(items);
            drain(received(receiver), &mut latencies).await;
            Ok(latencies)
        })
    });
    let rounds = race.run(effort.long_rounds)?;

    Ok(vec![
        alone(
            "latency added at 10,000/s, p50",
            &rounds,
            ours,
            buffered,
            |quantiles| quantiles.p50,
            Goal::AtMost(1.0),
        ),
        alone(
            "latency added at 10,000/s, p99",
            &rounds,
            ours,
            buffered,
            |quantiles| quantiles.p99,
            Goal::AtMost(10.0),
        ),
        beside(
            "latency from the sender, p50",
            &rounds,
            ours_sent,
            bare_sent,
            |quantiles| quantiles.p50,
        ),
        beside(
            "latency from the sender, p99",
            &rounds,
            ours_sent,
            bare_sent,
            |quantiles| quantiles.p99,
        ),
    ])
}

/// The goal is in microseconds.
fn alone(
    name: &str,
    rounds: &Rounds<Quantiles>,
    ours: Lane,
    peer: Lane,
    part: fn(&Quantiles) -> f64,
    goal: Goal,
) -> Line {
    let nanos = rounds.spread(|round| part(&round[ours]));
    Line {
        name: format!("{name} (us)"),
        ours: time(nanos.median),
        peer: format!(
            "futures buffered {}",
            time(rounds.median(|round| part(&round[peer])))
        ),
        value: Value::Alone(nanos.per(1e3)),
        goal,
        calmness: rounds.calmness(),
    }
}

fn beside(
    name: &str,
    rounds: &Rounds<Quantiles>,
    ours: Lane,
    peer: Lane,
    part: fn(&Quantiles) -> f64,
) -> Line {
    Line {
        name: name.to_owned(),
        ours: time(rounds.median(|round| part(&round[ours]))),
        peer: format!(
            "tokio mpsc alone {}",
            time(rounds.median(|round| part(&round[peer])))
        ),
        value: Value::Ratio(rounds.spread(|round| part(&round[ours]) / part(&round[peer]))),
        goal: Goal::None,
        calmness: rounds.calmness(),
    }
}
