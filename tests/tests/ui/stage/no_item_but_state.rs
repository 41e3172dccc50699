use pipeline_core::prelude::*;

#[stage]
async fn work(#[state] seen: &mut u64) -> u64 {
    *seen
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work::new(1)).count();
}
