//! The one door to the runtime: tasks, threads, locks, atomics, clocks and timers.
//!
//! The engine takes every primitive through which threads meet or time passes from here, and from
//! nowhere else. `cfg(shuttle)` replaces them by ones whose schedules are explored, `cfg(loom)` by
//! ones whose memory orders are. What relies on a habit of tokio is kept here too, see
//! [`give_way`].

#[cfg(not(any(shuttle, loom)))]
#[path = "rt/real.rs"]
mod imp;
#[cfg(loom)]
#[path = "rt/looming.rs"]
mod imp;
#[cfg(all(shuttle, not(loom)))]
#[path = "rt/shuttling.rs"]
mod imp;

pub(crate) use imp::{
    Clock, Moment, Mutex, Runtime, Timer, atomic, block_on, give_way, has_budget, has_timers, nap,
    seed, sleep,
};

/// Puts what is hot on cache lines of its own. 128 bytes, because common processors fetch lines in
/// pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> std::ops::Deref for Padded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
