use pipeline_core::prelude::*;

#[stage]
async fn work(#[state] (a, b): &(u64, u64), n: u64) -> u64 {
    a + b + n
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work::new((1, 2))).count();
}
