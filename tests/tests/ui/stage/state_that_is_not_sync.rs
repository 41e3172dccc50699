use pipeline_core::prelude::*;

use std::cell::RefCell;

#[stage]
fn work(#[state] seen: &RefCell<Vec<u64>>, n: u64) -> u64 {
    seen.borrow_mut().push(n);
    n
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Work::new(RefCell::default())).count();
}
