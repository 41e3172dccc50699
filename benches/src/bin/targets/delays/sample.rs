//! One contender with one kind of messages, in this process and nothing beside it.

use std::future::{pending, poll_fn};
use std::thread;
use std::time::Duration;

use pipeline_core::prelude::*;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tokio_util::time::DelayQueue;

use benches::measure::machine::{Memory, Threads};
use benches::measure::runtime;
use benches::ours::describe;
use benches::tally::Wrong;

/// So many in every case but `Idle`.
pub(super) const MESSAGES: u64 = 1_000_000;

/// So many wait in the case `Idle`.
const WAITING: u64 = 10_000;

/// How long that is watched, after it has come to rest.
const WATCHED: Duration = Duration::from_secs(3);

/// When messages are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// At random, over 5 s that begin when all are there.
    Spread,
    /// At random, over 3 s that begin at once.
    Now,
    /// Each sooner than all before it, over 1 s that begins when all are there.
    Storm,
    /// All at the same time.
    Equal,
    /// All a second after they came.
    Fixed,
    /// Not for an hour.
    Idle,
}

impl Case {
    const ALL: [Case; 6] = [
        Case::Spread,
        Case::Now,
        Case::Storm,
        Case::Equal,
        Case::Fixed,
        Case::Idle,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Case::Spread => "1,000,000 over 5 s",
            Case::Now => "1,000,000 in the next 3 s",
            Case::Storm => "1,000,000 last first",
            Case::Equal => "1,000,000 at once",
            Case::Fixed => "1,000,000 pending",
            Case::Idle => "10,000 in an hour",
        }
    }

    fn messages(self) -> u64 {
        match self {
            Case::Idle => WAITING,
            _ => MESSAGES,
        }
    }

    /// When message `seq` is due.
    fn due(self, start: Instant, seq: u64) -> Instant {
        let second = Duration::from_secs(1);
        match self {
            Case::Spread => start + second + random(seq, 5_000_000),
            Case::Now => start + random(seq, 3_000_000),
            Case::Storm => start + second + Duration::from_micros(MESSAGES - seq),
            Case::Equal => start + second,
            Case::Fixed => Instant::now() + second,
            Case::Idle => start + 3_600 * second + Duration::from_micros(seq),
        }
    }
}

/// Microseconds below `limit`; splitmix64 of `seq`, with more digits than that.
fn random(seq: u64, limit: u64) -> Duration {
    let mut z = (seq + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    Duration::from_nanos(z % (limit * 1_000))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    Ours,
    DelayQueue,
    Tasks,
}

impl Contender {
    const ALL: [Contender; 3] = [Contender::Ours, Contender::DelayQueue, Contender::Tasks];

    pub(super) fn name(self) -> &'static str {
        match self {
            Contender::Ours => "ours",
            Contender::DelayQueue => "DelayQueue",
            Contender::Tasks => "tasks",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Message {
    seq: u64,
    due: Instant,
}

/// What a sample found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Figures {
    /// Seconds from the start to the last message.
    pub(super) total: f64,
    /// Milliseconds after their time.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
    pub(super) lost: f64,
    pub(super) doubled: f64,
    /// Messages that came after one that was due later, or at the same time and sent later.
    pub(super) inversions: f64,
    /// The most that was ever resident, in megabytes.
    pub(super) memory: f64,
    /// Seconds of the runtime's threads; of the case `Idle` the share of a core.
    pub(super) cpu: f64,
}

impl Figures {
    fn print(self) {
        let Figures {
            total,
            p50,
            p99,
            max,
            lost,
            doubled,
            inversions,
            memory,
            cpu,
        } = self;
        println!("{total} {p50} {p99} {max} {lost} {doubled} {inversions} {memory} {cpu}");
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<f64>> = text
            .split_whitespace()
            .map(|word| word.parse().ok())
            .collect();
        match numbers?[..] {
            [total, p50, p99, max, lost, doubled, inversions, memory, cpu] => Some(Figures {
                total,
                p50,
                p99,
                max,
                lost,
                doubled,
                inversions,
                memory,
                cpu,
            }),
            _ => None,
        }
    }
}

/// What has come so far.
struct Received {
    /// In microseconds.
    late: Vec<u32>,
    /// A bit a message.
    seen: Vec<u64>,
    doubled: u64,
    inversions: u64,
    last: Option<Message>,
}

impl Received {
    fn new(messages: u64) -> Self {
        Received {
            late: Vec::with_capacity(messages as usize),
            seen: vec![0; messages.div_ceil(64) as usize],
            doubled: 0,
            inversions: 0,
            last: None,
        }
    }

    fn take(&mut self, message: Message) {
        let late = Instant::now().saturating_duration_since(message.due);
        self.late
            .push(u32::try_from(late.as_micros()).unwrap_or(u32::MAX));
        let (word, bit) = ((message.seq / 64) as usize, 1 << (message.seq % 64));
        self.doubled += u64::from(self.seen[word] & bit != 0);
        self.seen[word] |= bit;
        let place = |message: Message| (message.due, message.seq);
        let inverted = self.last.is_some_and(|last| place(message) < place(last));
        self.inversions += u64::from(inverted);
        self.last = Some(message);
    }

    fn figures(mut self, messages: u64, total: Duration, cpu: Option<Duration>) -> Figures {
        let seen: u32 = self.seen.iter().map(|word| word.count_ones()).sum();
        self.late.sort_unstable();
        let at = |share: f64| {
            let place = (self.late.len() as f64 * share) as usize;
            let late = self.late.get(place).or(self.late.last()).copied();
            f64::from(late.unwrap_or(u32::MAX)) / 1e3
        };
        Figures {
            total: total.as_secs_f64(),
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
            lost: (messages - u64::from(seen)) as f64,
            doubled: self.doubled as f64,
            inversions: self.inversions as f64,
            memory: Memory::now().map_or(f64::NAN, |memory| memory.most),
            cpu: cpu.map_or(f64::NAN, |cpu| cpu.as_secs_f64()),
        }
    }
}

/// Runs the sample `text`, which names a case and a contender, and prints its figures.
pub(crate) fn run(text: &str) -> Result<(), Wrong> {
    let unknown = || Wrong(format!("`{text}` is not a sample"));
    let (case, contender) = text.split_once('/').ok_or_else(unknown)?;
    let case = Case::ALL
        .into_iter()
        .find(|each| format!("{each:?}") == case);
    let contender = Contender::ALL
        .into_iter()
        .find(|each| format!("{each:?}") == contender);
    let (case, contender) = case.zip(contender).ok_or_else(unknown)?;
    let figures = match case {
        Case::Idle => idle(contender)?,
        _ => sample(case, contender)?,
    };
    figures.print();
    Ok(())
}

fn sample(case: Case, contender: Contender) -> Result<Figures, Wrong> {
    let messages = case.messages();
    let (received, total, cpu) = runtime::run(async move {
        let start = Instant::now();
        let received = receive(case, contender, start).await?;
        let total = start.elapsed();
        let threads = Threads::named("bench");
        Ok((received, total, threads.map(|threads| threads.cpu)))
    })??;
    Ok(received.figures(messages, total, cpu))
}

async fn receive(case: Case, contender: Contender, start: Instant) -> Result<Received, Wrong> {
    match contender {
        Contender::Ours => ours(case, start).await,
        Contender::DelayQueue => Ok(delay_queue(case, start).await),
        Contender::Tasks => Ok(tasks(case, start).await),
    }
}

fn messages(case: Case, start: Instant) -> impl Iterator<Item = Message> + Send + 'static {
    (0..case.messages()).map(move |seq| Message {
        seq,
        due: case.due(start, seq),
    })
}

async fn ours(case: Case, start: Instant) -> Result<Received, Wrong> {
    let source = Pipeline::from_iter(messages(case, start));
    let capacity = case.messages() as usize;
    let delayed = match case {
        Case::Fixed => source.delay(Duration::from_secs(1), capacity),
        _ => source.delay_until(|message: &Message| message.due, capacity),
    };
    let received = Received::new(case.messages());
    let job = delayed.fold(received, |mut received, message| {
        received.take(message);
        received
    });
    let report = job.run().await.map_err(|error| Wrong(describe(&error)))?;
    Ok(report.value)
}

/// Everything in one task: what comes is put into the queue, what is due is taken out of it.
async fn delay_queue(case: Case, start: Instant) -> Received {
    let mut queue = DelayQueue::new();
    let mut received = Received::new(case.messages());
    let mut coming = messages(case, start);
    loop {
        let lot: Vec<Message> = coming.by_ref().take(64).collect();
        if lot.is_empty() {
            break;
        }
        for message in lot {
            queue.insert_at(message, message.due);
        }
        poll_fn(|context| {
            while let std::task::Poll::Ready(Some(expired)) = queue.poll_expired(context) {
                received.take(expired.into_inner());
            }
            std::task::Poll::Ready(())
        })
        .await;
        yield_now().await;
    }
    while let Some(expired) = poll_fn(|context| queue.poll_expired(context)).await {
        received.take(expired.into_inner());
    }
    received
}

/// A task a message.
async fn tasks(case: Case, start: Instant) -> Received {
    let (sender, mut receiver) = mpsc::channel(1_000);
    let producer = tokio::spawn(async move {
        for (place, message) in messages(case, start).enumerate() {
            let sender = sender.clone();
            tokio::spawn(async move {
                sleep_until(message.due).await;
                // fails only when nobody waits any more
                let _ = sender.send(message).await;
            });
            if place % 64 == 0 {
                yield_now().await;
            }
        }
    });
    let mut received = Received::new(case.messages());
    while let Some(message) = receiver.recv().await {
        received.take(message);
    }
    // it has ended: the channel is closed
    let _ = producer.await;
    received
}

/// What a runtime uses while messages wait in it.
fn idle(contender: Contender) -> Result<Figures, Wrong> {
    let name = "bench-idle";
    let runtime = runtime::build(name);
    runtime.spawn(async move {
        let _received = receive(Case::Idle, contender, Instant::now()).await;
        pending::<()>().await;
    });
    thread::sleep(Duration::from_secs(1));
    let before = Threads::named(name);
    thread::sleep(WATCHED);
    let after = Threads::named(name);
    runtime.shutdown_background();
    let cpu = before.zip(after).map(|(before, after)| {
        let used = after.since(before);
        used.cpu.as_secs_f64() / WATCHED.as_secs_f64()
    });
    Ok(Figures {
        cpu: cpu.unwrap_or(f64::NAN),
        ..Figures::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_or_out_of_order_is_seen() {
        let now = Instant::now();
        let message = |seq, ms| Message {
            seq,
            due: now + Duration::from_millis(ms),
        };
        let mut received = Received::new(6);
        for (seq, ms) in [(0, 1), (1, 2), (3, 2), (2, 2), (4, 1), (4, 1)] {
            received.take(message(seq, ms));
        }
        let figures = received.figures(6, Duration::ZERO, None);
        assert_eq!(
            (figures.lost, figures.doubled, figures.inversions),
            (1.0, 1.0, 2.0)
        );
    }

    #[test]
    fn figures_are_read_as_they_were_printed() {
        let text = "1 2.5 3 4 5 6 7 8 9\n";
        let figures = Figures::parse(text).expect("nine numbers");
        assert_eq!((figures.total, figures.p50, figures.cpu), (1.0, 2.5, 9.0));
        assert_eq!(Figures::parse("1 2"), None);
    }
}
