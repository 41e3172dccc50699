//! How many are inside at once, how many were, and in which order they came in.

use std::sync::{Arc, Condvar, Mutex};

/// Counts who is between [`Gauge::enter`] and the drop of what it gave, against a limit (K4).
#[derive(Debug, Clone)]
pub struct Gauge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    state: Mutex<State>,
    change: Condvar,
}

#[derive(Debug, Default)]
struct State {
    now: usize,
    max: usize,
    entered: Vec<u64>,
}

impl Gauge {
    /// A gauge that should never show more than `limit`.
    pub fn new(limit: usize) -> Self {
        Gauge(Arc::new(Inner {
            limit,
            state: Mutex::default(),
            change: Condvar::new(),
        }))
    }

    fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.0.state.lock().expect("no panic under this lock"))
    }

    /// Comes in, with its index. Goes out when what is given back is dropped.
    pub fn enter(&self, index: u64) -> Inside {
        self.state(|state| {
            state.now += 1;
            state.max = state.max.max(state.now);
            state.entered.push(index);
        });
        self.0.change.notify_all();
        Inside(self.clone())
    }

    /// Inside now.
    pub fn now(&self) -> usize {
        self.state(|state| state.now)
    }

    /// The most that were inside at once.
    pub fn max(&self) -> usize {
        self.state(|state| state.max)
    }

    /// The indices in the order in which they came in.
    pub fn entered(&self) -> Vec<u64> {
        self.state(|state| state.entered.clone())
    }

    /// How many came in so far.
    pub fn count(&self) -> usize {
        self.state(|state| state.entered.len())
    }

    /// Blocks this thread until so many have been inside at once.
    pub fn wait_for(&self, n: usize) {
        let state = self.0.state.lock().expect("no panic under this lock");
        let _there = self.0.change.wait_while(state, |state| state.max < n);
    }

    /// What is wrong with it, if anything.
    pub fn verdict(&self) -> Option<String> {
        let (max, limit) = (self.max(), self.0.limit);
        (max > limit).then(|| format!("K4: {max} bodies at once where {limit} are allowed"))
    }
}

/// Somebody inside.
#[derive(Debug)]
pub struct Inside(Gauge);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.state(|state| state.now -= 1);
    }
}
