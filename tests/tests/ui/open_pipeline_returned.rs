use pipeline_core::prelude::*;

fn lengths(texts: Pipeline<String>) -> Pipeline<usize> {
    texts.map(|text| text.len()).parallelism(4)
}

fn main() {
    let _ = lengths;
}
