use pipeline_core::prelude::*;

#[stage]
async fn work() -> u64 {
    7
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
