use pipeline_core::prelude::*;

#[stage]
async fn work(a: u64, b: u64) -> u64 {
    a + b
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
