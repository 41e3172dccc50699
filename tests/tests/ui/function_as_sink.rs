use pipeline_core::prelude::*;

fn print(n: u64) {
    println!("{n}");
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).sink(print);
}
