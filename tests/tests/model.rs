//! Whole runs drawn by lot, against a reference that is simple enough to be right: `tests::model`.
//!
//! A short turn of the fault machine. Cases are the same every time; `MODEL_CASES=100000` takes more of them,
//! `MODEL_SEED=7` other ones. A failure prints the seed, and the smallest case that fails.

use std::env;
use std::time::Duration;

use tests::model::shrink::shrink;
use tests::model::{Case, Size, check};
use tests::random::Random;

#[test]
fn a_run_does_what_the_reference_says() {
    play(Size::Small, 3_000);
}

#[test]
fn so_it_does_on_threads() {
    play(Size::Threads, 300);
}

#[test]
fn so_it_does_with_many_items() {
    play(Size::Large, 2);
}

fn number(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}

/// So many cases of this size, unless the environment says otherwise.
fn play(size: Size, cases: usize) {
    let cases = number("MODEL_CASES").map_or(cases, |cases| cases as usize);
    let mut random = Random::new(number("MODEL_SEED").unwrap_or(0));
    let seeds = std::iter::repeat_with(|| random.number());
    for seed in seeds.filter(|seed| Size::of(*seed) == size).take(cases) {
        let case = Case::by_lot(seed);
        if let Err(wrong) = check(&case) {
            let patience = Duration::from_secs(20);
            let (smaller, wrong) = shrink(case, wrong, patience, |case| check(case).map(drop));
            panic!("seed {seed}: {wrong}\n{smaller:?}");
        }
    }
}
