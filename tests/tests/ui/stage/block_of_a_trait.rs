use pipeline_core::prelude::*;

#[derive(Clone)]
struct Work;

#[stage]
impl Stage<u64, u64> for Work {
    type Error = BoxError;

    async fn process(&mut self, n: u64) -> Result<u64, BoxError> {
        Ok(n)
    }
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work).count();
}
