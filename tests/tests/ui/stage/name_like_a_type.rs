use pipeline_core::prelude::*;

#[stage]
#[allow(non_snake_case)]
async fn Work(n: u64) -> u64 {
    n
}

fn main() {}
