//! The command line.

use std::{ffi::OsString, path::PathBuf};

use lexopt::{Arg, Parser, ValueExt};
use url::Url;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Keeps messages until they are due, and delivers each at its time.

Usage: scheduler [OPTIONS]

Options:
  -d, --db <FILE>         SQLite database of what is pending, made if need be
                          (default: scheduler.db)
  -l, --listen <ADDR>     Take messages over HTTP and not from stdin; port 0 takes a
                          free one, which stderr names
  -t, --to <URL>          Deliver by POST to this URL and not to stdout
  -f, --flush             Deliver all that is in the database now, and end
      --most <N>          Messages that may be pending, at least 1 (default: 100000)
      --longest <N>       Bytes of a message (default: 16384)
  -r, --report            At the end, print what the run did to stderr as well
  -h, --help              Print this help

On stdin, one JSON object a line:
  {\"id\": \"a\", \"due\": \"2030-01-01T00:00:00Z\", \"body\": ...}   at that time
  {\"id\": \"a\", \"due\": 1500, \"body\": ...}        in so many milliseconds
  {\"id\": \"a\", \"cancel\": true}                  never
A message with the id of one that is pending replaces it. What is due already is
delivered at once.

Over HTTP:
  POST /messages          such a message: 202 when it is in the database
  DELETE /messages/{id}   200 it will not be delivered, 404 it is not pending,
                          409 it is just being delivered
  GET /messages           how many are pending
  POST /flush             deliver all of them now
400, 413 the request is wrong; 503 not now: too many are pending, or it is ending.

A line on stdout, or the body of a POST, is {\"id\": ..., \"due\": ..., \"body\": ...}.
Each message is delivered at least once: twice, if the program is killed between
the delivery and its note of it. The id tells.

A line that is wrong is named on stderr, and the rest goes on. At the end of stdin
it waits for what is pending. Ctrl-C or SIGTERM takes nothing more, delivers what is
due, leaves the rest in the database, and ends; a second one ends at once.

Exit status: 0 all well, 1 some lines or messages failed, or it could not go on,
2 wrong usage, 130 ended by the second signal.
";

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Run(Options),
}

/// Where messages come from, are kept, and go to.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) database: PathBuf,
    pub(crate) input: Input,
    pub(crate) to: Option<Url>,
    pub(crate) most: usize,
    pub(crate) longest: usize,
    pub(crate) report: bool,
}

/// Where messages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    Stdin,
    /// By HTTP, at this address.
    Http(String),
    /// Only those that are in the database, and all of them now.
    Flush,
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
        database: "scheduler.db".into(),
        input: Input::Stdin,
        to: None,
        most: 100_000,
        longest: 16 * 1024,
        report: false,
    };
    let mut flush = false;
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('d') | Arg::Long("db") => options.database = parser.value()?.into(),
            Arg::Short('l') | Arg::Long("listen") => {
                options.input = Input::Http(parser.value()?.string()?);
            }
            Arg::Short('f') | Arg::Long("flush") => {
                flush = true;
            }
            Arg::Short('t') | Arg::Long("to") => options.to = Some(parser.value()?.parse()?),
            Arg::Long("most") => options.most = at_least_1("--most", &mut parser)?,
            Arg::Long("longest") => options.longest = at_least_1("--longest", &mut parser)?,
            Arg::Short('r') | Arg::Long("report") => options.report = true,
            Arg::Value(_) | Arg::Short(_) | Arg::Long(_) => return Err(argument.unexpected()),
        }
    }
    if flush {
        if options.input != Input::Stdin {
            return Err("--flush goes without --listen".into());
        }
        options.input = Input::Flush;
    }
    Ok(Command::Run(options))
}

fn at_least_1(option: &str, parser: &mut Parser) -> Result<usize, lexopt::Error> {
    match parser.value()?.parse()? {
        0 => Err(format!("{option} must be at least 1").into()),
        n => Ok(n),
    }
}
