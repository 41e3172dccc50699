//! What is done with an item: nothing, computing, pending once, sleeping.

use std::hint::black_box;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::task::yield_now;
use tokio::time::sleep;

/// Nothing.
pub async fn noop(index: u64) -> u64 {
    index
}

/// Pending once, and woken at once.
pub async fn pending_once(index: u64) -> u64 {
    yield_now().await;
    index
}

/// Computing for about `micros` microseconds, without waiting.
pub fn spin(index: u64, micros: u64) -> u64 {
    black_box(hash(index, micros * hashes_per_micro()));
    index
}

fn hash(mut value: u64, times: u64) -> u64 {
    for _ in 0..times {
        value ^= value >> 33;
        value = value.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        value ^= value >> 29;
    }
    value
}

/// Measured once: the best of several, because whatever disturbs makes it slower.
fn hashes_per_micro() -> u64 {
    static RATE: OnceLock<u64> = OnceLock::new();
    *RATE.get_or_init(|| {
        const TIMES: u64 = 1_000_000;
        let best = (0..9).map(|_| {
            let start = Instant::now();
            black_box(hash(black_box(1), TIMES));
            start.elapsed()
        });
        let micros = best.min().unwrap_or_default().as_secs_f64() * 1e6;
        ((TIMES as f64 / micros).round() as u64).max(1)
    })
}

/// `splitmix64`, started with 1: the same numbers on every machine.
fn splitmix() -> impl Iterator<Item = u64> {
    let mut state: u64 = 1;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// How long each item sleeps.
#[derive(Debug, Clone)]
pub struct Delays(Arc<[Duration]>);

impl Delays {
    /// 0 to 99 ms, evenly spread.
    pub fn uniform(items: usize) -> Self {
        Delays(
            splitmix()
                .map(|number| Duration::from_millis(number % 100))
                .take(items)
                .collect(),
        )
    }

    /// 1 ms, and 100 ms for one item in a hundred.
    pub fn rarely_slow(items: usize) -> Self {
        let millis = |number: u64| if number.is_multiple_of(100) { 100 } else { 1 };
        Delays(
            splitmix()
                .map(|number| Duration::from_millis(millis(number)))
                .take(items)
                .collect(),
        )
    }

    /// The same for all.
    pub fn constant(delay: Duration, items: usize) -> Self {
        Delays(std::iter::repeat_n(delay, items).collect())
    }

    /// The delays in the order of the items.
    pub fn as_slice(&self) -> &[Duration] {
        &self.0
    }

    /// Sleeping for the delay of that item, which begins with the first poll: some peers make futures ahead of time.
    pub fn nap(&self, index: u64) -> impl Future<Output = u64> + Send + use<> {
        let delay = self.0[index as usize];
        async move {
            sleep(delay).await;
            index
        }
    }
}
