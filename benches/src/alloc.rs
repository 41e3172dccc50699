//! Counts allocations of the whole process, while told to.
//!
//! A program that wants counts installs [`Counting`] as its global allocator. Counting is off except
//! in the rows that ask for it, so that peers that allocate do not pay for being watched.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, with a counter of allocations and reallocations.
#[derive(Debug, Clone, Copy)]
pub struct Counting;

fn count_one() {
    if ON.load(Relaxed) {
        COUNT.fetch_add(1, Relaxed);
    }
}

#[expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]
// SAFETY: every call goes to `System` with the arguments unchanged; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Counts while it lives.
#[derive(Debug)]
pub struct Recording(());

impl Recording {
    /// Starts to count, or `None` if [`Counting`] is not the allocator of this program.
    pub fn start() -> Option<Self> {
        ON.store(true, Relaxed);
        let before = count();
        drop(black_box(Box::new(0_u64)));
        let recording = Recording(());
        (count() > before).then_some(recording)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        ON.store(false, Relaxed);
    }
}

/// Allocations counted so far.
pub fn count() -> u64 {
    COUNT.load(Relaxed)
}
