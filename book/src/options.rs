//! What the program `book` is asked for.

use std::ffi::OsString;

use lexopt::prelude::*;

/// What `--help` prints.
pub const HELP: &str = "\
Usage: cargo run -p book [-- [serve] [--port <number>]]
       cargo run -p book -- build

  serve            builds the guide and serves it on 127.0.0.1, until Ctrl-C (the default)
  build            builds the guide into target/book
  --port <number>  of the server; default 3000, and 0 for any that is free
  --help           this text
";

/// Of the server, unless it is told another one.
const PORT: u16 = 3000;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Build, and serve at this port.
    Serve(u16),
    /// Build.
    Build,
    /// Print [`HELP`].
    Help,
}

/// Reads the arguments, without the name of the program.
///
/// # Errors
///
/// Says which argument is not understood.
pub fn parse<A>(arguments: A) -> Result<Command, lexopt::Error>
where
    A: IntoIterator<Item: Into<OsString>>,
{
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut command, mut port) = (None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("port") | Short('p') => port = Some(parser.value()?.parse()?),
            Value(word) if command.is_none() => match word.to_str() {
                Some("serve") => command = Some(Command::Serve(PORT)),
                Some("build") => command = Some(Command::Build),
                _ => {
                    return Err(
                        format!("no command {word:?}: there are `serve` and `build`").into(),
                    );
                }
            },
            other => return Err(other.unexpected()),
        }
    }
    match (command, port) {
        (Some(Command::Build), Some(_)) => Err("`build` has no --port".into()),
        (Some(Command::Build), None) => Ok(Command::Build),
        (_, port) => Ok(Command::Serve(port.unwrap_or(PORT))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_understood_or_named() {
        let said = |arguments: &[&str]| parse(arguments).map_err(|error| error.to_string());
        assert_eq!(said(&[]), Ok(Command::Serve(3000)));
        assert_eq!(said(&["--port", "0"]), Ok(Command::Serve(0)));
        assert_eq!(said(&["serve", "-p", "8080"]), Ok(Command::Serve(8080)));
        assert_eq!(said(&["build"]), Ok(Command::Build));
        assert_eq!(said(&["build", "--help"]), Ok(Command::Help));
        for (wrong, named) in [
            (&["biuld"][..], "`serve` and `build`"),
            (&["build", "--port", "1"], "`build` has no --port"),
            (&["build", "serve"], "\"serve\""),
            (&["--prot", "1"], "--prot"),
            (&["--port", "high"], "high"),
            (&["--port", "70000"], "70000"),
            (&["--port"], "--port"),
        ] {
            let error = said(wrong).expect_err("it was accepted");
            assert!(error.contains(named), "{error}");
        }
    }
}
