use pipeline_core::prelude::*;

async fn get(client: String, n: u64) -> u64 {
    n + client.len() as u64
}

fn main() {
    let client = String::from("client");
    let _ = Pipeline::from_iter(0..9u64).then(move |n| async move { get(client, n).await }).count();
}
