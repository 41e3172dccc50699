use pipeline_core::prelude::*;

fn main() {
    let _ = Pipeline::from_iter(0..9).parallelism(4);
    let _ = Pipeline::from_iter(0..9).unordered();
    let _ = Pipeline::from_iter(0..9).window(4);
    let _ = Pipeline::from_iter(0..9).name("numbers");
}
