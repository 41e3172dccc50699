use pipeline_core::{error::DeadLetter, prelude::*};

struct Request(u64);

fn request(n: u64) -> Request {
    Request(n)
}

async fn send(request: Request) -> Result<u64, std::io::Error> {
    Ok(request.0)
}

fn keep(letters: tokio::sync::mpsc::Sender<DeadLetter<Request>>) {
    let _ = Pipeline::from_iter(0..9).map(request).and_then(send).dead_letters(letters);
}

fn main() {}
