use pipeline_core::prelude::*;

fn main() {
    let _ = Pipeline::from_source(0..9u64).count();
}
