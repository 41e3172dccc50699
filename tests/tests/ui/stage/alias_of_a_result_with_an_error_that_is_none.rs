use pipeline_core::prelude::*;

struct Wrong;

type WorkResult = Result<u64, Wrong>;

#[stage]
async fn work(n: u64) -> WorkResult {
    if n == 0 { Err(Wrong) } else { Ok(n) }
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
