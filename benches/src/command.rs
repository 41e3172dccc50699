//! The command line of the programs: which groups are measured, with how much effort.

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt};

use crate::measure::{Effort, alone};
use crate::tally::Wrong;

/// What a program can do.
#[derive(Debug)]
pub struct Program {
    /// What `--help` prints.
    pub usage: &'static str,
    /// What there is to measure.
    pub groups: Vec<&'static str>,
    /// The effort that is made unless told otherwise.
    pub full: Effort,
    /// With `--quick`.
    pub quick: Effort,
    /// Whether there is an option `--output`.
    pub writes: bool,
    /// Measures.
    pub measure: fn(&Wanted) -> ExitCode,
    /// Runs one sample in this process: see [`alone`].
    pub alone: fn(&str) -> Result<(), Wrong>,
}

/// What the command line asks to be measured.
#[derive(Debug)]
pub struct Wanted {
    /// How much effort is made.
    pub effort: Effort,
    /// Whether that is the small one.
    pub quick: bool,
    /// The folder for what is written.
    pub output: Option<PathBuf>,
    only: Vec<String>,
}

impl Wanted {
    /// Whether that group is.
    pub fn wants(&self, group: &str) -> bool {
        self.everything() || self.only.iter().any(|text| group.contains(text.as_str()))
    }

    /// Whether all groups are.
    pub fn everything(&self) -> bool {
        self.only.is_empty()
    }
}

enum Request {
    Help,
    List,
    Alone(String),
    Measure(Wanted),
}

impl Program {
    /// Does what the command line says.
    pub fn main(&self) -> ExitCode {
        match self.request(Parser::from_env()) {
            Ok(Request::Help) => {
                println!("{}", self.usage);
                ExitCode::SUCCESS
            }
            Ok(Request::List) => {
                self.groups.iter().for_each(|group| println!("{group}"));
                ExitCode::SUCCESS
            }
            Ok(Request::Alone(sample)) => match (self.alone)(&sample) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            },
            Ok(Request::Measure(wanted)) => (self.measure)(&wanted),
            Err(error) => {
                eprintln!("{error}\n\n{}", self.usage);
                ExitCode::from(2)
            }
        }
    }

    fn request(&self, mut words: Parser) -> Result<Request, lexopt::Error> {
        let mut wanted = Wanted {
            effort: self.full,
            quick: false,
            output: None,
            only: Vec::new(),
        };
        while let Some(word) = words.next()? {
            match word {
                Arg::Long("quick") => (wanted.quick, wanted.effort) = (true, self.quick),
                Arg::Long("only") => wanted.only.push(words.value()?.string()?),
                Arg::Long("output") if self.writes => wanted.output = Some(words.value()?.into()),
                Arg::Long(alone::OPTION) => return Ok(Request::Alone(words.value()?.string()?)),
                Arg::Long("list") => return Ok(Request::List),
                Arg::Long("help") | Arg::Short('h') => return Ok(Request::Help),
                other => return Err(other.unexpected()),
            }
        }
        let known = |text: &String| {
            let mut groups = self.groups.iter();
            groups.any(|group| group.contains(text.as_str()))
        };
        match wanted.only.iter().find(|text| !known(text)) {
            Some(text) => Err(format!("no group has `{text}` in its name").into()),
            None => Ok(Request::Measure(wanted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(writes: bool, words: &[&str]) -> Result<Wanted, String> {
        let program = Program {
            usage: "",
            groups: vec!["no-op", "sleeps", "steps"],
            full: Effort::FULL,
            quick: Effort::QUICK,
            writes,
            measure: |_| ExitCode::SUCCESS,
            alone: |_| Ok(()),
        };
        let parser = Parser::from_iter(["program"].iter().chain(words));
        match program.request(parser) {
            Ok(Request::Measure(wanted)) => Ok(wanted),
            Ok(_) => panic!("it is a request to measure"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn groups_can_be_picked() {
        let wanted = parse(false, &["--quick", "--only", "no-op", "--only=sleeps"]);
        let wanted = wanted.expect("it is a valid request");
        let wants = ["no-op", "sleeps", "steps"].map(|group| wanted.wants(group));
        assert_eq!((wants, wanted.quick), ([true, true, false], true));
    }

    #[test]
    fn without_a_choice_everything_is_measured() {
        let wanted = parse(false, &[]).expect("it is a valid request");
        assert!(wanted.wants("steps") && wanted.everything() && !wanted.quick);
    }

    #[test]
    fn a_group_that_does_not_exist_is_refused() {
        let error = parse(false, &["--only", "nop"]).expect_err("it is not there");
        assert_eq!(error, "no group has `nop` in its name");
    }

    #[test]
    fn what_writes_nothing_has_no_output() {
        assert!(parse(false, &["--output", "folder"]).is_err());
        let wanted = parse(true, &["--output", "folder"]).expect("it is a valid request");
        assert_eq!(wanted.output, Some(PathBuf::from("folder")));
    }
}
