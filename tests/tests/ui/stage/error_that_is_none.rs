use pipeline_core::prelude::*;

#[derive(Debug)]
struct Wrong;

#[stage]
async fn work(n: u64) -> Result<u64, Wrong> {
    if n == 0 { Err(Wrong) } else { Ok(n) }
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
