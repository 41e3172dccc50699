//! The smallest case that still fails: fewer items, fewer steps, fewer options, as long as it does.

use std::time::{Duration, Instant};

use super::case::{Act, Bombs, Case, End, Origin, Trouble, Wait};

/// Makes a failing case smaller for at most `patience`, and gives it with what is then wrong.
pub fn shrink(
    mut case: Case,
    mut wrong: String,
    patience: Duration,
    check: impl Fn(&Case) -> Result<(), String>,
) -> (Case, String) {
    let since = Instant::now();
    'smaller: loop {
        for smaller in candidates(&case) {
            if since.elapsed() > patience {
                break 'smaller;
            }
            // on threads a failure may need some luck
            let times = if case.is_real_time() { 3 } else { 1 };
            if let Some(still) = (0..times).find_map(|_| check(&smaller).err()) {
                (case, wrong) = (smaller, still);
                continue 'smaller;
            }
        }
        break;
    }
    (case, wrong)
}

/// Cases that are simpler by one thing, the boldest first.
pub fn candidates(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let mut simpler = |change: &dyn Fn(&mut Case)| {
        let mut simpler = case.clone();
        change(&mut simpler);
        if format!("{simpler:?}") != format!("{case:?}") {
            all.push(simpler);
        }
    };
    simpler(&|case| case.items /= 2);
    simpler(&|case| case.items = case.items.saturating_sub(1));
    simpler(&|case| case.strike = None);
    simpler(&|case| case.source_breaks = None);
    simpler(&|case| case.end_breaks = None);
    simpler(&|case| case.bombs = Bombs::No);
    simpler(&|case| case.errors = None);
    simpler(&|case| case.on_error = None);
    simpler(&|case| case.source = Origin::Iterator);
    simpler(&|case| case.end = End::Closure);
    for at in 0..case.steps.len() {
        simpler(&|case| drop(case.steps.remove(at)));
        simpler(&|case| case.steps[at].timeout = None);
        simpler(&|case| case.steps[at].attempt_timeout = None);
        simpler(&|case| case.steps[at].retry = None);
        simpler(&|case| case.steps[at].letters = None);
        simpler(&|case| case.steps[at].parallelism = 1);
        simpler(&|case| case.steps[at].spare = 0);
        simpler(&|case| case.steps[at].ordered = true);
        simpler(&|case| case.steps[at].keys = None);
        simpler(&|case| case.steps[at].aside = false);
        let acts = case.steps[at].acts.len();
        simpler(&|case| case.steps[at].acts.truncate(acts.div_ceil(2)));
        simpler(&|case| case.steps[at].acts.truncate(acts.max(2) - 1));
        let plain = Act {
            wait: Wait::Not,
            trouble: Trouble::No,
            times: 0,
        };
        for act in 0..acts.min(10) {
            simpler(&|case| case.steps[at].acts[act] = plain);
            simpler(&|case| case.steps[at].acts[act].wait = Wait::Not);
        }
    }
    all
}
