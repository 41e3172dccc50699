use pipeline_core::prelude::*;

fn main() {
    let _ = Pipeline::from_iter(0..9).map(|n| n + 1).filter(|n| n % 2 == 0).parallelism(4);
}
