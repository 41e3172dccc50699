//! The pages as HTML: by mdBook, which is used as a library, so that nothing has to be installed.

use std::path::{Path, PathBuf};

use mdbook_driver::{MDBook, book::BookItem, errors::Result};

use crate::marble;

/// Where the book is built unless somebody says otherwise: `target/book`.
#[must_use]
pub fn folder() -> PathBuf {
    // written by hand, as `..` would be printed
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder.join("target/book")
}

/// Builds the book into a folder, instead of what was in there.
///
/// # Errors
///
/// Pages that cannot be read, or a folder that cannot be written.
pub fn build(folder: &Path) -> Result<()> {
    let mut book = MDBook::load(env!("CARGO_MANIFEST_DIR"))?;
    book.config.build.build_dir = folder.to_owned();
    book.book.for_each_mut(|item| {
        if let BookItem::Chapter(chapter) = item {
            chapter.content = marble::draw_all(&chapter.content);
        }
    });
    book.build()
}
