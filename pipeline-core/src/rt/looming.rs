//! Loom's lock and atomics, for models of the engine's memory-order pairs. The rest is as in
//! real builds; no model uses it.

use std::time::Duration;

#[path = "real.rs"]
#[expect(dead_code, reason = "its lock and atomics are replaced")]
mod real;

pub(crate) use real::{
    Clock, Moment, Runtime, Timer, block_on, give_way, has_budget, has_timers, seed,
};

pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
}

#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

pub(crate) async fn sleep(time: Duration) {
    real::sleep(time).await;
}

pub(crate) fn nap(time: Duration) {
    real::nap(time);
}
