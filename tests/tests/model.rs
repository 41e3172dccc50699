//! Whole runs drawn by lot, against a reference that is simple enough to be right: `tests::model`.
//!
//! A short turn of the fault machine, driven by proptest. Cases are the same every time; `PROPTEST_CASES=100000` takes
//! more of them, `PROPTEST_RNG_SEED=7` other ones. A failure is shrunk, and printed as the smallest case that fails.

use std::env;

use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::{RngSeed, TestRunner};
use tests::model::shrink::candidates;
use tests::model::{Case, Size, check};

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn a_run_does_what_the_reference_says(case in Cases(Size::Small)) {
        check(&case).map_err(TestCaseError::fail)?;
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn so_it_does_on_threads(case in Cases(Size::Threads)) {
        check(&case).map_err(TestCaseError::fail)?;
    }
}

proptest! {
    #![proptest_config(config(2))]

    #[test]
    fn so_it_does_with_many_items(case in Cases(Size::Large)) {
        check(&case).map_err(TestCaseError::fail)?;
    }
}

/// The cases of a test, unless the environment says otherwise.
fn config(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(0);
    }
    config.failure_persistence = None;
    // a run that hangs takes its time to do so
    config.max_shrink_time = 20_000;
    config
}

/// The generator of the fault machine, so that there is one.
#[derive(Debug)]
struct Cases(Size);

impl Strategy for Cases {
    type Tree = Shrinking;
    type Value = Case;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seeds = std::iter::repeat_with(|| runner.rng().next_u64());
        let seed = seeds.into_iter().find(|seed| Size::of(*seed) == self.0);
        let case = Case::by_lot(seed.unwrap_or_default());
        Ok(Shrinking {
            current: case.clone(),
            failing: case,
            left: Vec::new(),
        })
    }
}

/// A case that fails, and simpler ones that are still to be tried, the boldest last.
#[derive(Debug)]
struct Shrinking {
    current: Case,
    failing: Case,
    left: Vec<Case>,
}

impl Shrinking {
    fn try_next(&mut self) -> bool {
        let next = self.left.pop();
        let more = next.is_some();
        self.current = next.unwrap_or_else(|| self.failing.clone());
        more
    }
}

impl ValueTree for Shrinking {
    type Value = Case;

    fn current(&self) -> Case {
        self.current.clone()
    }

    /// The current one fails.
    fn simplify(&mut self) -> bool {
        self.failing = self.current.clone();
        self.left = candidates(&self.failing);
        self.left.reverse();
        self.try_next()
    }

    /// The current one does not fail.
    fn complicate(&mut self) -> bool {
        self.try_next()
    }
}
