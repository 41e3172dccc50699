//! The source: every file under the given paths, always in the same order.

use std::{fs, io, path::PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::failure::Failure;

/// The files under `paths`: path by path, folders depth first, the names of a folder in byte order.
///
/// What cannot be walked is an item too, so that it reaches the error channel on the same way as a
/// file that cannot be read. Names are read one folder at a time: memory follows the longest folder
/// on the way down, not the size of the tree.
pub(crate) fn files(paths: Vec<PathBuf>) -> impl Iterator<Item = Result<PathBuf, Failure>> + Send {
    paths
        .into_iter()
        .flat_map(|path| WalkDir::new(path).sort_by_file_name())
        .filter_map(|entry| match entry {
            Ok(entry) => file(entry),
            Err(error) => Some(Err(unwalked(error))),
        })
}

/// What is named on the command line is read whatever it is, through a link as well; inside a
/// folder, regular files are.
fn file(entry: DirEntry) -> Option<Result<PathBuf, Failure>> {
    let kind = entry.file_type();
    let named = entry.depth() == 0;
    let wanted = if kind.is_symlink() {
        match fs::metadata(entry.path()) {
            Ok(target) => named && !target.is_dir(),
            Err(broken) => return Some(Err(Failure::new(entry.into_path(), broken))),
        }
    } else {
        kind.is_file() || (named && !kind.is_dir())
    };
    wanted.then(|| Ok(entry.into_path()))
}

fn unwalked(error: walkdir::Error) -> Failure {
    let path = error.path().map(PathBuf::from).unwrap_or_default();
    let text = error.to_string();
    let cause = error
        .into_io_error()
        .unwrap_or_else(|| io::Error::other(text));
    Failure::new(path, cause)
}
