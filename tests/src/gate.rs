//! Gates: bodies wait until the test lets them pass.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::Semaphore;

/// Shut until it is opened, then open for good.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A shut gate.
    pub fn new() -> Self {
        Gate(Arc::new(Semaphore::new(0)))
    }

    /// Lets pass whoever waits, and all who come later.
    pub fn open(&self) {
        self.0.close();
    }

    /// Waits until the gate is open.
    pub async fn pass(&self) {
        // a semaphore without permits: `acquire` ends when it is closed
        let _closed = self.0.acquire().await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Gate::new()
    }
}

/// A gate for each index, made when it is first spoken of.
#[derive(Debug, Clone, Default)]
pub struct Gates(Arc<Mutex<HashMap<u64, Gate>>>);

impl Gates {
    /// All shut.
    pub fn new() -> Self {
        Gates::default()
    }

    fn gate(&self, index: u64) -> Gate {
        let mut gates = self.0.lock().expect("no panic under this lock");
        gates.entry(index).or_default().clone()
    }

    /// Opens the gate of `index`.
    pub fn open(&self, index: u64) {
        self.gate(index).open();
    }

    /// Waits at the gate of `index`.
    pub async fn pass(&self, index: u64) {
        self.gate(index).pass().await;
    }
}

/// A gate for threads: who waits at it blocks.
#[derive(Debug, Clone, Default)]
pub struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    /// Shut.
    pub fn new() -> Self {
        Door::default()
    }

    /// Lets pass whoever waits, and all who come later.
    pub fn open(&self) {
        let (open, change) = &*self.0;
        *open.lock().expect("no panic under this lock") = true;
        change.notify_all();
    }

    /// Blocks this thread until the door is open.
    pub fn pass(&self) {
        let (open, change) = &*self.0;
        let guard = open.lock().expect("no panic under this lock");
        let _open = change.wait_while(guard, |open| !*open);
    }
}
