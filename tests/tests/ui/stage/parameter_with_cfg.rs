use pipeline_core::prelude::*;

#[stage]
fn work(#[cfg(all())] #[state] a: &u64, n: u64) -> u64 {
    a + n
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work::new(1)).count();
}
