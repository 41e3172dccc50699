use pipeline_core::prelude::*;

#[stage]
async fn work(#[state(shared)] seen: &u64, n: u64) -> u64 {
    *seen + n
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work::new(1)).count();
}
