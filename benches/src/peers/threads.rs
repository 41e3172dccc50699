//! What is written for work that only computes: a loop, rayon, threads.

#[cfg(feature = "peers")]
use pariter::IteratorExt;
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::tally::Collector;

/// One item after another on the calling thread.
pub fn sequential<T, C: Collector<T>>(
    items: u64,
    function: impl Fn(u64) -> T,
    mut collector: C,
) -> C {
    for index in 0..items {
        collector.take(function(index));
    }
    collector
}

/// Items that rayon collects at a time.
const BLOCK: usize = 8192;

/// A parallel iterator that collects a block of items, and then the collected results.
pub fn rayon<T, C>(
    pool: &ThreadPool,
    items: u64,
    function: impl Fn(u64) -> T + Sync + Send,
    mut collector: C,
) -> C
where
    T: Send,
    C: Collector<T>,
{
    let mut results = Vec::new();
    for start in (0..items).step_by(BLOCK) {
        // ranges of `usize` only have a length that rayon can rely on
        let block = 0..BLOCK.min((items - start) as usize);
        let work = block
            .into_par_iter()
            .map(|offset| function(start + offset as u64));
        pool.install(|| work.collect_into_vec(&mut results));
        results.drain(..).for_each(|result| collector.take(result));
    }
    collector
}

/// `pariter`: an iterator over what threads of its own compute, in order, with bounded channels between.
#[cfg(feature = "peers")]
pub fn pariter<T, C>(
    threads: usize,
    items: u64,
    function: impl Fn(u64) -> T + Clone + Send + 'static,
    mut collector: C,
) -> C
where
    T: Send + 'static,
    C: Collector<T>,
{
    let results = (0..items).parallel_map_custom(|map| map.threads(threads), function);
    results.for_each(|result| collector.take(result));
    collector
}

#[cfg(test)]
mod tests {
    use rayon::ThreadPoolBuilder;

    use super::*;
    use crate::tally::Tally;

    #[test]
    fn all_give_every_item_in_order() {
        let pool = ThreadPoolBuilder::new()
            .num_threads(2)
            .build()
            .expect("the system gives threads");
        let items = 2 * BLOCK as u64 + 1;
        let pass = |index| index;
        assert_eq!(
            sequential(items, pass, Tally::default()).check(items, true),
            Ok(())
        );
        assert_eq!(
            rayon(&pool, items, pass, Tally::default()).check(items, true),
            Ok(())
        );
        #[cfg(feature = "peers")]
        assert_eq!(
            pariter(2, items, pass, Tally::default()).check(items, true),
            Ok(())
        );
    }
}
