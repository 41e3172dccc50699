//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use lexopt::{Arg, Parser, ValueExt};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Works on many jobs that only wait, each for a time of its own, with many workers
at once, and gives the results in the order of the jobs. Says how long that took,
and how long it has to take.

Usage: reorder [OPTIONS]

Options:
  -n, --jobs <N>      How many jobs, 1 to 1000000 (default: 1000)
  -w, --workers <N>   Jobs in work at the same time, at least 1 (default: 100)
      --max <MS>      The longest job, in milliseconds, up to an hour. They are
                      evenly spread from 0 to that (default: 99)
      --seed <N>      Other jobs, for another number (default: 1)
      --window <N>    Jobs that may be begun and not have left yet: in work, or
                      done and waiting for their turn. At least as many as there
                      are workers (default: 4 times those, but at least 1024)
  -u, --unordered     Results leave when they are done, not in order
      --runs <N>      So many times, 1 to 1000, and tells the median (default: 1)
      --svg <FILE>    Draws the schedule of the last run: who worked on what when,
                      and which results waited for their turn
  -r, --report        At the end, print what the last run did to stderr
  -h, --help          Print this help

The first Ctrl-C or SIGTERM finishes the jobs already taken, for at most 10 seconds;
the second one stops at once.

Exit status: 0 all jobs done, 1 results came out of order or the picture could not
be written, 2 wrong usage, 130 interrupted.
";

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Run(Options),
}

/// How many jobs of which kind, and how to work on them.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) jobs: usize,
    pub(crate) workers: usize,
    pub(crate) max: Duration,
    pub(crate) seed: u64,
    pub(crate) window: usize,
    pub(crate) unordered: bool,
    pub(crate) runs: usize,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) report: bool,
}

impl Options {
    /// The first line of the output, and the title of the picture.
    pub(crate) fn title(&self) -> String {
        let Options {
            jobs,
            workers,
            max,
            window,
            ..
        } = self;
        let order = if self.unordered {
            "as they are done".to_owned()
        } else {
            format!("in order, window {window}")
        };
        let max = max.as_millis();
        format!("{jobs} jobs of 0 to {max} ms on {workers} workers, {order}")
    }
}

/// Reads the arguments, without the name of the program.
///
/// # Errors
///
/// A sentence for the user: an unknown option, a missing or wrong value.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString, IntoIter: 'static>,
) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        jobs: 1000,
        workers: 100,
        max: Duration::from_millis(99),
        seed: 1,
        window: 0,
        unordered: false,
        runs: 1,
        svg: None,
        report: false,
    };
    let mut window = None;
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('n') | Arg::Long("jobs") => {
                options.jobs = number(&mut parser, "--jobs", 1, 1_000_000)?;
            }
            Arg::Short('w') | Arg::Long("workers") => {
                options.workers = number(&mut parser, "--workers", 1, 1_000_000)?;
            }
            Arg::Long("max") => {
                let max = number(&mut parser, "--max", 0, 3_600_000)?;
                options.max = Duration::from_millis(max as u64);
            }
            Arg::Long("seed") => options.seed = parser.value()?.parse()?,
            Arg::Long("window") => window = Some(parser.value()?.parse()?),
            Arg::Short('u') | Arg::Long("unordered") => options.unordered = true,
            Arg::Long("runs") => options.runs = number(&mut parser, "--runs", 1, 1000)?,
            Arg::Long("svg") => options.svg = Some(parser.value()?.into()),
            Arg::Short('r') | Arg::Long("report") => options.report = true,
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(argument.unexpected()),
        }
    }
    // what the library does by itself; written out, because the program speaks of it
    options.window = window.unwrap_or((4 * options.workers).max(1024));
    Ok(Command::Run(options))
}

fn number(
    parser: &mut Parser,
    option: &str,
    least: usize,
    most: usize,
) -> Result<usize, lexopt::Error> {
    let number = parser.value()?.parse()?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{option} must be {least} to {most}").into())
    }
}
