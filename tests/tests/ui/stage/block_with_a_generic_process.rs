use pipeline_core::prelude::*;

#[derive(Clone)]
struct Work;

#[stage]
impl Work {
    async fn process<T: Send>(&mut self, item: T) -> T {
        item
    }
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
