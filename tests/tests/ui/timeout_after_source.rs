use std::time::Duration;

use pipeline_core::prelude::*;

fn main() {
    let _ = Pipeline::from_iter(0..9).timeout(Duration::from_secs(1));
    let _ = Pipeline::from_iter(0..9).attempt_timeout(Duration::from_secs(1));
    let _ = Pipeline::from_iter(0..9).retry(Retry::fixed(Duration::from_secs(1)));
}
