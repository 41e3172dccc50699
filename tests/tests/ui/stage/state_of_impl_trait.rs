use pipeline_core::prelude::*;

#[stage]
async fn work(#[state] log: &impl ToString, n: u64) -> String {
    format!("{} {n}", log.to_string())
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work::new(1)).count();
}
