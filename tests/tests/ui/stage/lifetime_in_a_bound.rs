use pipeline_core::prelude::*;

trait Reads<'a> {}

#[stage]
fn work<'a, T: Reads<'a>>(item: T) -> T {
    item
}

fn main() {}
