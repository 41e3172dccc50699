use pipeline_core::prelude::*;

#[stage]
async fn work(offset: &u64, n: u64) -> u64 {
    offset + n
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
