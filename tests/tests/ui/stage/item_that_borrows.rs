use pipeline_core::prelude::*;

use std::borrow::Cow;

#[stage]
async fn work(text: Cow<'_, str>) -> usize {
    text.len()
}

fn main() {
    let _ = Pipeline::from_iter([Cow::from("a")]).stage(Work).count();
}
