use pipeline_core::prelude::*;

fn is_even(n: &u64) -> bool {
    n % 2 == 0
}

fn main() {
    let _ = Pipeline::from_iter(0..9).filter(is_even).parallelism(4);
}
