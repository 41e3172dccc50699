//! Samples in processes of their own: the program calls itself, and what a sample takes, leaves behind or breaks is
//! its own.

use std::env;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::tally::Wrong;

/// The option by which a program runs one sample and nothing else. What the sample found it prints.
pub const OPTION: &str = "alone";

/// How often it is looked whether a sample has ended.
const GLANCE: Duration = Duration::from_millis(5);

/// How a sample ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// As it should, and it printed that.
    Well(String),
    /// Too late: it was killed.
    Hung,
    /// Badly. It said that.
    Badly(String),
}

/// Runs `sample` in a process of its own for at most that long.
pub fn run(sample: &str, limit: Duration) -> Result<Ended, Wrong> {
    let wrong = |error: std::io::Error| Wrong(format!("{sample}: {error}"));
    let program = env::current_exe().map_err(wrong)?;
    let mut child = Command::new(program)
        .arg(format!("--{OPTION}={sample}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(wrong)?;
    let start = Instant::now();
    // neither says more than a pipe holds
    let status = loop {
        match child.try_wait().map_err(wrong)? {
            Some(status) => break status,
            None if start.elapsed() > limit => {
                child.kill().and_then(|()| child.wait()).map_err(wrong)?;
                return Ok(Ended::Hung);
            }
            None => thread::sleep(GLANCE),
        }
    };
    let text = |pipe: Option<&mut dyn Read>| {
        let mut bytes = Vec::new();
        let read = pipe.map_or(Ok(0), |pipe| pipe.read_to_end(&mut bytes));
        read.map(|_| String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    Ok(if status.success() {
        Ended::Well(text(child.stdout.as_mut().map(|pipe| pipe as _)).map_err(wrong)?)
    } else {
        Ended::Badly(text(child.stderr.as_mut().map(|pipe| pipe as _)).map_err(wrong)?)
    })
}
