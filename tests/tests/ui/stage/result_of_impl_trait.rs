use pipeline_core::prelude::*;

#[stage]
fn work(n: u64) -> impl Iterator<Item = u64> {
    0..n
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
