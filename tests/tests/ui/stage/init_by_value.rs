use pipeline_core::prelude::*;

async fn connect(from: &String) -> Result<usize, BoxError> {
    Ok(from.len())
}

#[stage]
async fn work(#[state(init = connect(String))] seen: &mut usize, n: usize) -> usize {
    *seen + n
}

fn main() {
    let _ = Pipeline::from_iter(0..9usize).stage(Work::new(String::new())).count();
}
