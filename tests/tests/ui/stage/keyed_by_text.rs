use pipeline_core::prelude::*;

#[stage(keyed = "user")]
async fn work(n: u64) -> u64 {
    n
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
