use pipeline_core::prelude::*;

#[stage]
fn work<'a>(#[state] names: &'a Vec<String>, n: usize) -> &'a str {
    &names[n]
}

fn main() {
    let _ = Pipeline::from_iter(0..9usize).stage(Work::new(Vec::new())).count();
}
