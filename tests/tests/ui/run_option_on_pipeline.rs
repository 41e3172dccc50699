use pipeline_core::prelude::*;

fn main() {
    let _ = Pipeline::from_iter(0..9u64).on_error(OnError::Continue);
}
