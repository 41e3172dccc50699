use pipeline_core::prelude::*;

struct Decoder;

impl Decoder {
    #[stage]
    async fn work(&mut self, n: u64) -> u64 {
        n
    }
}

fn main() {}
