use pipeline_core::prelude::*;

struct GameResult;

#[stage]
async fn work(_: u64) -> GameResult {
    GameResult
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
