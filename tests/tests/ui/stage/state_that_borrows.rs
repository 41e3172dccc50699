use pipeline_core::prelude::*;

use std::borrow::Cow;

#[stage]
async fn work(#[state] names: &Vec<Cow<'_, str>>, n: usize) -> usize {
    names[n].len()
}

fn main() {
    let _ = Pipeline::from_iter(0..9usize).stage(Work::new(Vec::<Cow<'static, str>>::new())).count();
}
