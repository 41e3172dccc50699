use pipeline_core::prelude::*;

#[derive(Clone)]
struct Work;

#[stage]
impl Work {
    async fn process(&mut self, #[state] seen: &mut u64, n: u64) -> u64 {
        *seen + n
    }
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
