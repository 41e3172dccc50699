//! What is to become of each item, if nobody stops the run.

use pipeline_core::error::{ErrorKind, OnError};

use super::case::{Act, Bombs, Case, Kind, Step, Trouble, Wait};

/// What becomes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It comes to the end.
    Arrives,
    /// A filter leaves it out.
    LeftOut {
        /// Where.
        step: u8,
    },
    /// It fails.
    Fails {
        /// Where.
        step: u8,
        /// How.
        failure: Failure,
    },
    /// It stays where it is, until somebody stops the run.
    Hangs {
        /// Where.
        step: u8,
    },
    /// It depends on times that nobody knows before.
    Open {
        /// Where.
        step: u8,
    },
}

/// How an item fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub kind: ErrorKind,
    /// How often its body was called, as far as the error tells.
    pub attempts: u32,
    /// The dead letters are told, if there are any.
    pub letter: bool,
}

/// The stay of an item in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// How often its body is called.
    pub calls: u32,
    /// How it ends.
    pub leave: Leave,
}

/// How a stay ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The item goes on.
    Passes,
    /// A filter leaves it out.
    LeftOut,
    /// It fails.
    Fails(Failure),
    /// It never does.
    Hangs,
    /// It depends on times that nobody knows before.
    Open,
}

/// How an attempt ends.
enum Attempt {
    Passes,
    Fails { kind: ErrorKind, again: bool },
    Hangs,
}

impl Case {
    /// What becomes of an item.
    pub fn fate(&self, index: u64) -> Fate {
        for (at, step) in self.steps.iter().enumerate() {
            let at = at as u8;
            match self.stay(step, index).leave {
                Leave::Passes => {}
                Leave::LeftOut => return Fate::LeftOut { step: at },
                Leave::Fails(failure) => return Fate::Fails { step: at, failure },
                Leave::Hangs => return Fate::Hangs { step: at },
                Leave::Open => return Fate::Open { step: at },
            }
        }
        Fate::Arrives
    }

    /// How it goes for an item in a step.
    pub fn stay(&self, step: &Step, index: u64) -> Stay {
        let act = step.act(index);
        if !step.takes(index) {
            let leave = Leave::Passes;
            return Stay { calls: 0, leave };
        }
        if step.is_operator() {
            let leave = if act.trouble == Trouble::No || !step.leaves_out() {
                Leave::Passes
            } else {
                Leave::LeftOut
            };
            return Stay { calls: 0, leave };
        }
        if self.is_open(step, act) {
            return Stay {
                calls: 0,
                leave: Leave::Open,
            };
        }
        let mut now = 0;
        let mut attempt = 1;
        loop {
            let fails = |kind, attempts, letter| {
                let failure = Failure {
                    kind,
                    attempts,
                    letter: letter && step.letters.is_some(),
                };
                Leave::Fails(failure)
            };
            if step.copies_before(attempt) && act.breaks_copy(attempt) {
                // a copy of the item as it came is there from the second attempt on
                let leave = fails(ErrorKind::Panicked, (attempt - 1).max(1), attempt > 1);
                return Stay {
                    calls: attempt - 1,
                    leave,
                };
            }
            let done = |leave| Stay {
                calls: attempt,
                leave,
            };
            let (kind, again) = match ends(step, act, attempt, &mut now) {
                Attempt::Passes if self.bursts(step, index, attempt) => {
                    return done(fails(ErrorKind::Panicked, attempt, false));
                }
                Attempt::Passes => return done(Leave::Passes),
                Attempt::Hangs => return done(Leave::Hangs),
                Attempt::Fails { kind, again } => (kind, again),
            };
            let Some(retry) = step.retry.filter(|retry| again && attempt <= retry.most) else {
                return done(fails(kind, attempt, true));
            };
            let pause = if retry.doubles {
                retry.pause << (attempt - 1)
            } else {
                retry.pause
            };
            if pause > 0 && step.timeout.is_some_and(|timeout| timeout < now + pause) {
                return done(fails(ErrorKind::TimedOut, attempt, true));
            }
            now += pause;
            attempt += 1;
        }
    }

    /// A copy that the stage has kept panics when it is dropped.
    fn bursts(&self, step: &Step, index: u64, attempt: u32) -> bool {
        let is_bomb = self.bombs == Bombs::Copies && index.is_multiple_of(3);
        is_bomb && step.copies_before(attempt)
    }

    /// On a real clock nobody knows whether the body or its limit is the first. Between two attempts, even without a pause,
    /// others have their turn, and then the stay may be over.
    fn is_open(&self, step: &Step, act: Act) -> bool {
        let goes_again = act.trouble != Trouble::No && step.retries() > 0 && step.timeout.is_some();
        let waits =
            act.wait != Wait::Not || matches!(act.trouble, Trouble::Hangs | Trouble::IsSlow(_));
        self.is_real_time()
            && step.is_timed()
            && (waits || goes_again || step.kind == Kind::Blocking)
    }

    /// Some item may stay somewhere until somebody stops the run.
    pub fn may_hang(&self) -> bool {
        self.steps.iter().any(|step| {
            let hangs = |act: &Act| act.trouble == Trouble::Hangs;
            step.acts.iter().any(hangs)
                && (0..self.items).any(|index| self.stay(step, index).leave == Leave::Hangs)
        })
    }

    /// How many failures end the run.
    pub fn last_failure(&self) -> Option<u64> {
        let default = if self.errors.is_some() {
            OnError::Continue
        } else {
            OnError::FailFast
        };
        match self.on_error.unwrap_or(default) {
            OnError::FailFast => Some(1),
            OnError::StopAfter(failures) => Some(failures),
            _ => None,
        }
    }
}

/// Goes through one attempt that begins `now`, in beats from the begin of the stay.
fn ends(step: &Step, act: Act, attempt: u32, now: &mut u64) -> Attempt {
    let trouble = act.trouble(attempt);
    let fails = |kind, again| Attempt::Fails { kind, again };
    let (mut beats, mut waits) = match act.wait {
        Wait::Not => (Some(0), false),
        Wait::Turns(_) => (Some(0), true),
        Wait::Beats(beats) => (Some(beats), true),
    };
    match trouble {
        Trouble::PanicsWhenCalled => (beats, waits) = (Some(0), false),
        Trouble::Hangs => (beats, waits) = (None, true),
        Trouble::IsSlow(more) => (beats, waits) = (beats.map(|beats| beats + more), true),
        _ => {}
    }
    if step.kind == Kind::Blocking {
        (beats, waits) = (Some(0), false);
    }
    let limits = [
        step.timeout.map(|timeout| (timeout, false)),
        step.attempt_timeout.map(|limit| (*now + limit, true)),
    ];
    // of two at the same time the whole stay is over
    let limit = limits.into_iter().flatten().min();
    if let Some((limit, of_attempt)) = limit
        && waits
        // a body that is ready at that very moment has its result
        && (limit <= *now || beats.is_none_or(|beats| *now + beats > limit))
    {
        *now = limit.max(*now);
        return fails(ErrorKind::TimedOut, of_attempt);
    }
    let Some(beats) = beats else {
        return Attempt::Hangs;
    };
    *now += beats;
    let panics = step.retry.is_some_and(|retry| retry.panics);
    let asks = step.retry.is_some_and(|retry| retry.asks);
    match trouble {
        Trouble::Fails => fails(ErrorKind::Failed, true),
        Trouble::FailsForGood => fails(ErrorKind::Failed, !asks),
        Trouble::PanicsWhenCalled | Trouble::PanicsWhenPolled | Trouble::PanicsWhenDropped => {
            fails(ErrorKind::Panicked, panics)
        }
        // where nobody copies there is no panic, and threads that block are never hung by a case
        Trouble::No | Trouble::PanicsWhenCopied(_) | Trouble::Hangs | Trouble::IsSlow(_) => {
            Attempt::Passes
        }
    }
}
