//! The command line.

use std::{ffi::OsString, time::Duration};

use lexopt::{Arg, Parser, ValueExt};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Accepts JSON payloads over HTTP and stores them in batches, one object each.

Usage: ingest [OPTIONS]

Options:
  -l, --listen <ADDR>     Where to listen; port 0 takes a free one
                          (default: 127.0.0.1:8080)
  -s, --store <STORE>     Folder, made if need be, or with the feature `s3` a URL
                          such as s3://bucket/folder (default: ./payloads)
      --queue <N>         Requests that wait for a batch, at least 1; further ones
                          are refused with 503 (default: 64)
      --body-limit <N>    Bytes of a request's body; longer ones are refused with
                          413 (default: 1048576)
      --batch <N>         Payloads of an object, at least 1 (default: 1000). One
                          that is large counts once for each 8 KiB of it
      --age <MS>          Milliseconds that a batch waits for more (default: 20)
      --writers <N>       Objects written at the same time, at least 1 (default: 4)
      --remember <N>      Ids of stored payloads that are known when a client sends
                          them again (default: 200000)
  -r, --report            At the end, print what the run did to stderr
  -h, --help              Print this help

  POST /payloads   {\"payloads\": [{\"id\": \"a-1\", ...}, ...]}
                   202 all of them are stored; 503 none was accepted: again later,
                   as Retry-After says; 400, 408, 413 the request is wrong
  GET /health      200, or 503 while it drains
  GET /metrics     what the run has done until now, as JSON

S3 takes its credentials and its region from AWS_... variables.

Ctrl-C or SIGTERM refuses new requests, stores what was taken, for at most 30
seconds, and ends; a second one ends at once.

Exit status: 0 drained, 1 it could not start or go on, or was not drained in time,
2 wrong usage, 130 ended by the second signal.
";

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Serve(Options),
}

/// Where to listen, where to store, and the bounds of everything.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) listen: String,
    pub(crate) store: OsString,
    pub(crate) queue: usize,
    pub(crate) body_limit: usize,
    pub(crate) batch: usize,
    pub(crate) age: Duration,
    pub(crate) writers: usize,
    pub(crate) remember: usize,
    pub(crate) report: bool,
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
        listen: "127.0.0.1:8080".into(),
        store: "payloads".into(),
        queue: 64,
        body_limit: 1024 * 1024,
        batch: 1000,
        age: Duration::from_millis(20),
        writers: 4,
        remember: 200_000,
        report: false,
    };
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('l') | Arg::Long("listen") => options.listen = parser.value()?.string()?,
            Arg::Short('s') | Arg::Long("store") => options.store = parser.value()?,
            Arg::Long("queue") => options.queue = at_least_1("--queue", &mut parser)?,
            Arg::Long("body-limit") => {
                options.body_limit = at_least_1("--body-limit", &mut parser)?;
            }
            Arg::Long("batch") => options.batch = at_least_1("--batch", &mut parser)?,
            Arg::Long("age") => {
                options.age = Duration::from_millis(parser.value()?.parse()?);
            }
            Arg::Long("writers") => options.writers = at_least_1("--writers", &mut parser)?,
            Arg::Long("remember") => options.remember = parser.value()?.parse()?,
            Arg::Short('r') | Arg::Long("report") => options.report = true,
            Arg::Value(_) | Arg::Short(_) | Arg::Long(_) => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Serve(options))
}

fn at_least_1(option: &str, parser: &mut Parser) -> Result<usize, lexopt::Error> {
    match parser.value()?.parse()? {
        0 => Err(format!("{option} must be at least 1").into()),
        n => Ok(n),
    }
}
