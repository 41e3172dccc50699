//! Compares the library with other crates and with what is written by hand, and writes a page of the book, with plots:
//! `cargo run --release -p benches --bin compare -- [--quick] [--only TEXT]`.

mod erased;
mod page;
mod plot;
mod probes;
mod standing;
mod workloads;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use self::page::Page;
use self::standing::Standing;
use self::workloads::WORKLOADS;
use benches::command::{Program, Wanted};
use benches::measure::Effort;

const USAGE: &str = "\
Compares the library with its peers, and writes a page of the book with tables and plots.

usage: cargo run --release -p benches --bin compare -- [OPTIONS]

  --quick       about two minutes instead of six
  --only TEXT   only groups with TEXT in their names; may be given several times.
                The rest of the page stays as it is
  --list        the names of the groups
  --output DIR  where `comparison.md` and its plots are written; book/pages by default
  --help        this text

The status is 1 when a result is wrong: items lost, doubled, out of order, or a run that failed or
hung. Its part of the page then stays as it is.
With `--no-default-features`, published crates are left out.";

const FULL: Effort = Effort {
    rounds: 11,
    sample: Duration::from_millis(100),
    long_rounds: 5,
    paced: Duration::ZERO,
};

const QUICK: Effort = Effort {
    rounds: 3,
    sample: Duration::from_millis(30),
    long_rounds: 1,
    paced: Duration::ZERO,
};

/// The program: reads the command line, measures, prints, writes.
fn main() -> ExitCode {
    let workloads = WORKLOADS.iter().map(|workload| workload.name);
    let program = Program {
        usage: USAGE,
        groups: workloads.chain([probes::NAME]).collect(),
        full: FULL,
        quick: QUICK,
        writes: true,
        measure,
        alone: probes::run_alone,
    };
    program.main()
}

fn measure(wanted: &Wanted) -> ExitCode {
    if cfg!(debug_assertions) && wanted.output.is_none() {
        eprintln!("a debug build has no figures for the book: `--release`, or `--output DIR`");
        return ExitCode::from(2);
    }
    let start = Instant::now();
    let pages = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("book")
        .join("pages");
    let folder = wanted.output.clone().unwrap_or_else(|| pages.clone());
    let done = open(&folder, &pages).and_then(|mut page| {
        let right = write(&mut page, wanted)?;
        page.save()?;
        Ok(right)
    });
    let seconds = start.elapsed().as_secs_f64();
    match done {
        Ok(right) => {
            let page = folder.join(page::NAME);
            println!("{} is written, after {seconds:.0} s", page.display());
            if cfg!(not(feature = "peers")) {
                println!("published crates were left out: they need the feature `peers`");
            }
            if cfg!(debug_assertions) {
                println!("DEBUG BUILD: the figures mean nothing");
            }
            ExitCode::from(u8::from(!right))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The page in `folder`, or else the one of the book.
fn open(folder: &Path, pages: &Path) -> Result<Page, String> {
    let own = folder.join(page::NAME);
    let from = if own.exists() {
        own
    } else {
        pages.join(page::NAME)
    };
    Page::open(&from, PathBuf::from(folder))
}

/// Whether all results were right.
fn write(page: &mut Page, wanted: &Wanted) -> Result<bool, String> {
    let mut right = true;
    let mut standings: Vec<Standing> = Vec::new();
    let when = page::When::now(wanted.quick);
    page.machine(&when)?;
    for workload in WORKLOADS.iter().filter(|each| wanted.wants(each.name)) {
        match workload.race(&wanted.effort) {
            Ok(rounds) => {
                let standing = Standing::of(workload, &rounds);
                let (table, rounds) = (standing.table(), standing.rounds());
                println!("## {}\n\n{table}\n{rounds}\n", workload.name);
                page.standing(&standing, &when)?;
                standings.push(standing);
            }
            Err(error) => {
                right = false;
                println!("## {}\n\nWRONG: {error}\n", workload.name);
            }
        }
    }
    page.overview(&standings)?;
    if wanted.wants(probes::NAME) {
        match probes::measure(&wanted.effort) {
            Ok(found) => {
                println!("## {}\n\n{}", probes::NAME, found.table());
                page.probes(&found, &when)?;
            }
            Err(error) => {
                right = false;
                println!("## {}\n\nWRONG: {error}\n", probes::NAME);
            }
        }
    }
    Ok(right)
}
