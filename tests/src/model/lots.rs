//! Draws a case by lot: the same for the same seed.

use pipeline_core::error::{OnError, Overflow};

use super::case::{
    Act, Bombs, Break, Case, Channel, End, How, Kind, Origin, Reader, Retries, Step, Strike,
    Trouble, Wait,
};
use crate::random::Random;
use crate::run::Machine;

/// Of which kind a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// A few items on the paused clock.
    Small,
    /// A few items on threads.
    Threads,
    /// Very many items, which hardly wait.
    Large,
}

impl Size {
    /// Of the case with this seed.
    pub fn of(seed: u64) -> Self {
        match Random::new(seed).below(256) {
            0..=207 => Size::Small,
            208..=254 => Size::Threads,
            _ => Size::Large,
        }
    }
}

impl Case {
    /// The case of a seed.
    pub fn by_lot(seed: u64) -> Self {
        let mut lots = Lots {
            random: Random::new(seed),
            size: Size::of(seed),
            spared: false,
        };
        // the size was the first number
        lots.random.number();
        lots.spared = lots.chance(1, 4);
        lots.case()
    }
}

const PLAIN: Act = Act {
    wait: Wait::Not,
    trouble: Trouble::No,
    times: 0,
};

struct Lots {
    random: Random,
    size: Size,
    /// Nothing is in trouble.
    spared: bool,
}

impl Lots {
    fn below(&mut self, limit: u64) -> u64 {
        self.random.below(limit)
    }

    fn from(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    fn chance(&mut self, of: u64, all: u64) -> bool {
        self.below(all) < of
    }

    fn maybe<T>(&mut self, of: u64, all: u64, lot: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(of, all).then(|| lot(self))
    }

    fn case(&mut self) -> Case {
        let large = self.size == Size::Large;
        let machine = match (self.size, self.below(4)) {
            (Size::Small, _) | (Size::Large, 0) => Machine::Paused,
            (_, 0 | 1) => Machine::Threads(2),
            (_, 2) => Machine::Threads(1),
            _ => Machine::Threads(8),
        };
        let items = match self.size {
            Size::Small | Size::Threads => self.below(40),
            Size::Large => self.from(100_000, 1_000_000),
        };
        let mut steps: Vec<Step> = (0..self.below(4)).map(|_| self.step()).collect();
        let overflow = if self.chance(1, 2) {
            Overflow::Count
        } else {
            Overflow::Wait
        };
        let errors = self.maybe(2, 3, Self::channel);
        let on_error = if large {
            Some(OnError::Continue)
        } else {
            self.maybe(1, 2, Self::policy)
        };
        let mut case = Case {
            machine,
            items,
            source: self.source(),
            source_breaks: self.maybe(1, 12, |lots| (lots.below(items + 1), lots.break_())),
            buffer: if large {
                self.from(16, 2_000)
            } else {
                self.from(1, 8)
            } as usize,
            steps: Vec::new(),
            end: self.end(),
            end_breaks: self.maybe(1, 12, |lots| lots.below(items + 1)),
            bombs: [
                Bombs::No,
                Bombs::No,
                Bombs::No,
                Bombs::Originals,
                Bombs::Copies,
            ][self.below(5) as usize],
            errors,
            overflow,
            on_error,
            strike: self.maybe(2, 5, |lots| lots.strike(items)),
        };
        for step in &mut steps {
            self.fit(&case, step);
        }
        case.steps = steps;
        self.fit_case(&mut case);
        case
    }

    /// What cannot be, or could be but would never end.
    fn fit(&mut self, case: &Case, step: &mut Step) {
        if step.is_operator() {
            (step.retry, step.letters, step.keys) = (None, None, None);
            (step.timeout, step.attempt_timeout) = (None, None);
            if !step.leaves_out() {
                step.acts.truncate(1);
                step.acts[0] = PLAIN;
            }
        }
        if !case.is_real_time() && step.kind == Kind::Blocking {
            // the paused clock stands still while a thread is blocked
            (step.timeout, step.attempt_timeout) = (None, None);
            if let Some(retry) = &mut step.retry {
                retry.pause = 0;
            }
        }
    }

    fn fit_case(&mut self, case: &mut Case) {
        if case.machine == Machine::Paused {
            if let Some(Strike {
                how: how @ How::RuntimeGone,
                ..
            }) = &mut case.strike
            {
                *how = How::Drop;
            }
            if case.blocks() && case.may_stand_still() {
                case.overflow = Overflow::Count;
            }
        }
        if matches!(case.source, Origin::Channel(..)) {
            case.source_breaks = None;
            // what is left in the channel is dropped by whoever was there last
            if case.bombs == Bombs::Originals {
                case.bombs = Bombs::No;
            }
        }
        if self.size == Size::Large {
            case.bombs = Bombs::No;
        }
    }

    fn source(&mut self) -> Origin {
        match self.below(3) {
            0 => Origin::Iterator,
            1 => Origin::Source(self.wait()),
            _ => Origin::Channel(
                self.from(1, 4) as usize * if self.size == Size::Large { 100 } else { 1 },
                self.wait(),
            ),
        }
    }

    fn break_(&mut self) -> Break {
        if self.chance(1, 2) {
            Break::Fails
        } else {
            Break::Panics
        }
    }

    fn end(&mut self) -> End {
        match self.below(8) {
            0 | 1 => End::Closure,
            2 => End::TryClosure(self.wait()),
            3 | 4 => End::Sink(self.wait()),
            5 => End::Stream(self.wait()),
            6 => End::Collect,
            _ => End::Fold,
        }
    }

    fn step(&mut self) -> Step {
        let large = self.size == Size::Large;
        let kind = match self.below(32) {
            0..=11 => Kind::Stage,
            12 | 13 => Kind::Factory,
            14..=17 => Kind::Blocking,
            18 | 19 => Kind::Filter,
            20 => Kind::Expand,
            21 => Kind::Streams,
            22 => Kind::Branches,
            23 => Kind::Routes,
            // one branch may be full while the other one has nothing: that would stall
            24 if large => Kind::Branches,
            24 => Kind::OrderedBranches,
            25 | 26 => Kind::Twins,
            27 => Kind::Batches(self.from(1, 5) as usize, self.below(4)),
            28 => Kind::BatchesBy(self.from(1, 4), self.from(1, 5) as usize, self.below(4)),
            29 => Kind::Delay(self.below(8)),
            30 => Kind::Due(self.below(8)),
            // so many items would take too long
            _ if large => Kind::Through,
            _ if self.chance(1, 2) => Kind::Through,
            _ => Kind::Throttle(self.from(1, 5) as u32),
        };
        let parallelism = self.from(1, 4) as usize;
        let spare = if large {
            self.from(60, 2_000)
        } else {
            self.below(5)
        } as usize;
        let acts = if large {
            self.large_acts()
        } else {
            self.small_acts(kind)
        };
        Step {
            kind,
            parallelism,
            ordered: self.chance(1, 2),
            keys: self.maybe(1, 4, |lots| lots.from(1, 5)),
            spare,
            timeout: self.maybe(1, 3, |lots| lots.limit(25)),
            attempt_timeout: self.maybe(1, 3, |lots| lots.limit(12)),
            retry: self.maybe(1, 2, Self::retries),
            letters: self.maybe(1, 4, Self::channel),
            aside: self.chance(1, 8),
            acts,
        }
    }

    /// An odd number of beats but now and then, so that it ties with nothing.
    fn limit(&mut self, longest: u64) -> u64 {
        let limit = self.from(2, longest);
        if self.chance(1, 4) { limit } else { limit | 1 }
    }

    fn small_acts(&mut self, kind: Kind) -> Vec<Act> {
        let count = self.from(1, 8);
        (0..count).map(|_| self.act(kind)).collect()
    }

    fn act(&mut self, kind: Kind) -> Act {
        let wait = if kind == Kind::Blocking && self.size == Size::Threads && self.chance(1, 2) {
            // on both sides of the shorter limits
            Wait::Beats(2 * self.below(7))
        } else {
            self.wait()
        };
        let trouble = match self.below(24) {
            _ if self.spared => Trouble::No,
            0 | 1 => Trouble::Fails,
            2 => Trouble::FailsForGood,
            3 => Trouble::PanicsWhenCalled,
            4 => Trouble::PanicsWhenPolled,
            5 => Trouble::PanicsWhenDropped,
            6 => Trouble::PanicsWhenCopied(self.from(1, 3) as u32),
            7 => Trouble::Hangs,
            8 | 9 => Trouble::IsSlow(2 * self.from(1, 10)),
            _ => Trouble::No,
        };
        let times = if self.chance(1, 3) {
            u32::MAX
        } else {
            self.from(1, 4) as u32
        };
        Act {
            wait,
            trouble,
            times,
        }
    }

    /// Mostly nothing, so that many items go by in a while; a number of acts that fits no other one.
    fn large_acts(&mut self) -> Vec<Act> {
        let count = self.from(200, 1_000);
        let mut acts = vec![
            Act {
                wait: Wait::Not,
                trouble: Trouble::No,
                times: 0
            };
            count as usize
        ];
        for _ in 0..self.below(5) {
            let at = self.below(count) as usize;
            let trouble = match self.below(8) {
                0 => Trouble::PanicsWhenCalled,
                1 => Trouble::PanicsWhenPolled,
                2 => Trouble::FailsForGood,
                _ => Trouble::Fails,
            };
            let wait = if self.chance(1, 3) {
                Wait::Turns(1)
            } else {
                Wait::Not
            };
            acts[at] = Act {
                wait,
                trouble,
                times: self.from(1, 4) as u32,
            };
        }
        acts
    }

    fn wait(&mut self) -> Wait {
        if self.size == Size::Large {
            return Wait::Not;
        }
        let longest = if self.size == Size::Threads { 2 } else { 8 };
        match self.below(3) {
            0 => Wait::Not,
            1 => Wait::Turns(self.from(1, 3) as u8),
            _ => Wait::Beats(2 * self.from(1, longest)),
        }
    }

    fn retries(&mut self) -> Retries {
        let pause = if self.size == Size::Large {
            0
        } else {
            2 * self.below(4)
        };
        Retries {
            most: self.below(4) as u32,
            pause,
            doubles: pause > 0 && self.chance(1, 2),
            panics: self.chance(1, 2),
            asks: self.chance(1, 2),
        }
    }

    fn channel(&mut self) -> Channel {
        let capacity = match self.below(3) {
            0 => 1_000,
            _ => self.from(1, 4),
        };
        let reader = match self.below(4) {
            0 | 1 => Reader::Attentive,
            2 => Reader::Late,
            _ => Reader::Gone,
        };
        Channel {
            capacity: capacity as usize,
            reader,
        }
    }

    fn policy(&mut self) -> OnError {
        match self.below(5) {
            0..=2 => OnError::Continue,
            3 => OnError::FailFast,
            _ => OnError::StopAfter(self.from(1, 4)),
        }
    }

    fn strike(&mut self, items: u64) -> Strike {
        let how = match self.below(9) {
            0 | 1 => How::Cancel,
            2 => How::CancelToken,
            3 => How::Drain(1_000_000),
            4 => How::Drain(self.below(12)),
            5 => How::DrainToken(self.below(2) * 1_000_000),
            6 => How::Drop,
            7 => How::DropControls,
            _ => How::RuntimeGone,
        };
        let events = if self.size == Size::Large {
            2 * items
        } else {
            80
        };
        Strike {
            at: self.below(events),
            how,
            inside: self.chance(1, 2),
        }
    }
}
