use pipeline_core::prelude::*;

#[derive(Clone)]
struct Decode;

impl Stage<String, usize> for Decode {
    type Error = std::io::Error;

    async fn process(&mut self, text: String) -> Result<usize, Self::Error> {
        Ok(text.len())
    }
}

fn main() {
    let _ = Pipeline::from_iter(0..9u64).stage(Decode).count();
}
