use pipeline_core::prelude::*;

async fn send(n: u64) -> Result<u64, std::io::Error> {
    Ok(n)
}

fn is_short(error: &std::fmt::Error) -> bool {
    error.to_string().len() < 9
}

fn main() {
    let _ = Pipeline::from_iter(0..9)
        .and_then(send)
        .retry(Retry::fixed(std::time::Duration::ZERO))
        .retry_if(is_short);
}
