//! The sink: lines on stdout, as `sha256sum` writes them.

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

use pipeline_core::prelude::*;

use crate::{hash::Hashed, progress::Progress};

/// Bytes that are worth a system call.
const ENOUGH: usize = 64 * 1024;

/// Collects lines and writes them when there are enough, at quiet moments, and at the end; whole
/// lines only.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    progress: Progress,
    on_terminal: bool,
}

impl Lines {
    pub(crate) fn new(progress: Progress) -> Self {
        let on_terminal = io::stdout().is_terminal();
        Lines {
            buffer: Vec::with_capacity(2 * ENOUGH),
            progress,
            on_terminal,
        }
    }

    /// Blocks its thread while nobody reads stdout.
    fn print(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let write = || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&self.buffer)?;
            stdout.flush()
        };
        // Not for a pipe: while that is full, messages on stderr would have to wait as well.
        let written = if self.on_terminal {
            self.progress.hidden_while(write)
        } else {
            write()
        };
        self.buffer.clear();
        written
    }
}

impl Sink<Hashed> for Lines {
    type Error = io::Error;

    async fn write(&mut self, files: &mut Vec<Hashed>) -> io::Result<()> {
        for file in files.drain(..) {
            push_line(&mut self.buffer, &file.digest, &file.path);
        }
        if self.buffer.len() >= ENOUGH {
            self.print()
        } else {
            Ok(())
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.print()
    }

    async fn close(mut self) -> io::Result<()> {
        self.print()
    }
}

/// `<hex>  <path>`. A name with a newline, a carriage return or a backslash is escaped, and its line
/// begins with a backslash. The bytes of other names stay as they are.
fn push_line(line: &mut Vec<u8>, digest: &[u8; 32], path: &Path) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let name = path.as_os_str().as_encoded_bytes();
    let escaped = name
        .iter()
        .any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'));
    if escaped {
        line.push(b'\\');
    }
    for byte in digest {
        line.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    line.extend(b"  ");
    if escaped {
        for &byte in name {
            match byte {
                b'\\' => line.extend(br"\\"),
                b'\n' => line.extend(br"\n"),
                b'\r' => line.extend(br"\r"),
                _ => line.push(byte),
            }
        }
    } else {
        line.extend(name);
    }
    line.push(b'\n');
}
