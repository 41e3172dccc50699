//! Renders the book as HTML into `target/book`: `cargo run -p book --features render`.

use mdbook_driver::{MDBook, errors::Result};

fn main() -> Result<()> {
    let book = MDBook::load(env!("CARGO_MANIFEST_DIR"))?;
    book.build()?;
    println!(
        "{}",
        book.build_dir_for("html").join("index.html").display()
    );
    Ok(())
}
