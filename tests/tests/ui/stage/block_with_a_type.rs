use pipeline_core::prelude::*;

#[derive(Clone)]
struct Work;

#[stage(type = Worker)]
impl Work {
    async fn process(&mut self, n: u64) -> u64 {
        n
    }
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
