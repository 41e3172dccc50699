//! The command line.

use std::{
    ffi::OsString,
    path::{Path, PathBuf, absolute},
    thread,
};

use lexopt::{Arg, Parser, ValueExt};

use crate::store::Database;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Books events, a JSON object a line, in a table of orders.

  {\"event\":\"order\",\"order\":17,\"customer\":4,\"amount\":1999}    amount in cents
  {\"event\":\"cancel\",\"order\":17,\"customer\":4}

Usage: orders [OPTIONS] FILE
       orders [OPTIONS] - --as NAME
       orders [OPTIONS] --generate N [--seed S] [--print]

Input:
  FILE                 Lines of a file
  -                    Lines of stdin
      --generate <N>   The first N of made-up lines; one in a thousand is wrong
      --seed <S>       Which made-up lines (default: 1)
      --print          Only print them
      --as <NAME>      The position of the input is stored under this name
                       (default: the path of the file; stdin has none)
      --max-line <N>   Bytes of a line, longer ones are rejected (default: 16384)
      --ignore-unknown Accept objects with fields that have no meaning here

Output:
      --db <DB>        An SQLite file, or postgres://USER:PASSWORD@HOST/NAME if
                       built with `--features postgres` (default: orders.db)
      --rejects <FILE> Rejected lines with reasons, as JSON, each exactly once; a
                       new file for each input

Work:
      --by <ORDER>     `line`: booked in the order of the lines (default);
                       `customer`: in this order for each customer
  -j, --jobs <N>       Lines parsed at the same time (default: one a core)
      --readers <N>    Connections that look up customers (default: 4)
      --batch <N>      Lines of a transaction (default: 1000)
      --retries <N>    Attempts after the first one, if the database is locked,
                       full or away (default: 12, in about 15 seconds)

  -p, --progress       Say on stderr when a batch is committed
  -r, --report         At the end, print what each stage did to stderr
  -h, --help           Print this help

The position is stored with each batch, in its transaction: after a crash, the
same command goes on where it stopped; nothing is lost, and nothing is booked
twice. An input that is done has nothing to do, until it has grown. Standard
input, and pipes, have to come again from their begin.

A line is rejected, named on stderr with the reason, and the rest goes on: no
JSON, no UTF-8, empty, too long, a field that is unknown or missing, a number
that is negative, an unknown customer, an order that is there already, a
cancellation of an order that is not there or was cancelled before.

A new database gets 1,000 made-up customers, unless it has a table `customers`
(id, name, discount).

The first Ctrl-C, or SIGTERM, writes the lines already taken, for at most 30
seconds; the second one stops at once. Either way the position is right.

Exit status: 0 all lines booked, 1 stopped by an error (the same command goes
on), 2 wrong usage, 3 all lines done and some of them rejected, 130 interrupted.
";

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    /// So many lines of a seed.
    Print(u64, u64),
    Book(Options),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) input: From,
    /// Under which the position is stored.
    pub(crate) name: String,
    pub(crate) max_line: usize,
    pub(crate) ignore_unknown: bool,
    pub(crate) database: Database,
    pub(crate) rejects: Option<PathBuf>,
    pub(crate) by: By,
    pub(crate) jobs: usize,
    pub(crate) readers: usize,
    pub(crate) batch: usize,
    pub(crate) retries: u32,
    pub(crate) progress: bool,
    pub(crate) report: bool,
}

#[derive(Debug)]
pub(crate) enum From {
    File(PathBuf),
    Stdin,
    Generator { seed: u64, count: u64 },
}

/// What keeps its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Line,
    Customer,
}

/// Reads the arguments, without the name of the program.
///
/// # Errors
///
/// A sentence for the user.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString, IntoIter: 'static>,
) -> Result<Command, lexopt::Error> {
    let mut file: Option<PathBuf> = None;
    let (mut count, mut seed, mut print, mut name) = (None, 1, false, None);
    let mut options = Options {
        input: From::Stdin,
        name: String::new(),
        max_line: 16384,
        ignore_unknown: false,
        database: Database::Sqlite("orders.db".into()),
        rejects: None,
        by: By::Line,
        jobs: thread::available_parallelism().map_or(1, usize::from),
        readers: 4,
        batch: 1000,
        retries: 12,
        progress: false,
        report: false,
    };
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("generate") => count = Some(parser.value()?.parse()?),
            Arg::Long("seed") => seed = parser.value()?.parse()?,
            Arg::Long("print") => print = true,
            Arg::Long("as") => name = Some(parser.value()?.string()?),
            Arg::Long("max-line") => options.max_line = parser.value()?.parse()?,
            Arg::Long("ignore-unknown") => options.ignore_unknown = true,
            Arg::Long("db") => options.database = Database::parse(parser.value()?)?,
            Arg::Long("rejects") => options.rejects = Some(parser.value()?.into()),
            Arg::Long("by") => {
                options.by = match &*parser.value()?.string()? {
                    "line" => By::Line,
                    "customer" => By::Customer,
                    _ => return Err("--by takes `line` or `customer`".into()),
                }
            }
            Arg::Short('j') | Arg::Long("jobs") => {
                options.jobs = at_least_one(&mut parser, "jobs")?
            }
            Arg::Long("readers") => options.readers = at_least_one(&mut parser, "readers")?,
            Arg::Long("batch") => options.batch = at_least_one(&mut parser, "batch")?,
            Arg::Long("retries") => options.retries = parser.value()?.parse()?,
            Arg::Short('p') | Arg::Long("progress") => options.progress = true,
            Arg::Short('r') | Arg::Long("report") => options.report = true,
            Arg::Value(path) if file.is_none() => file = Some(path.into()),
            Arg::Value(_) | Arg::Short(_) | Arg::Long(_) => return Err(argument.unexpected()),
        }
    }
    options.input = match (file, count) {
        (Some(_), Some(_)) => return Err("a FILE or --generate, not both".into()),
        (None, None) => {
            return Err("which FILE? (`-` is stdin, --generate N makes lines up)".into());
        }
        (_, Some(count)) if print => return Ok(Command::Print(seed, count)),
        (_, None) if print => return Err("--print goes with --generate".into()),
        (_, Some(count)) => From::Generator { seed, count },
        (Some(file), _) if file == Path::new("-") => From::Stdin,
        (Some(file), _) => From::File(file),
    };
    options.name = match (name, &options.input) {
        (Some(name), _) => name,
        (None, From::Generator { seed, .. }) => format!("--generate --seed {seed}"),
        (None, From::File(file)) => match absolute(file) {
            Ok(path) => path.to_string_lossy().into_owned(),
            Err(error) => return Err(error.to_string().into()),
        },
        (None, From::Stdin) => {
            return Err("`-` needs --as NAME: the name under which its position is stored".into());
        }
    };
    Ok(Command::Book(options))
}

fn at_least_one(parser: &mut Parser, option: &str) -> Result<usize, lexopt::Error> {
    match parser.value()?.parse()? {
        0 => Err(format!("--{option} must be at least 1").into()),
        n => Ok(n),
    }
}
