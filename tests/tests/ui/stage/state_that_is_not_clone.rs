use pipeline_core::prelude::*;

struct Connection;

#[stage]
async fn work(#[state] connection: &mut Connection, n: u64) -> u64 {
    let _ = connection;
    n
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work::new(Connection)).count();
}
