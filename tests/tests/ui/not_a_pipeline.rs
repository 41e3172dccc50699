use pipeline_core::prelude::*;

fn count(items: impl IntoPipeline<Item = u64>) -> Job<u64> {
    items.into_pipeline().count()
}

fn main() {
    let _ = count(vec![1u64]);
}
