//! The source: lines of stdin, each with its number.

use std::{io, mem};

use pipeline_core::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader, Stdin, stdin};

/// A line of the input.
#[derive(Debug)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    /// Without its end. None if it is too long.
    pub(crate) text: Option<Vec<u8>>,
}

/// Reads stdin line by line, in bounded memory.
#[derive(Debug)]
pub(crate) struct Lines {
    stdin: BufReader<Stdin>,
    longest: usize,
    number: u64,
    /// What has been read of the next one: here and not in `next`, which may be dropped while it waits.
    begun: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    pub(crate) fn new(longest: usize) -> Self {
        Lines {
            stdin: BufReader::new(stdin()),
            longest,
            number: 0,
            begun: Vec::new(),
            is_too_long: false,
        }
    }

    fn line(&mut self) -> Line {
        self.number += 1;
        let text = mem::take(&mut self.begun);
        Line {
            number: self.number,
            text: (!mem::take(&mut self.is_too_long)).then_some(text),
        }
    }
}

impl Source for Lines {
    type Item = Line;
    type Error = io::Error;

    async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let bytes = self.stdin.fill_buf().await?;
            if bytes.is_empty() {
                let last = !self.begun.is_empty() || self.is_too_long;
                return Ok(last.then(|| self.line()));
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let read = end.map_or(bytes.len(), |end| end + 1);
            if self.begun.len() + part.len() > self.longest {
                self.is_too_long = true;
                self.begun.clear();
            }
            if !self.is_too_long {
                self.begun.extend(part);
            }
            self.stdin.consume(read);
            if end.is_some() {
                return Ok(Some(self.line()));
            }
        }
    }
}
