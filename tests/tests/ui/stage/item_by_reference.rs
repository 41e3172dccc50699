use pipeline_core::prelude::*;

#[stage]
async fn work(text: &str) -> usize {
    text.len()
}

fn main() {
    let _ = Pipeline::from_iter([String::new()]).stage(Work).count();
}
