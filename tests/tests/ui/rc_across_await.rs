use std::rc::Rc;

use pipeline_core::prelude::*;

#[derive(Clone)]
struct Slow;

impl Stage<u64, u64> for Slow {
    type Error = std::io::Error;

    async fn process(&mut self, n: u64) -> Result<u64, Self::Error> {
        let kept = Rc::new(n);
        tokio::task::yield_now().await;
        Ok(*kept)
    }
}

fn main() {}
