//! Measures the figures of reliability, and writes them into the README and the book.
//!
//! ```sh
//! cargo run --release -p tests --bin figures -- schedules models faults scenarios latency leaks
//! ```
//!
//! Without names it takes all of these. Each name measures some rows of the table; other rows stay as they are,
//! with the date and the commit that they were measured at. `--minutes N` is for the fault machine, twice;
//! `--times N` multiplies the schedules. About half an hour, most of it the fault machine.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use pipeline_core::prelude::*;
use tokio::runtime::{Builder, Runtime};

const USAGE: &str = "figures [--minutes N] [--times N] [NAME]...";

/// The files with the table.
const FILES: &[&str] = &["README.md", "book/pages/figures.md"];
const BEGIN: &str = "<!-- figures: written by `cargo run --release -p tests --bin figures` -->";
const END: &str = "<!-- end of the figures -->";

/// A line of the table.
struct Row {
    figure: &'static str,
    value: String,
    command: String,
}

impl Row {
    fn new(figure: &'static str, value: impl Into<String>, command: impl Into<String>) -> Self {
        let (value, command) = (value.into(), command.into());
        Row {
            figure,
            value,
            command,
        }
    }
}

struct Options {
    minutes: f64,
    times: u64,
    names: Vec<String>,
}

/// What measures some rows.
type Measure = fn(&Options) -> Result<Vec<Row>, String>;

const MEASURES: &[(&str, Measure)] = &[
    ("schedules", schedules),
    ("models", models),
    ("faults", faults),
    ("scenarios", scenarios),
    ("latency", latency),
    ("leaks", leaks),
];

/// The order of the table. Rows that nothing here measures are written by hand, from the commands that they name.
const ORDER: &[&str] = &[
    "schedules explored",
    "exhaustive models",
    "faults injected",
    "items through fault runs",
    "lost / duplicated / out of order",
    "cancel points",
    "most items inside / bound",
    "scenario tests",
    "shutdown latency p50 / p99 / max",
    "tasks / bytes left by 1,000 runs",
    "soak",
    "race detectors",
    "mutants killed",
];

fn main() -> ExitCode {
    let options = match parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut rows = Vec::new();
    for (name, measure) in MEASURES {
        if !options.names.is_empty() && !options.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!("measuring: {name}");
        match measure(&options) {
            Ok(measured) => rows.extend(measured),
            Err(wrong) => {
                eprintln!("{name}: {wrong}");
                return ExitCode::FAILURE;
            }
        }
    }
    match write(&rows) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        minutes: 10.0,
        times: 4,
        names: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next();
            let value = value.ok_or(format!("`{argument}` needs a value"))?;
            value
                .parse::<f64>()
                .map_err(|error| format!("`{argument} {value}`: {error}"))
        };
        match argument.as_str() {
            "--minutes" => options.minutes = number()?,
            "--times" => options.times = number()?.max(1.0) as u64,
            name if MEASURES.iter().any(|(known, _)| *known == name) => {
                options.names.push(argument);
            }
            other => return Err(format!("`{other}` is unknown")),
        }
    }
    Ok(options)
}

// -------------------------------------------------------------------- measures

/// The engine under random and PCT schedules.
fn schedules(options: &Options) -> Result<Vec<Row>, String> {
    let text = cargo(
        &[
            "test",
            "-p",
            "pipeline-core",
            "--lib",
            "--release",
            "--target-dir",
            "target/shuttle",
            "--",
            "--nocapture",
        ],
        &[
            ("RUSTFLAGS", "--cfg shuttle"),
            ("EXPLORE_TIMES", &options.times.to_string()),
        ],
    )?;
    // other tests print on the same line
    let explored = text.split("explored ").skip(1).filter_map(|rest| {
        let (shape, rest) = rest.split_once(": ")?;
        let schedules: u64 = rest.split(' ').next()?.parse().ok()?;
        Some((shape.to_owned(), schedules))
    });
    let explored: Vec<_> = explored.collect();
    let shapes: BTreeMap<_, _> = explored.iter().cloned().collect();
    let sum: u64 = explored.iter().map(|(_, schedules)| schedules).sum();
    if sum == 0 {
        return Err("no schedule was explored".to_owned());
    }
    Ok(vec![Row::new(
        "schedules explored",
        format!(
            "{} over {} shapes, random and PCT; all hold",
            count(sum),
            shapes.len()
        ),
        format!("`EXPLORE_TIMES={}`, shuttle, seed 0", options.times),
    )])
}

/// The memory orders.
fn models(_: &Options) -> Result<Vec<Row>, String> {
    let text = cargo(
        &[
            "test",
            "-p",
            "pipeline-core",
            "--lib",
            "--release",
            "--target-dir",
            "target/loom",
        ],
        &[("RUSTFLAGS", "--cfg loom"), ("LOOM_MAX_PREEMPTIONS", "3")],
    )?;
    let passed = passed(&text);
    Ok(vec![Row::new(
        "exhaustive models",
        format!("{passed} of {passed} hold, up to 3 preemptions"),
        "loom",
    )])
}

/// The fault machine on two seeds.
fn faults(options: &Options) -> Result<Vec<Row>, String> {
    let minutes = options.minutes.to_string();
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    let mut worst: f64 = 0.0;
    for seed in ["1", "2"] {
        let text = cargo(
            &[
                "run",
                "--release",
                "-p",
                "tests",
                "--bin",
                "faults",
                "--",
                "--json",
                "--minutes",
                &minutes,
                "--seed",
                seed,
            ],
            &[],
        )?;
        for line in text.lines() {
            let Some((name, value)) = line.trim().trim_end_matches(',').split_once("\": ") else {
                continue;
            };
            let (name, value) = (name.trim_matches('"'), value.trim_matches('"'));
            if let Some((inside, bound)) = value.split_once(" / ") {
                let ratio = |text: &str| text.trim().parse::<f64>().unwrap_or(f64::NAN);
                worst = worst.max(ratio(inside) / ratio(bound));
            } else if let Ok(number) = value.parse::<u64>() {
                *sums.entry(name.to_owned()).or_default() += number;
            }
        }
    }
    let get = |name: &str| {
        let sum = sums.get(name).copied();
        sum.ok_or(format!("the fault machine does not tell `{name}`"))
    };
    let command = format!("`faults --minutes {minutes}`, seeds 1 and 2");
    let zeros = format!(
        "{} / {} / {}",
        get("cases with items lost")?,
        get("cases with items duplicated")?,
        get("cases out of order")?
    );
    Ok(vec![
        Row::new("faults injected", count(get("faults injected")?), &command),
        Row::new("items through fault runs", count(get("items")?), &command),
        Row::new("lost / duplicated / out of order", zeros, &command),
        Row::new("cancel points", count(get("points struck")?), &command),
        Row::new("most items inside / bound", format!("{worst:.2}"), &command),
    ])
}

/// The tests that look from the user's side.
fn scenarios(_: &Options) -> Result<Vec<Row>, String> {
    let text = cargo(&["test", "-p", "tests"], &[])?;
    Ok(vec![Row::new(
        "scenario tests",
        format!(
            "{} pass, most on 4 runtimes (current-thread; 1, 2 and 8 threads)",
            passed(&text)
        ),
        "`cargo test -p tests`",
    )])
}

/// From `cancel` to the end of `wait`, while bodies wait, compute and retry.
fn latency(_: &Options) -> Result<Vec<Row>, String> {
    const RUNS: usize = 1000;
    let mut times = Vec::new();
    let runtime = threads();
    for run in 0..RUNS {
        let time = runtime.block_on(async move {
            let job = Pipeline::from_iter(0u64..)
                .and_then(move |n| async move {
                    tokio::time::sleep(Duration::from_micros(n * 7 % 300)).await;
                    if n % 5 == 0 { Err("a fifth") } else { Ok(n) }
                })
                .parallelism(64)
                .retry(Retry::fixed(Duration::from_millis(1)).max_retries(2))
                .timeout(Duration::from_secs(5))
                .map(|n| n + 1)
                .parallelism(4)
                .for_each(drop)
                .on_error(OnError::Continue);
            let mut running = job.start().map_err(|error| error.to_string())?;
            tokio::time::sleep(Duration::from_micros(500 + run as u64 % 1000)).await;
            let begun = Instant::now();
            running.control().cancel();
            let ended = running.wait().await;
            match ended {
                Err(_) => Ok(begun.elapsed()),
                Ok(_) => Err("an endless run has finished".to_owned()),
            }
        })?;
        times.push(time);
    }
    times.sort_unstable();
    let at = |share: f64| times[((RUNS - 1) as f64 * share) as usize];
    Ok(vec![Row::new(
        "shutdown latency p50 / p99 / max",
        format!("{:.0?} / {:.0?} / {:.0?}", at(0.5), at(0.99), at(1.0)),
        "1,000 cancels of a run with 68 workers, 2 threads",
    )])
}

/// What is left after many runs.
fn leaks(_: &Options) -> Result<Vec<Row>, String> {
    let text = cargo(
        &[
            "test",
            "-p",
            "tests",
            "--test",
            "memory",
            "a_thousand_pipelines",
        ],
        &[],
    )?;
    if passed(&text) == 0 {
        return Err("the test is gone".to_owned());
    }
    Ok(vec![Row::new(
        "tasks / bytes left by 1,000 runs",
        "0 / less than 8 kB, and 8 kB for each thread of the blocking pool",
        "`cargo test -p tests --test memory`",
    )])
}

fn threads() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime of two threads")
}

/// Runs cargo in the workspace, and gives what it printed.
fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(root())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "cargo {} failed\n{text}\n{errors}",
        arguments.join(" ")
    ))
}

/// How many tests passed.
fn passed(text: &str) -> u64 {
    let results = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("test result: ok. ")?;
        rest.split(' ').next()?.parse::<u64>().ok()
    });
    results.sum()
}

/// With a comma between thousands.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

// -------------------------------------------------------------------- the table

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn write(measured: &[Row]) -> Result<(), String> {
    let when = format!(
        "{}, {}",
        first_line("date", &["-u", "+%Y-%m-%d"])?,
        commit()?
    );
    for file in FILES {
        let path = root().join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
            let (table, after) = rest.split_once(END)?;
            Some((before, table, after))
        });
        let Some((before, table, after)) = parts else {
            return Err(format!("{file}: it has no place for the table"));
        };
        let mut rows: BTreeMap<String, String> = BTreeMap::new();
        for line in table.lines().filter(|line| line.starts_with("| ")) {
            let figure = line.split('|').nth(1).unwrap_or_default().trim();
            if figure != "figure" && !figure.starts_with("---") {
                rows.insert(figure.to_owned(), line.to_owned());
            }
        }
        for Row {
            figure,
            value,
            command,
        } in measured
        {
            rows.insert(
                (*figure).to_owned(),
                format!("| {figure} | {value} | {command} | {when} |"),
            );
        }
        let mut table = format!(
            "{BEGIN}\nOn {}.\n\n| figure | value | measured by | when |\n| --- | --- | --- | --- |\n",
            machine()
        );
        for line in ORDER.iter().filter_map(|figure| rows.get(*figure)) {
            table.push_str(line);
            table.push('\n');
        }
        let text = format!("{before}{table}{END}{after}");
        fs::write(&path, text).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}

fn commit() -> Result<String, String> {
    first_line("git", &["rev-parse", "--short", "HEAD"])
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unknown processor", |line| {
        line.trim_start_matches([':', '\t', ' '])
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {model}, {}", env::consts::OS)
}

fn first_line(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
