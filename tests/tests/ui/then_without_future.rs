use pipeline_core::prelude::*;

fn main() {
    let _ = Pipeline::from_iter(0..9).then(|n| n + 1).count();
}
