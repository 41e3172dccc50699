use pipeline_core::prelude::*;

fn length(text: String) -> usize {
    text.len()
}

fn lengths(texts: Pipeline<String>) -> Pipeline<usize> {
    texts.map(length).parallelism(4)
}

fn main() {
    let _ = lengths;
}
