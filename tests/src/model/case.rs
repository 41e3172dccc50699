//! What a case says: a pipeline, what each item does in it, and what is done to the run.
//!
//! Times are in beats: 50 ms of the paused clock, half a millisecond of real time. What waits takes an even
//! number of them and limits mostly an odd one, so that they tie only where that is meant.

use std::time::Duration;

use pipeline_core::error::{OnError, Overflow};

use crate::run::Machine;

/// A pipeline with its items, and what happens to it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Where it runs.
    pub machine: Machine,
    /// How many items the source has.
    pub items: u64,
    /// Where they come from.
    pub source: Origin,
    /// The source gives no more from here on, but breaks.
    pub source_breaks: Option<(u64, Break)>,
    /// Between the source and the first step.
    pub buffer: usize,
    /// From the source to the end.
    pub steps: Vec<Step>,
    /// Where they go.
    pub end: End,
    /// The end breaks at this item. A stream is dropped at it.
    pub end_breaks: Option<u64>,
    /// Which items panic when the library drops them.
    pub bombs: Bombs,
    /// The error channel.
    pub errors: Option<Channel>,
    /// What it does when it is full.
    pub overflow: Overflow,
    /// When failures end the run.
    pub on_error: Option<OnError>,
    /// What is done to the run.
    pub strike: Option<Strike>,
}

/// Where items come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An iterator.
    Iterator,
    /// A source that waits before each item.
    Source(Wait),
    /// A channel of so many places, and a sender that waits before each item.
    Channel(usize, Wait),
}

/// How a source breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Break {
    /// With an error, if it can give one.
    Fails,
    /// With a panic.
    Panics,
}

/// Where items go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// A closure; it breaks by a panic.
    Closure,
    /// A closure that may fail.
    TryClosure(Wait),
    /// A sink; it breaks by an error.
    Sink(Wait),
    /// A stream whose reader waits after each item.
    Stream(Wait),
    /// A list.
    Collect,
    /// A fold; it breaks by a panic.
    Fold,
}

/// Which items panic when they are dropped by the library. Whoever of the user's drops one defuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bombs {
    /// None.
    No,
    /// Every third, as the source made it.
    Originals,
    /// The copies of every third.
    Copies,
}

/// A channel for failures or for dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Channel {
    /// Its places.
    pub capacity: usize,
    /// Who reads it.
    pub reader: Reader,
}

/// When somebody reads a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reader {
    /// At once.
    Attentive,
    /// When the run is over.
    Late,
    /// Never: its receiver is dropped before the run.
    Gone,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it is.
    pub kind: Kind,
    /// Items in work at once.
    pub parallelism: usize,
    /// Whether results leave in order.
    pub ordered: bool,
    /// How many keys there are, if it is keyed.
    pub keys: Option<u64>,
    /// The window is so much larger than the parallelism.
    pub spare: usize,
    /// The longest stay, in beats.
    pub timeout: Option<u64>,
    /// The longest attempt, in beats.
    pub attempt_timeout: Option<u64>,
    /// Whether items are tried again.
    pub retry: Option<Retries>,
    /// The dead letters.
    pub letters: Option<Channel>,
    /// It stands on a branch, and only items of even numbers go through it.
    pub aside: bool,
    /// What items do, one after another and from the beginning again.
    pub acts: Vec<Act>,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A stage that is cloned.
    Stage,
    /// A stage that is made by a function.
    Factory,
    /// A closure on threads that may block.
    Blocking,
    /// Leaves out the items that would be in trouble.
    Filter,
    /// The same, by an expansion to nothing.
    Expand,
    /// The same, by a stream of one item or of none.
    Streams,
    /// Into two branches and together again, as they come.
    Branches,
    /// Into three, by their numbers, and together again.
    Routes,
    /// The same by a number, so that the order is kept.
    OrderedBranches,
    /// Copies on two branches, and a pair of them.
    Twins,
    /// Batches of so many items, or of so many beats, and out of them again.
    Batches(usize, u64),
    /// The same for each of so many keys.
    BatchesBy(u64, usize, u64),
    /// So many beats later.
    Delay(u64),
    /// Up to so many beats later, each by its own time; and each that leaves has the next one leave now.
    Due(u64),
    /// Through an adaptor of streams.
    Through,
    /// So many in a beat.
    Throttle(u32),
}

/// How items are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Retries {
    /// How often.
    pub most: u32,
    /// The first pause, in beats.
    pub pause: u64,
    /// Each pause is twice as long as the one before.
    pub doubles: bool,
    /// Also after panics.
    pub panics: bool,
    /// Not after errors that are there to stay.
    pub asks: bool,
}

/// What an item does in a step.
#[derive(Debug, Clone, Copy)]
pub struct Act {
    /// Before anything else, in each attempt.
    pub wait: Wait,
    /// What is wrong with the first attempts.
    pub trouble: Trouble,
    /// With how many of them.
    pub times: u32,
}

/// How somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Not at all.
    Not,
    /// Gives way so often.
    Turns(u8),
    /// So many beats.
    Beats(u64),
}

/// What is wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Nothing.
    No,
    /// An error.
    Fails,
    /// An error that is there to stay.
    FailsForGood,
    /// A panic of the call.
    PanicsWhenCalled,
    /// A panic of the future's poll.
    PanicsWhenPolled,
    /// A panic of the future's drop, after it was ready.
    PanicsWhenDropped,
    /// An error of all attempts before this one, and then a panic of the item's clone.
    PanicsWhenCopied(u32),
    /// The future never ends.
    Hangs,
    /// It takes so many beats more, and then succeeds.
    IsSlow(u64),
}

/// What somebody does to the run at an event of it.
#[derive(Debug, Clone, Copy)]
pub struct Strike {
    /// The number of the event.
    pub at: u64,
    /// What.
    pub how: How,
    /// In the middle of the event, and not just after it.
    pub inside: bool,
}

/// What somebody does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// A cancel.
    Cancel,
    /// A cancel by a token.
    CancelToken,
    /// A drain, in so many beats.
    Drain(u64),
    /// A drain by a token, in so many beats.
    DrainToken(u64),
    /// Its owner is dropped.
    Drop,
    /// All handles but the owner are dropped.
    DropControls,
    /// The runtime goes.
    RuntimeGone,
}

impl Step {
    /// What the item of this number does.
    pub fn act(&self, index: u64) -> Act {
        self.acts[(index % self.acts.len() as u64) as usize]
    }

    /// Whether it has no bodies.
    pub fn is_operator(&self) -> bool {
        !matches!(self.kind, Kind::Stage | Kind::Factory | Kind::Blocking)
    }

    /// Whether it leaves out the items that would be in trouble.
    pub fn leaves_out(&self) -> bool {
        matches!(self.kind, Kind::Filter | Kind::Expand | Kind::Streams)
    }

    /// Whether the item of this number goes through it.
    pub fn takes(&self, index: u64) -> bool {
        !self.aside || index.is_multiple_of(2)
    }

    /// Whether its results leave in the order of the input.
    pub fn keeps_order(&self) -> bool {
        !self.aside && self.keeps_order_inside()
    }

    fn keeps_order_inside(&self) -> bool {
        match self.kind {
            Kind::Branches | Kind::Routes | Kind::BatchesBy(..) | Kind::Due(_) => false,
            Kind::Stage | Kind::Factory | Kind::Blocking => self.ordered && self.keys.is_none(),
            _ => true,
        }
    }

    /// Whether items of the same key leave in the order of the input.
    pub fn keeps_order_of(&self, keys: u64) -> bool {
        // items with the same remainder by a multiple have the same remainder
        let by = |own: u64| keys.is_multiple_of(own);
        let inside = match self.kind {
            // put in order by a number, of which they had to be in order before
            Kind::OrderedBranches => return by(2),
            Kind::Branches => by(2),
            Kind::Routes => by(ROUTES),
            Kind::BatchesBy(own, ..) => by(own),
            _ => self.keys.is_some_and(by),
        };
        (self.keeps_order_inside() || inside) && (!self.aside || by(2))
    }

    /// Whether it is limited by time.
    pub fn is_timed(&self) -> bool {
        self.timeout.is_some() || self.attempt_timeout.is_some()
    }

    /// How often an item may be tried again.
    pub fn retries(&self) -> u32 {
        self.retry.map_or(0, |retry| retry.most)
    }

    /// Whether items are copied.
    pub fn copies(&self) -> bool {
        self.retries() > 0 || self.letters.is_some()
    }

    /// Whether an item is copied just before this attempt.
    pub fn copies_before(&self, attempt: u32) -> bool {
        self.copies() && (attempt == 1 || self.letters.is_some() || attempt <= self.retries())
    }
}

impl Act {
    /// Whether the item's clone panics just before this attempt.
    pub fn breaks_copy(&self, attempt: u32) -> bool {
        self.trouble == Trouble::PanicsWhenCopied(attempt)
    }

    /// What is wrong with this attempt.
    pub fn trouble(&self, attempt: u32) -> Trouble {
        match self.trouble {
            Trouble::PanicsWhenCopied(at) if attempt < at => Trouble::Fails,
            Trouble::PanicsWhenCopied(_) => self.trouble,
            trouble if attempt <= self.times => trouble,
            _ => Trouble::No,
        }
    }
}

impl How {
    /// Whether the run is to be stopped by it, now or after a while.
    pub fn ends(self) -> bool {
        self != How::DropControls
    }
}

impl Case {
    /// Whether times are real, so that nobody knows them before.
    pub fn is_real_time(&self) -> bool {
        self.machine != Machine::Paused
    }

    /// So many beats.
    pub fn beats(&self, beats: u64) -> Duration {
        let beat = if self.is_real_time() {
            Duration::from_micros(500)
        } else {
            Duration::from_millis(50)
        };
        beat * u32::try_from(beats).unwrap_or(u32::MAX)
    }

    /// All steps keep the order.
    pub fn is_ordered(&self) -> bool {
        self.steps.iter().all(Step::keeps_order)
    }

    /// Numbers of keys whose order all steps keep.
    pub fn ordered_keys(&self) -> Vec<u64> {
        let keeps = |keys: &u64| self.steps.iter().all(|step| step.keeps_order_of(*keys));
        let keys = self.steps.iter().filter_map(|step| step.keys);
        keys.filter(keeps).collect()
    }

    /// Whether items are joined, so that the fate of one is that of others, or [renumbered](Self::renumbers).
    pub fn joins(&self) -> bool {
        let batches = |step: &Step| matches!(step.kind, Kind::Batches(..) | Kind::BatchesBy(..));
        self.steps.iter().any(batches) || self.renumbers()
    }

    /// Whether items have other numbers from some step on, and are counted once more there.
    pub fn renumbers(&self) -> bool {
        self.steps.iter().any(|step| step.kind == Kind::Through)
    }

    /// Whether a step runs on threads of its own.
    pub fn blocks(&self) -> bool {
        self.steps.iter().any(|step| step.kind == Kind::Blocking)
    }

    /// Whether a channel may be full for good, and who has failed waits for it.
    pub fn may_stand_still(&self) -> bool {
        let letters = self.steps.iter().filter_map(|step| step.letters);
        let late = letters.chain(self.errors).any(|channel| {
            channel.reader == Reader::Late && (channel.capacity as u64) < self.items
        });
        self.overflow == Overflow::Wait && late
    }
}

/// Branches of [`Kind::Routes`].
pub const ROUTES: u64 = 3;

/// The name of a step.
pub fn name(step: usize) -> String {
    format!("step {step}")
}
