use pipeline_core::prelude::*;

fn main() {
    let _ = Pipeline::from_iter(0..9u64).try_map(|n| if n > 3 { Err(()) } else { Ok(n) }).count();
}
