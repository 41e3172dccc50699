#![deny(unused_must_use)]

use pipeline_core::{BuildError, prelude::*};

fn main() -> Result<(), BuildError> {
    Pipeline::from_iter(0..9).map(|n| n + 1).parallelism(4);
    Pipeline::from_iter(0..9).count();
    Pipeline::from_iter(0..9).count().start()?;
    Ok(())
}
