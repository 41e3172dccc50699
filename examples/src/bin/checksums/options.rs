//! The command line.

use std::{ffi::OsString, path::PathBuf, thread};

use lexopt::{Arg, Parser, ValueExt};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Prints the SHA-256 of every file under the given paths, in lines that
`sha256sum --check` accepts.

Usage: checksums [OPTIONS] [PATH]...

Arguments:
  [PATH]...        Files and folders (default: the current folder). A folder is
                   walked to the bottom, the names of each folder in byte order

Options:
  -j, --jobs <N>   Files read at the same time, at least 1 (default: one a core)
  -u, --unordered  Print a line as soon as its file is done, not in walk order
  -r, --report     At the end, print what the run did to stderr
  -h, --help       Print this help

Links given as a PATH are followed. Inside a folder, links are not followed: what
they point to is not read, and a broken one is an error. Devices, pipes and
sockets are read only if given as a PATH.

A file that cannot be read is named on stderr, and the rest goes on. The first
Ctrl-C finishes the files already taken, for at most 10 seconds; the second one
stops at once.

Exit status: 0 all files done, 1 some failed or the output could not be written,
2 wrong usage or a PATH that does not exist, 130 interrupted.
";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Hash(Options),
}

/// What to hash, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Never empty.
    pub(crate) paths: Vec<PathBuf>,
    /// Files read at the same time; at least 1.
    pub(crate) jobs: usize,
    pub(crate) unordered: bool,
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
        paths: Vec::new(),
        jobs: thread::available_parallelism().map_or(1, usize::from),
        unordered: false,
        report: false,
    };
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('j') | Arg::Long("jobs") => {
                options.jobs = parser.value()?.parse()?;
                if options.jobs == 0 {
                    return Err("--jobs must be at least 1".into());
                }
            }
            Arg::Short('u') | Arg::Long("unordered") => options.unordered = true,
            Arg::Short('r') | Arg::Long("report") => options.report = true,
            Arg::Value(path) => options.paths.push(path.into()),
            Arg::Short(_) | Arg::Long(_) => return Err(argument.unexpected()),
        }
    }
    if options.paths.is_empty() {
        options.paths.push(".".into());
    }
    Ok(Command::Hash(options))
}
