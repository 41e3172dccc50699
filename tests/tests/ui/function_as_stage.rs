use pipeline_core::prelude::*;

async fn decode(text: String) -> Result<usize, std::io::Error> {
    Ok(text.len())
}

fn main() {
    let texts = Pipeline::from_iter([String::new()]);
    let _ = texts.stage(decode).parallelism(4).count();
}
