//! The file of rejected lines, each in it exactly once.
//!
//! A batch's lines are appended before its transaction is committed, and the length of the file is
//! part of the transaction. What is behind that length after a crash was never committed: it is cut
//! off, and its lines are read again.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

use serde::Serialize;

use crate::book::Reject;

#[derive(Debug)]
pub(crate) struct Rejects {
    file: File,
    path: String,
    /// What is committed.
    length: u64,
}

/// A line of the file.
#[derive(Serialize)]
struct Record<'a> {
    line: u64,
    reason: &'a str,
    /// What is no UTF-8 in it is replaced; of a line that is too long it is the beginning.
    text: &'a str,
}

impl Rejects {
    /// Opens the file of an input whose last run had one, perhaps this one, of that length.
    ///
    /// It belongs to the input alone: a file with anything else in it is refused, not cut.
    pub(crate) fn open(path: &Path, stored: Option<&(String, u64)>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path)?;
        let path = path.canonicalize()?.to_string_lossy().into_owned();
        let there = file.metadata()?.len();
        let length = match stored {
            Some((of, length)) if *of == path && there >= *length => *length,
            _ if there == 0 => 0,
            _ => {
                let text = "not empty, and not what this input has written there: name a new file";
                return Err(io::Error::other(text));
            }
        };
        file.set_len(length)?;
        Ok(Rejects { file, path, length })
    }

    /// Writes these lines behind what is committed, and gives the path with the new length.
    pub(crate) fn append(&mut self, rejects: &[Reject<'_>]) -> Result<(String, u64), String> {
        let written = self.write(rejects);
        let length = written.map_err(|error| format!("{}: {error}", self.path))?;
        Ok((self.path.clone(), length))
    }

    fn write(&mut self, rejects: &[Reject<'_>]) -> io::Result<u64> {
        let mut lines = Vec::new();
        for Reject { line, reason } in rejects {
            let text = &String::from_utf8_lossy(&line.text);
            let line = line.number;
            serde_json::to_writer(&mut lines, &Record { line, reason, text })?;
            lines.push(b'\n');
        }
        self.file.set_len(self.length)?; // of an attempt that failed
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&lines)?;
        self.file.sync_data()?; // not later on the disk than the database
        Ok(self.length + lines.len() as u64)
    }

    /// Its transaction is committed.
    pub(crate) fn committed(&mut self, length: u64) {
        self.length = length;
    }
}
