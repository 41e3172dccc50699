//! The stage: a path in, its digest out.

use std::{fs::File, io, io::Read, path::Path, path::PathBuf};

use pipeline_core::prelude::*;
use sha2::{Digest, Sha256};

use crate::{failure::Failure, progress::Progress};

/// Bytes read at once. One buffer a worker, used for all its files, so that a file of any size costs
/// no more memory than an empty one.
pub(crate) const CHUNK: usize = 64 * 1024;

/// A file that was read to its end.
#[derive(Debug)]
pub(crate) struct Hashed {
    pub(crate) path: PathBuf,
    pub(crate) digest: [u8; 32],
}

/// Reads the whole file, if the walk has found one. Blocks its thread.
#[stage(blocking)]
pub(crate) fn hash(
    #[state] buffer: &mut Vec<u8>,
    #[state] progress: &Progress,
    found: Result<PathBuf, Failure>,
) -> Result<Hashed, Failure> {
    let path = found?;
    match digest(&path, buffer, progress) {
        Ok(digest) => Ok(Hashed { path, digest }),
        Err(cause) => Err(Failure::new(path, cause)),
    }
}

fn digest(path: &Path, buffer: &mut [u8], progress: &Progress) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&buffer[..n]);
                progress.read(n);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    progress.finished_file();
    Ok(hasher.finalize().into())
}
