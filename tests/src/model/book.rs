//! Writes down what happens in a run, and strikes when it is time.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};

use pipeline_core::run::Control;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::case::{Case, How};
use super::parcel::Parcel;
use super::reference::Fate;
use super::seen::{FAULTS, Fault};
use crate::flow::Flow;

/// The book of a run. Clones are the same.
#[derive(Debug, Clone)]
pub struct Book(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    case: Arc<Case>,
    flow: Flow,
    fates: Vec<Fate>,
    /// How often the body of a step was called for an item.
    calls: Vec<Vec<AtomicU32>>,
    crews: Vec<Crew>,
    out: Mutex<Vec<u64>>,
    pulled: AtomicU64,
    left: AtomicU64,
    gone: Vec<AtomicBool>,
    most_inside: AtomicU64,
    faults: [AtomicU64; FAULTS.len()],
    events: AtomicU64,
    struck: AtomicBool,
    impatient: AtomicBool,
    due: Notify,
    control: OnceLock<Control>,
    token: CancellationToken,
}

/// Who is in the bodies of a step.
#[derive(Debug, Default)]
struct Crew {
    now: AtomicU64,
    most: AtomicU64,
}

impl Book {
    /// An empty one.
    pub fn new(case: &Arc<Case>, flow: Flow) -> Self {
        let items = 0..case.items;
        let (steps, list) = (case.steps.len(), || items.clone());
        Book(Arc::new(Inner {
            case: Arc::clone(case),
            flow,
            fates: list().map(|index| case.fate(index)).collect(),
            calls: (0..steps)
                .map(|_| list().map(|_| AtomicU32::new(0)).collect())
                .collect(),
            crews: (0..steps).map(|_| Crew::default()).collect(),
            out: Mutex::default(),
            pulled: AtomicU64::new(0),
            left: AtomicU64::new(0),
            gone: list().map(|_| AtomicBool::new(false)).collect(),
            most_inside: AtomicU64::new(0),
            faults: Default::default(),
            events: AtomicU64::new(0),
            struck: AtomicBool::new(false),
            impatient: AtomicBool::new(false),
            due: Notify::new(),
            control: OnceLock::new(),
            token: CancellationToken::new(),
        }))
    }

    /// What is played.
    pub fn case(&self) -> &Case {
        &self.0.case
    }

    /// The standing checks.
    pub fn flow(&self) -> &Flow {
        &self.0.flow
    }

    /// What is to become of an item.
    pub fn fate(&self, index: u64) -> Fate {
        self.0.fates[index as usize]
    }

    // -- what happens --

    /// Something was injected.
    pub fn inject(&self, fault: Fault) {
        self.0.faults[fault as usize].fetch_add(1, SeqCst);
    }

    /// The source gives an item.
    pub fn pull(&self, index: u64) -> Parcel {
        self.0.flow.called("source");
        let pulled = self.0.pulled.fetch_add(1, SeqCst) + 1;
        let inside = pulled.saturating_sub(self.0.left.load(SeqCst));
        self.0.most_inside.fetch_max(inside, SeqCst);
        self.happen();
        Parcel::new(self, index)
    }

    /// The item leaves the pipeline now or soon, if it has not yet.
    pub fn is_gone(&self, index: u64) {
        if !self.0.gone[index as usize].swap(true, SeqCst) {
            self.0.left.fetch_add(1, SeqCst);
        }
    }

    /// The end has an item.
    pub fn hand(&self, parcel: &Parcel) {
        self.0.flow.called("end");
        parcel.defuse();
        self.0
            .out
            .lock()
            .expect("no panic under this lock")
            .push(parcel.index);
        self.is_gone(parcel.index);
    }

    /// The body of a step is called for an item: which attempt that is.
    pub fn enter(&self, step: usize, index: u64) -> Visit {
        self.0.flow.called("body");
        let crew = &self.0.crews[step];
        let now = crew.now.fetch_add(1, SeqCst) + 1;
        crew.most.fetch_max(now, SeqCst);
        let attempt = self.0.calls[step][index as usize].fetch_add(1, SeqCst) + 1;
        if self.fate(index) == (Fate::Open { step: step as u8 }) {
            self.is_gone(index);
        }
        self.happen();
        Visit {
            book: self.clone(),
            step,
            index,
            attempt,
        }
    }

    /// Something happened that a strike can be timed by.
    pub fn happen(&self) {
        let event = self.0.events.fetch_add(1, SeqCst);
        let Some(strike) = self.0.case.strike.filter(|strike| strike.at == event) else {
            return;
        };
        self.0.struck.store(true, SeqCst);
        match self.0.control.get() {
            Some(control) if strike.inside && self.act(strike.how, control) => {}
            _ => self.0.due.notify_one(),
        }
    }

    /// Strikes with what anybody can do. False if only the owner can.
    pub fn act(&self, how: How, control: &Control) -> bool {
        let fault = match how {
            How::Cancel => {
                control.cancel();
                Fault::Cancel
            }
            How::CancelToken => {
                self.0.token.cancel();
                Fault::Cancel
            }
            How::Drain(beats) => {
                control.drain(self.0.case.beats(beats));
                Fault::Drain
            }
            How::DrainToken(_) => {
                self.0.token.cancel();
                Fault::Drain
            }
            How::Drop | How::DropControls | How::RuntimeGone => return false,
        };
        self.inject(fault);
        true
    }

    /// Strikes from inside go to this run.
    pub fn watch(&self, control: Control) {
        self.0.control.set(control).expect("one run a case");
    }

    /// Waits until the owner is to strike.
    pub async fn due(&self) {
        self.0.due.notified().await;
    }

    /// For strikes by token.
    pub fn token(&self) -> &CancellationToken {
        &self.0.token
    }

    /// The end has been promised: no body is alive (K6).
    pub fn nobody_is_inside(&self) {
        let inside: u64 = self.0.crews.iter().map(|crew| crew.now.load(SeqCst)).sum();
        if inside > 0 {
            self.0
                .flow
                .blame(format!("K6: {inside} bodies are alive after the end"));
        }
    }

    /// The run was cancelled because it would not have ended.
    pub fn lost_patience(&self) {
        self.0.impatient.store(true, SeqCst);
    }

    // -- what was seen --

    /// Whether it was.
    pub fn has_lost_patience(&self) -> bool {
        self.0.impatient.load(SeqCst)
    }

    /// Whether the run was struck.
    pub fn was_struck(&self) -> bool {
        self.0.struck.load(SeqCst)
    }

    /// Of a kind, or of all.
    pub fn faults(&self) -> [u64; FAULTS.len()] {
        std::array::from_fn(|fault| self.0.faults[fault].load(SeqCst))
    }

    /// How often the body of a step was called for an item.
    pub fn calls(&self, step: usize, index: u64) -> u32 {
        self.0.calls[step][index as usize].load(SeqCst)
    }

    /// What the end has, in order of receipt.
    pub fn out(&self) -> Vec<u64> {
        self.0.out.lock().expect("no panic under this lock").clone()
    }

    /// What the source gave.
    pub fn pulled(&self) -> u64 {
        self.0.pulled.load(SeqCst)
    }

    /// The most that were between the source and the end.
    pub fn most_inside(&self) -> u64 {
        self.0.most_inside.load(SeqCst)
    }

    /// The most that were in the bodies of a step.
    pub fn most_in(&self, step: usize) -> u64 {
        self.0.crews[step].most.load(SeqCst)
    }
}

/// An item in a body.
#[derive(Debug)]
pub struct Visit {
    book: Book,
    step: usize,
    index: u64,
    /// The number of the attempt.
    pub attempt: u32,
}

impl Visit {
    /// The body is polled.
    pub fn polled(&self) {
        self.book.0.flow.called("poll of a body");
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.book.0.crews[self.step].now.fetch_sub(1, SeqCst);
        if let Fate::Fails { step, failure } = self.book.fate(self.index)
            && usize::from(step) == self.step
            && self.attempt >= failure.attempts
        {
            self.book.is_gone(self.index);
        }
    }
}
