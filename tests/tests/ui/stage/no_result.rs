use pipeline_core::prelude::*;

#[stage]
async fn work(n: u64) {
    println!("{n}");
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
