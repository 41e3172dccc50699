//! The source: lines, read or made up, without those that are done.

use std::{
    fmt,
    io::{self, ErrorKind, SeekFrom},
    path::Path,
};

use bytes::{Bytes, BytesMut};
use pipeline_core::prelude::*;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, AsyncSeekExt},
};

use crate::{generate, position::Position};

/// Bytes asked for at once. Lines are slices of what came, not copies.
const CHUNK: usize = 128 * 1024;
/// What is kept of a line that is too long.
const EXCERPT: usize = 200;

/// A line of the input. Clones share its text.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: u64,
    /// The byte of the input behind it.
    pub(crate) end: u64,
    /// Without its end; of one that is too long, the beginning.
    pub(crate) text: Bytes,
    pub(crate) too_long: bool,
}

/// Where lines come from.
pub(crate) enum Input {
    Generated(Generated),
    Read(Lines),
}

impl Source for Input {
    type Item = Line;
    type Error = io::Error;

    async fn next(&mut self) -> io::Result<Option<Line>> {
        match self {
            Input::Generated(lines) => Ok(lines.next()),
            Input::Read(lines) => lines.next().await,
        }
    }
}

/// The first `count` lines of a seed.
pub(crate) struct Generated {
    seed: u64,
    count: u64,
    /// Lines longer than this are handed on as such.
    limit: usize,
    next: u64,
    done: Position,
}

impl Generated {
    pub(crate) fn new(seed: u64, count: u64, limit: usize, done: Position) -> Self {
        let (next, _) = done.low_water();
        Generated {
            seed,
            count,
            limit,
            next,
            done,
        }
    }
}

impl Iterator for Generated {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        while self.next <= self.count {
            let number = self.next;
            self.next += 1;
            if !self.done.contains(number) {
                let text = generate::line(self.seed, number - 1);
                return Some(Line::new(number, 0, text.into(), self.limit));
            }
        }
        None
    }
}

/// The lines of a reader. Holds a line of `limit` bytes and a chunk, whatever comes.
pub(crate) struct Lines {
    from: Box<dyn AsyncRead + Send + Unpin>,
    /// Read, and not yet handed out.
    buffer: BytesMut,
    /// So much of it has no line end.
    searched: usize,
    /// The beginning of a line that is too long, while the rest of it is skipped.
    too_long: Option<Bytes>,
    ended: bool,
    /// Of the next line.
    number: u64,
    /// The byte at which the buffer begins.
    offset: u64,
    limit: usize,
    done: Position,
}

impl Lines {
    /// A file is read from the first line that is not done. What has no position, a pipe or a
    /// terminal, is read from its begin, and the lines that are done are skipped.
    pub(crate) async fn of_file(path: &Path, limit: usize, done: Position) -> io::Result<Self> {
        let mut file = File::open(path).await?;
        let metadata = file.metadata().await?;
        if metadata.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        let (number, offset) = if metadata.is_file() {
            done.low_water()
        } else {
            (1, 0)
        };
        if offset > 0 {
            if metadata.len() < offset {
                let text = "shorter than what was read of it: is it another file? (--as NAME for a new position)";
                return Err(io::Error::other(text));
            }
            file.seek(SeekFrom::Start(offset - 1)).await?;
            let before = file.read_u8().await?;
            if before != b'\n' && metadata.len() > offset {
                let text = format!(
                    "line {number} does not begin where it should: is it another file, or did its last \
                     line have no end? (--as NAME for a new position)"
                );
                return Err(io::Error::other(text));
            }
        }
        file.set_max_buf_size(CHUNK);
        let mut lines = Lines::new(file, limit, done);
        (lines.number, lines.offset) = (number, offset);
        Ok(lines)
    }

    pub(crate) fn new(
        from: impl AsyncRead + Send + Unpin + 'static,
        limit: usize,
        done: Position,
    ) -> Self {
        Lines {
            from: Box::new(from),
            buffer: BytesMut::new(),
            searched: 0,
            too_long: None,
            ended: false,
            number: 1,
            offset: 0,
            limit,
            done,
        }
    }

    /// Cancel safe: what was read is in `self`.
    async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let line = self.cut();
            if let Some(line) = line {
                if !self.done.contains(line.number) {
                    return Ok(Some(line));
                }
            } else if self.ended {
                return Ok(None);
            } else {
                if self.buffer.capacity() - self.buffer.len() < CHUNK / 4 {
                    self.buffer.reserve(CHUNK);
                }
                self.ended = self.from.read_buf(&mut self.buffer).await? == 0;
            }
        }
    }

    /// The next line of the buffer, if all of it is there.
    fn cut(&mut self) -> Option<Line> {
        let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
        let (length, end) = match found {
            Some(at) => (self.searched + at, 1),
            None if self.ended && !(self.buffer.is_empty() && self.too_long.is_none()) => {
                (self.buffer.len(), 0) // the last one, without a line end
            }
            None => {
                self.searched = self.buffer.len();
                if self.searched > self.limit {
                    let rest = self.buffer.split();
                    self.offset += rest.len() as u64;
                    self.searched = 0;
                    self.too_long.get_or_insert_with(|| excerpt(&rest));
                }
                return None;
            }
        };
        let text = self.buffer.split_to(length + end).freeze();
        self.offset += text.len() as u64;
        self.searched = 0;
        let number = self.number;
        self.number += 1;
        Some(match self.too_long.take() {
            Some(text) => Line {
                number,
                end: self.offset,
                text,
                too_long: true,
            },
            None => Line::new(number, self.offset, text.slice(..length), self.limit),
        })
    }
}

impl Line {
    fn new(number: u64, end: u64, text: Bytes, limit: usize) -> Self {
        let too_long = text.len() > limit;
        let text = if too_long { excerpt(&text) } else { text };
        Line {
            number,
            end,
            text,
            too_long,
        }
    }
}

/// A copy, so that the rest can go.
fn excerpt(text: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&text[..text.len().min(EXCERPT)])
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Input")
    }
}
