//! Renders the book as HTML into `target/book`: `cargo run -p book --features render`.

use book::marble;
use mdbook_driver::{MDBook, book::BookItem, errors::Result};

fn main() -> Result<()> {
    let mut book = MDBook::load(env!("CARGO_MANIFEST_DIR"))?;
    book.book.for_each_mut(|item| {
        if let BookItem::Chapter(chapter) = item {
            chapter.content = marble::draw_all(&chapter.content);
        }
    });
    book.build()?;
    println!(
        "{}",
        book.build_dir_for("html").join("index.html").display()
    );
    Ok(())
}
