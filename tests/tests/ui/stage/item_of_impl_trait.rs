use pipeline_core::prelude::*;

#[stage]
async fn work(text: impl ToString) -> String {
    text.to_string()
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
