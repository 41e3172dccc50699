//! The command line.

use std::{ffi::OsString, time::Duration};

use lexopt::{Arg, Parser, ValueExt};
use url::Url;

use crate::address;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Follows the links of web sites, and reports the broken ones.

Usage: crawl [OPTIONS] URL...

Arguments:
  URL...               Where to start. Links are followed on the hosts of these
                       addresses, and nowhere else

Options:
  -j, --jobs <N>       Requests at the same time, in all (default: 32)
      --per-host <N>   Requests at the same time to one host (default: 2)
      --delay <S>      Seconds from one request of a host to the next, at least
                       (default: 0)
      --timeout <S>    Seconds that an answer may take (default: 10)
      --retries <N>    Further attempts after no answer, or one that says to try
                       again: 5xx, 408, 429 (default: 3)
      --pause <S>      Seconds before the second attempt; twice as long before each
                       further one (default: 0.5)
      --max-depth <N>  Follow at most so many links one after another. Goes level by
                       level then, so that the shortest way counts (default: any)
      --max-pages <N>  Visit at most so many addresses (default: 10000)
      --max-body <K>   Read at most so many KiB of a page (default: 2048)
  -e, --external       See whether links to other hosts lead somewhere, too: by HEAD,
                       and without following what is there
      --json           A JSON object a line, not text
  -r, --report         At the end, print what the run did to stderr
  -h, --help           Print this help

A line on stdout for each link that is broken:
  PAGE -> LINK: WHY
Of a link that many pages have, the first 100 are named and the others are counted.
Lines may also say `skipped`, for what this program cannot visit (https without
`--features https`), and after Ctrl-C `not visited`. Where there is no PAGE, the link
is one of those to start with.

Redirects are followed, 10 in a row. Pages are not executed, and robots.txt is not
read: use it where you may.

The first Ctrl-C or SIGTERM finishes the requests under way, for at most 10 seconds,
and says what was not visited; the second one stops at once.

Exit status: 0 no link is broken, 1 some are, 2 wrong usage, 3 the run failed or the
output could not be written, 130 interrupted.
";

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Crawl(Options),
}

/// Where to start, and how far to go.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Never empty.
    pub(crate) start: Vec<Url>,
    pub(crate) jobs: usize,
    pub(crate) per_host: usize,
    pub(crate) delay: Duration,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) pause: Duration,
    pub(crate) max_depth: Option<u32>,
    pub(crate) max_pages: u32,
    /// In bytes.
    pub(crate) max_body: usize,
    pub(crate) external: bool,
    pub(crate) json: bool,
    pub(crate) report: bool,
}

impl Options {
    /// Pages that may be inside the run at once: in work, or waiting for the pace of their host.
    pub(crate) fn inside(&self) -> usize {
        4 * self.jobs
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
        start: Vec::new(),
        jobs: 32,
        per_host: 2,
        delay: Duration::ZERO,
        timeout: Duration::from_secs(10),
        retries: 3,
        pause: Duration::from_millis(500),
        max_depth: None,
        max_pages: 10_000,
        max_body: 2048 * 1024,
        external: false,
        json: false,
        report: false,
    };
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('j') | Arg::Long("jobs") => {
                options.jobs = number(&mut parser, "--jobs", 1, 10_000)? as usize;
            }
            Arg::Long("per-host") => {
                options.per_host = number(&mut parser, "--per-host", 1, 10_000)? as usize;
            }
            Arg::Long("delay") => options.delay = seconds(&mut parser, "--delay", 0.0)?,
            Arg::Long("timeout") => options.timeout = seconds(&mut parser, "--timeout", 0.001)?,
            Arg::Long("retries") => options.retries = number(&mut parser, "--retries", 0, 100)?,
            Arg::Long("pause") => options.pause = seconds(&mut parser, "--pause", 0.0)?,
            Arg::Long("max-depth") => options.max_depth = Some(parser.value()?.parse()?),
            Arg::Long("max-pages") => {
                options.max_pages = number(&mut parser, "--max-pages", 1, 10_000_000)?;
            }
            Arg::Long("max-body") => {
                options.max_body = 1024 * number(&mut parser, "--max-body", 1, 1_048_576)? as usize;
            }
            Arg::Short('e') | Arg::Long("external") => options.external = true,
            Arg::Long("json") => options.json = true,
            Arg::Short('r') | Arg::Long("report") => options.report = true,
            Arg::Value(text) => options.start.push(start(&text.string()?)?),
            Arg::Short(_) | Arg::Long(_) => return Err(argument.unexpected()),
        }
    }
    if options.start.is_empty() {
        return Err("where to start? Give it a URL".into());
    }
    Ok(Command::Crawl(options))
}

fn start(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("{text}: {error}; an address begins with http:// or https://"))?;
    if !address::is_web(&url) {
        return Err(format!("{text}: only http and https can be followed"));
    }
    match address::unsupported(&url) {
        Some(why) => Err(format!("{text}: {why}")),
        None => Ok(url),
    }
}

fn number(parser: &mut Parser, option: &str, least: u32, most: u32) -> Result<u32, lexopt::Error> {
    let number = parser.value()?.parse()?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{option} must be {least} to {most}").into())
    }
}

fn seconds(parser: &mut Parser, option: &str, least: f64) -> Result<Duration, lexopt::Error> {
    const DAY: f64 = 86_400.0;
    let number: f64 = parser.value()?.parse()?;
    if (least..=DAY).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err(format!("{option} must be {least} to {DAY} seconds").into())
    }
}
