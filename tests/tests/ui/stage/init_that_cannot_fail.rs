use pipeline_core::prelude::*;

async fn connect() -> u64 {
    1
}

#[stage]
async fn work(#[state(init = connect)] seen: &mut u64, n: u64) -> u64 {
    *seen + n
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work::new()).count();
}
