use pipeline_core::prelude::*;

struct Raw(u64);

#[stage(retry(backoff = "50ms"))]
async fn work(raw: Raw) -> u64 {
    raw.0
}

fn main() {
    let _ = Pipeline::from_iter([Raw(1)]).stage(Work).count();
}
