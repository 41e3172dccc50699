use pipeline_core::prelude::*;

#[stage]
mod work {
    pub fn seen() -> u64 {
        1
    }
}

fn main() {
    let _ = work::seen();
}
