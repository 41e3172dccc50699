use pipeline_core::prelude::*;

struct Event;

#[stage]
async fn event(n: u64) -> Event {
    let _ = n;
    Event
}

fn main() {}
