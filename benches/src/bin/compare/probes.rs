//! What becomes of everyone in trouble: a lock, a panic, a consumer that leaves, a limit of zero, a sink or an item
//! that is stuck.
//!
//! Each probe of each contender is a process of its own, and is killed when it hangs: that is a result, too.

use std::fmt::Write;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::erased::{Drain, Payload, Work, consume, results};
use benches::measure::Effort;
use benches::measure::alone::{self, Ended};
use benches::measure::machine::Memory;
use benches::measure::runtime;
use benches::measure::spread::Spread;
use benches::options::Options;
use benches::peers::{Peer, Visitor, visit_all};
use benches::table::short;
use benches::tally::Wrong;

/// The group.
pub(super) const NAME: &str = "trouble";

/// What takes longer hangs: none of the probes has a second's work.
const LIMIT: Duration = Duration::from_secs(3);

const OPTIONS: Options = Options::parallelism(4);

const ITEMS: u64 = 20;

/// Items that a contender without a bound would hold, and the bytes of each.
const MANY: u64 = 4_000;
const BYTES: usize = 16 << 10;
const STUCK_OPTIONS: Options = Options::parallelism(16);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    /// The stage holds an asynchronous lock while it waits, and the sink wants it.
    Lock,
    /// An item panics.
    Panic,
    /// The same, in any order.
    PanicUnordered,
    /// The consumer takes three results and drops the stream.
    Drop,
    /// A parallelism of 0.
    Zero,
    /// The sink never finishes its first item.
    Sink,
    /// The first item never ends.
    First,
}

/// Probes that end in words, with the heads of their columns.
const WORDS: [(Probe, &str); 5] = [
    (Probe::Lock, "lock in stage and sink"),
    (Probe::Panic, "a job panics"),
    (Probe::PanicUnordered, "the same, any order"),
    (Probe::Drop, "dropped early: then"),
    (Probe::Zero, "parallelism 0"),
];

/// Probes that end in numbers.
const NUMBERS: [(Probe, &str); 2] = [(Probe::Sink, "sink stuck"), (Probe::First, "item 0 stuck")];

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    rows: Vec<Row>,
    runs: usize,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    words: Vec<String>,
    numbers: Vec<Held>,
}

/// What was inside when nothing moved any more.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Held {
    begun: f64,
    megabytes: f64,
}

// -------------------------------------------------------------------- from outside

/// Every probe of everyone.
pub(super) fn measure(effort: &Effort) -> Result<Found, Wrong> {
    let mut all = All {
        runs: effort.long_rounds.div_ceil(2),
        rows: Ok(Vec::new()),
    };
    visit_all(&mut all);
    Ok(Found {
        rows: all.rows?,
        runs: all.runs,
    })
}

struct All {
    runs: usize,
    rows: Result<Vec<Row>, Wrong>,
}

impl Visitor for All {
    fn visit<P: Peer>(&mut self) {
        let Ok(rows) = &mut self.rows else { return };
        match row::<P>(self.runs) {
            Ok(row) => rows.push(row),
            Err(wrong) => self.rows = Err(wrong),
        }
    }
}

fn row<P: Peer>(runs: usize) -> Result<Row, Wrong> {
    let ends = |probe: Probe| {
        let sample = format!("{probe:?}/{}", P::NAME);
        let runs = (0..runs).map(|_| alone::run(&sample, LIMIT));
        runs.collect::<Result<Vec<Ended>, Wrong>>()
    };
    let words = WORDS.iter().map(|(probe, _)| Ok(in_words(ends(*probe)?)));
    let numbers = NUMBERS.iter().map(|(probe, _)| {
        let ended = ends(*probe)?;
        Held::of(&ended).ok_or_else(|| Wrong(format!("{probe:?} of {}: {ended:?}", P::NAME)))
    });
    Ok(Row {
        name: P::NAME,
        words: words.collect::<Result<_, Wrong>>()?,
        numbers: numbers.collect::<Result<_, Wrong>>()?,
    })
}

/// Each different end once.
fn in_words(ended: Vec<Ended>) -> String {
    let words = ended.into_iter().map(|end| match end {
        Ended::Well(words) => words,
        Ended::Hung => "**hangs**".to_owned(),
        Ended::Badly(_) => "panics".to_owned(),
    });
    let mut words: Vec<String> = words.collect();
    words.sort_unstable();
    words.dedup();
    words.join(" or ")
}

impl Held {
    /// The medians.
    fn of(ended: &[Ended]) -> Option<Self> {
        let held = ended.iter().map(|end| match end {
            Ended::Well(text) => Held::parse(text),
            _ => None,
        });
        let held: Vec<Held> = held.collect::<Option<_>>()?;
        let median = |of: fn(&Held) -> f64| Spread::of(held.iter().map(of)).median;
        Some(Held {
            begun: median(|held| held.begun),
            megabytes: median(|held| held.megabytes),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (begun, megabytes) = text.split_once(' ')?;
        Some(Held {
            begun: begun.parse().ok()?,
            megabytes: megabytes.parse().ok()?,
        })
    }

    fn cells(self) -> String {
        let Held { begun, megabytes } = self;
        let begun = if begun >= MANY as f64 {
            "**all**".to_owned()
        } else {
            format!("{begun:.0}")
        };
        let megabytes = if megabytes.is_nan() {
            "n/a".to_owned()
        } else {
            format!("{} MB", short(megabytes))
        };
        format!(" {begun} | {megabytes} |")
    }
}

impl Found {
    /// Two Markdown tables: what is in words, what is in numbers.
    pub(super) fn table(&self) -> String {
        let Found { rows, .. } = self;
        let mut text = String::from("| |");
        // a `String` takes all that is written
        for (_, head) in WORDS {
            let _ = write!(text, " {head} |");
        }
        text.push_str("\n| --- |");
        text.push_str(&" --- |".repeat(WORDS.len()));
        for Row { name, words, .. } in rows {
            let _ = write!(text, "\n| {name} | {} |", words.join(" | "));
        }
        text.push_str("\n\n| |");
        for (_, head) in NUMBERS {
            let _ = write!(text, " {head}: begun | memory |");
        }
        text.push_str("\n| --- |");
        text.push_str(&" --: |".repeat(2 * NUMBERS.len()));
        for Row { name, numbers, .. } in rows {
            let cells: String = numbers.iter().map(|held| held.cells()).collect();
            let _ = write!(text, "\n| {name} |{cells}");
        }
        text.push('\n');
        text
    }

    /// How much it stands on.
    pub(super) fn rounds(&self) -> String {
        match self.runs {
            1 => "one run of each".to_owned(),
            runs => format!("{runs} runs of each"),
        }
    }
}

// -------------------------------------------------------------------- in a process of its own

/// Runs the sample `text`, which names a probe and a contender, and prints what was found.
pub(super) fn run_alone(text: &str) -> Result<(), Wrong> {
    let unknown = || Wrong(format!("`{text}` is not a sample"));
    let (probe, peer) = text.split_once('/').ok_or_else(unknown)?;
    let all = WORDS.iter().chain(&NUMBERS).map(|(probe, _)| *probe);
    let mut all = all.filter(|each| format!("{each:?}") == probe);
    let mut one = One {
        probe: all.next().ok_or_else(unknown)?,
        peer,
        found: None,
    };
    visit_all(&mut one);
    println!("{}", one.found.ok_or_else(unknown)??);
    Ok(())
}

struct One<'a> {
    probe: Probe,
    peer: &'a str,
    found: Option<Result<String, Wrong>>,
}

impl Visitor for One<'_> {
    fn visit<P: Peer>(&mut self) {
        if P::NAME != self.peer {
            return;
        }
        self.found = Some(match self.probe {
            Probe::Lock => runtime::run(lock::<P>()),
            Probe::Panic => runtime::run(panic::<P>(OPTIONS)),
            Probe::PanicUnordered => runtime::run(panic::<P>(OPTIONS.unordered())),
            Probe::Drop => runtime::run(dropped::<P>()),
            Probe::Zero => {
                runtime::run(through::<P>(3, Options::parallelism(0), pass(), drop_all()))
            }
            Probe::Sink => runtime::run(held::<P>(Stuck::Sink)),
            Probe::First => runtime::run(held::<P>(Stuck::First)),
        });
    }
}

fn pass() -> Work {
    Work::new(async |index| Payload::of(index))
}

fn drop_all() -> Drain {
    Drain::new(async |_| ())
}

async fn lock<P: Peer>() -> String {
    let lock = Arc::new(Mutex::new(()));
    let shared = lock.clone();
    let work = Work::new(move |index| {
        let lock = shared.clone();
        async move {
            let _held = lock.lock().await;
            sleep(Duration::from_millis(1)).await;
            Payload::of(index)
        }
    });
    let sink = Drain::new(move |_| {
        let lock = lock.clone();
        async move { drop(lock.lock().await) }
    });
    through::<P>(ITEMS, OPTIONS, work, sink).await
}

async fn panic<P: Peer>(options: Options) -> String {
    let work = Work::new(async |index| {
        sleep(Duration::from_millis(1)).await;
        assert_ne!(index, 3, "this one panics");
        Payload::of(index)
    });
    through::<P>(ITEMS, options, work, drop_all()).await
}

/// How a run over so many items ends, by what its owner is told and by what arrived.
async fn through<P: Peer>(items: u64, options: Options, work: Work, mut drain: Drain) -> String {
    let arrived = Arc::new(AtomicU64::new(0));
    let counter = arrived.clone();
    let counted = Drain::new(move |payload| {
        counter.fetch_add(1, Relaxed);
        drain.take(payload)
    });
    let ended = tokio::spawn(consume::<P>(items, options, work, counted)).await;
    let arrived = arrived.load(Relaxed);
    match ended {
        Ok(Ok(())) if arrived == items => "fine".to_owned(),
        Ok(Ok(())) => format!("**{arrived} of {items} arrive**, no error"),
        Ok(Err(_)) => "an error".to_owned(),
        Err(_) => "panics".to_owned(),
    }
}

/// What still happens after the consumer has gone.
async fn dropped<P: Peer>() -> String {
    let begun = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(AtomicU64::new(0));
    let counters = (begun.clone(), ended.clone());
    let work = Work::new(move |index| {
        let (begun, ended) = counters.clone();
        async move {
            begun.fetch_add(1, Relaxed);
            sleep(Duration::from_millis(20)).await;
            ended.fetch_add(1, Relaxed);
            Payload::of(index)
        }
    });
    {
        let mut results = pin!(results::<P>(u64::MAX, OPTIONS, work));
        for _ in 0..3 {
            results.next().await;
        }
    }
    let before = (begun.load(Relaxed), ended.load(Relaxed));
    sleep(Duration::from_millis(200)).await;
    match (
        begun.load(Relaxed) - before.0,
        ended.load(Relaxed) - before.1,
    ) {
        (0, 0) => "nothing".to_owned(),
        (0, ended) => format!("{ended} more end"),
        (begun, ended) => format!("{begun} more begin, {ended} end"),
    }
}

/// What never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stuck {
    Sink,
    First,
}

/// How many items were begun when no more are, and the memory that took.
async fn held<P: Peer>(stuck: Stuck) -> String {
    let before = Memory::now();
    let begun = Arc::new(AtomicU64::new(0));
    let counter = begun.clone();
    let work = Work::new(move |index| {
        let counter = counter.clone();
        async move {
            counter.fetch_add(1, Relaxed);
            if stuck == Stuck::First && index == 0 {
                pending::<()>().await;
            }
            // not all at the same time: some contenders go on only when somebody is woken
            sleep(Duration::from_millis(index % 3)).await;
            Payload::sized(index, BYTES)
        }
    });
    let sink = Drain::new(move |_| async move {
        if stuck == Stuck::Sink {
            pending::<()>().await;
        }
    });
    tokio::spawn(consume::<P>(MANY, STUCK_OPTIONS, work, sink));
    let begun = settled(&begun).await;
    let added = before.zip(Memory::now());
    let megabytes = added.map_or(f64::NAN, |(before, after)| after.most - before.now);
    format!("{begun} {megabytes}")
}

/// The number when it has not changed for a while.
async fn settled(number: &AtomicU64) -> u64 {
    let mut last = 0;
    let mut calm = 0;
    while calm < 20 {
        sleep(Duration::from_millis(10)).await;
        let now = number.load(Relaxed);
        calm = if now == last { calm + 1 } else { 0 };
        last = now;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_differ_are_all_told() {
        let well = |words: &str| Ended::Well(words.to_owned());
        assert_eq!(in_words(vec![well("fine"), well("fine")]), "fine");
        assert_eq!(
            in_words(vec![well("fine"), Ended::Hung]),
            "**hangs** or fine"
        );
    }

    #[test]
    fn both_tables_have_a_row_each() {
        let found = Found {
            rows: vec![Row {
                name: "someone",
                words: ["fine", "panics", "an error", "nothing", "**hangs**"]
                    .map(str::to_owned)
                    .to_vec(),
                numbers: vec![
                    Held {
                        begun: 4.0,
                        megabytes: 0.125,
                    },
                    Held {
                        begun: MANY as f64,
                        megabytes: 51.26,
                    },
                ],
            }],
            runs: 3,
        };
        let table = found.table();
        assert!(
            table.contains("\n| someone | fine | panics | an error | nothing | **hangs** |\n"),
            "{table}"
        );
        assert!(
            table.ends_with("\n| someone | 4 | 0.125 MB | **all** | 51.3 MB |\n"),
            "{table}"
        );
        let columns = |line: &str| line.matches('|').count();
        let lines: Vec<usize> = table.lines().map(columns).collect();
        assert_eq!(lines, [7, 7, 7, 0, 6, 6, 6], "{table}");
    }

    #[test]
    fn a_lost_item_is_noticed() {
        struct Loses;

        impl Peer for Loses {
            const NAME: &'static str = "loses";
            const PACKAGE: &'static str = "none";

            fn stage<S, F, Fut, T>(
                source: S,
                _options: Options,
                function: F,
            ) -> impl futures_util::Stream<Item = T> + Send + 'static
            where
                S: futures_util::Stream<Item: Send> + Send + 'static,
                F: Fn(S::Item) -> Fut + Send + Sync + 'static,
                Fut: Future<Output = T> + Send + 'static,
                T: Send + 'static,
            {
                source.then(function).skip(1)
            }
        }

        let end = runtime::run(through::<Loses>(3, OPTIONS, pass(), drop_all()));
        assert_eq!(end, Ok("**2 of 3 arrive**, no error".to_owned()));
    }

    #[test]
    fn samples_that_do_not_exist_are_refused() {
        assert!(run_alone("Lock/nobody").is_err());
        assert!(run_alone("Locks/ours").is_err());
        assert!(run_alone("ours").is_err());
    }
}
