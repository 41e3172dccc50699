use std::rc::Rc;

use pipeline_core::prelude::*;

fn main() {
    let offset = Rc::new(1u64);
    let _ = Pipeline::from_iter(0..9u64).map(move |n| n + *offset).count();
}
