//! The fault machine: plays cases drawn by lot, with faults of all kinds, until its time is over or one is wrong.
//!
//! ```sh
//! cargo run --release -p tests --bin faults -- --minutes 10
//! ```
//!
//! `--seed S` draws other cases, `--cases N` stops after so many, `--jobs N` plays so many at a time, `--json` prints
//! the sums for programs. A case that goes wrong is printed with the command that plays it again: `--replay SEED`.

use std::env;
use std::io::{IsTerminal, stderr};
use std::panic::{set_hook, take_hook};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tests::model::shrink::shrink;
use tests::model::{Case, Seen, check};
use tests::random::Random;

const USAGE: &str =
    "faults [--minutes N] [--seed S] [--cases N] [--jobs N] [--json] [--replay SEED]";

/// What the command line says.
#[derive(Debug, Clone)]
struct Options {
    time: Duration,
    seed: u64,
    cases: u64,
    jobs: usize,
    json: bool,
    replay: Option<u64>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            time: Duration::from_secs(60),
            seed: 1,
            cases: u64::MAX,
            jobs: thread::available_parallelism().map_or(2, usize::from),
            json: false,
            replay: None,
        };
        let mut arguments = arguments;
        while let Some(option) = arguments.next() {
            if option == "--json" {
                options.json = true;
                continue;
            }
            let value = arguments
                .next()
                .ok_or(format!("`{option}` needs a value"))?;
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|error| format!("`{option} {value}`: {error}"))
            };
            match option.as_str() {
                "--minutes" => {
                    let minutes: f64 = value
                        .parse()
                        .map_err(|error| format!("`{option} {value}`: {error}"))?;
                    let time = Duration::try_from_secs_f64(minutes * 60.0);
                    options.time = time.map_err(|error| format!("`{option} {value}`: {error}"))?;
                }
                "--seed" => options.seed = number()?,
                "--cases" => options.cases = number()?,
                "--jobs" => options.jobs = number()?.max(1) as usize,
                "--replay" => options.replay = Some(number()?),
                _ => return Err(format!("`{option}` is unknown")),
            }
        }
        Ok(options)
    }
}

/// A case that went wrong.
struct Wrong {
    seed: u64,
    case: Case,
    what: String,
}

/// What the jobs share.
#[derive(Default)]
struct Sums {
    seen: Mutex<Seen>,
    begun: AtomicU64,
    over: AtomicBool,
    wrong: Mutex<Option<Wrong>>,
}

/// The seeds of the cases that are being played, for a panic that ends the process.
static PLAYING: Mutex<Vec<u64>> = Mutex::new(Vec::new());
/// A panic came to the hook. Those of the cases pass it by.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Says which cases it may have been: what panics here is not part of any.
fn watch_panics() {
    let print = take_hook();
    set_hook(Box::new(move |panic| {
        PANICKED.store(true, SeqCst);
        print(panic);
        if let Ok(playing) = PLAYING.try_lock() {
            for seed in playing.iter() {
                eprintln!("playing: cargo run --release -p tests --bin faults -- --replay {seed}");
            }
        }
    }));
}

/// Plays one case, in which nothing but the case may panic.
fn play(seed: u64, case: &Case) -> Result<Seen, String> {
    let playing = || PLAYING.lock().expect("no panic under this lock");
    playing().push(seed);
    let result = check(case);
    playing().retain(|other| *other != seed);
    if PANICKED.swap(false, SeqCst) {
        return Err(format!(
            "a panic that is not the case's, printed above; {result:?}"
        ));
    }
    result
}

fn main() -> ExitCode {
    watch_panics();
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = options.replay {
        return replay(seed);
    }
    let began = Instant::now();
    let sums = Arc::new(Sums::default());
    let jobs: Vec<_> = (0..options.jobs)
        .map(|_| {
            let (sums, options) = (Arc::clone(&sums), options.clone());
            thread::spawn(move || work(&sums, &options, began))
        })
        .collect();
    tell_progress(&sums, began, &jobs);
    for job in jobs {
        if job.join().is_err() {
            return ExitCode::FAILURE;
        }
    }
    let seen = sums.seen.lock().expect("no panic under this lock").clone();
    let wrong = sums.wrong.lock().expect("no panic under this lock").take();
    report(&seen, wrong.as_ref(), &options, began.elapsed());
    match wrong {
        None => ExitCode::SUCCESS,
        Some(wrong) => {
            explain(wrong);
            ExitCode::FAILURE
        }
    }
}

/// One case after another, until one of the jobs is wrong or the time is over.
fn work(sums: &Sums, options: &Options, began: Instant) {
    while !sums.over.load(SeqCst) && began.elapsed() < options.time {
        let number = sums.begun.fetch_add(1, SeqCst);
        if number >= options.cases {
            return;
        }
        let seed = Random::new(options.seed.wrapping_add(number << 32)).number();
        let case = Case::by_lot(seed);
        match play(seed, &case) {
            Ok(seen) => sums
                .seen
                .lock()
                .expect("no panic under this lock")
                .add(seen),
            Err(what) => {
                sums.over.store(true, SeqCst);
                let mut wrong = sums.wrong.lock().expect("no panic under this lock");
                wrong.get_or_insert(Wrong { seed, case, what });
                return;
            }
        }
    }
}

/// A line every few seconds, if somebody watches.
fn tell_progress(sums: &Sums, began: Instant, jobs: &[thread::JoinHandle<()>]) {
    let watched = stderr().is_terminal();
    let mut told = Instant::now();
    while !jobs.iter().all(thread::JoinHandle::is_finished) {
        thread::sleep(Duration::from_millis(20));
        if watched && told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            let seen = sums.seen.lock().expect("no panic under this lock");
            let elapsed = began.elapsed().as_secs();
            eprintln!(
                "{elapsed} s: {} cases, {} items, {} faults",
                seen.cases,
                seen.items,
                seen.injected()
            );
        }
    }
}

fn report(seen: &Seen, wrong: Option<&Wrong>, options: &Options, elapsed: Duration) {
    let what = wrong.map_or("", |wrong| wrong.what.as_str());
    let failed = |word: &str| u64::from(what.contains(word)).to_string();
    let mut lines = vec![("seed".to_owned(), options.seed.to_string())];
    lines.extend(seen.lines());
    // the first case with one ends it, so these count cases
    lines.extend([
        (
            "cases with items lost".to_owned(),
            failed("K1: items that ended"),
        ),
        (
            "cases with items duplicated".to_owned(),
            failed("duplicated"),
        ),
        ("cases out of order".to_owned(), failed("out of order")),
        (
            "cases that were wrong".to_owned(),
            u64::from(wrong.is_some()).to_string(),
        ),
        (
            "seconds".to_owned(),
            format!("{:.1}", elapsed.as_secs_f64()),
        ),
    ]);
    if options.json {
        let fields = lines.iter().map(|(name, value)| {
            let value = match value.parse::<f64>() {
                Ok(_) => value.clone(),
                Err(_) => format!("\"{value}\""),
            };
            format!("  \"{}\": {value}", name.trim())
        });
        println!("{{\n{}\n}}", fields.collect::<Vec<_>>().join(",\n"));
        return;
    }
    for (name, value) in lines {
        println!("{name:32} {value:>16}");
    }
}

fn explain(wrong: Wrong) {
    let Wrong { seed, case, what } = wrong;
    eprintln!("\nseed {seed}: {what}\n{case:?}");
    eprintln!("again: cargo run --release -p tests --bin faults -- --replay {seed}");
    let patience = Duration::from_secs(20);
    let (smaller, what) = shrink(case, what, patience, |case| play(seed, case).map(drop));
    eprintln!("\nsmaller: {what}\n{smaller:?}");
}

/// Up to 20 times: on threads a failure may need some luck.
fn replay(seed: u64) -> ExitCode {
    let case = Case::by_lot(seed);
    println!("{case:?}");
    for _ in 0..20 {
        match play(seed, &case) {
            Ok(seen) => println!("right: {} items, {} faults", seen.items, seen.injected()),
            Err(what) => {
                explain(Wrong { seed, case, what });
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
