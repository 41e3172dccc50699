use pipeline_core::prelude::*;

#[stage]
#[derive(Clone)]
struct Work {
    seen: u64,
}

impl Work {
    fn seen(&self) -> u64 {
        self.seen
    }
}

fn main() {
    let _ = Work { seen: 1 }.seen();
}
