//! What is said of a file that could not be hashed.

use std::{
    error::Error,
    fmt::{self, Write},
    io,
    path::PathBuf,
};

/// A path, and why it could not be read: one line of text.
#[derive(Debug)]
pub(crate) struct Failure {
    path: PathBuf,
    cause: io::Error,
}

impl Failure {
    pub(crate) fn new(path: PathBuf, cause: io::Error) -> Self {
        Failure { path, cause }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name must not break the line, nor speak to the terminal.
        for c in self.path.to_string_lossy().chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        write!(f, ": {}", self.cause)
    }
}

/// The cause is part of the line already, so it is not given again as a source.
impl Error for Failure {}
