use pipeline_core::prelude::*;

use std::rc::Rc;

#[stage]
async fn work(n: u64) -> u64 {
    let kept = Rc::new(n);
    tokio::task::yield_now().await;
    *kept
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
