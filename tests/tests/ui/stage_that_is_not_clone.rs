use pipeline_core::prelude::*;

struct Connection;

impl Stage<u64, u64> for Connection {
    type Error = std::io::Error;

    async fn process(&mut self, n: u64) -> Result<u64, Self::Error> {
        Ok(n)
    }
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Connection).count();
}
