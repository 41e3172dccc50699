use pipeline_core::prelude::*;

fn main() {
    let mut seen = 0;
    let _ = Pipeline::from_iter(0..9u64)
        .map(move |n| {
            seen += n;
            seen
        })
        .count();
}
