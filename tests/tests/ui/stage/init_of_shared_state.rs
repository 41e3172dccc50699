use pipeline_core::prelude::*;

async fn connect() -> Result<u64, BoxError> {
    Ok(1)
}

#[stage]
async fn work(#[state(init = connect)] seen: &u64, n: u64) -> u64 {
    *seen + n
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work::new()).count();
}
