//! Whether a run was right: as the reference says as far as it came, and conserved in any case.

use std::hash::{DefaultHasher, Hash, Hasher};

use pipeline_core::error::{Cause, DeadLetter, ErrorKind, Overflow, StageError};
use pipeline_core::report::{Counts, Outcome, Report};

use super::book::Book;
use super::case::{Case, End, How, Origin, Reader, name};
use super::parcel::Parcel;
use super::reference::{Fate, Leave};
use super::seen::{Fault, Seen};

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// Why it did not finish.
    pub cause: Option<Cause>,
    /// Its owner was there until the end.
    pub owned: bool,
    /// What it says of itself.
    pub report: Report,
    /// What the error channel got.
    pub told: Vec<StageError>,
    /// What the dead letters of each step got.
    pub letters: Vec<Vec<DeadLetter<Parcel>>>,
    /// The bound for items inside.
    pub most: u64,
}

/// What becomes of the first items, by the reference.
#[derive(Debug, Default)]
struct Expected {
    arrive: u64,
    left_out: u64,
    fail: u64,
    /// They hang, or nobody knows.
    open: u64,
    /// They fail where the run is told.
    told: u64,
}

impl Ended {
    /// Blames what was wrong, and sums up the rest.
    pub fn judge(self, book: &Book) -> Seen {
        let judge = Judge {
            ended: &self,
            book,
            case: book.case(),
        };
        judge.conservation();
        judge.limits();
        judge.fates();
        if self.owned {
            judge.outcome();
            judge.stages();
        }
        let timeouts = self.report.stages.iter().map(|stage| stage.timeouts).sum();
        let retries = self.report.stages.iter().map(|stage| stage.retries).sum();
        let struck = book.case().strike.filter(|_| book.was_struck());
        Seen {
            cases: 1,
            items: self.report.items.taken,
            faults: book.faults(),
            timeouts,
            retries,
            strikes: struck
                .map(|strike| (shape(book.case()), strike.at))
                .into_iter()
                .collect(),
            inside: if judge.counts_inside() {
                (book.most_inside(), self.most)
            } else {
                (0, 0)
            },
        }
    }
}

/// A number for the pipeline alone.
fn shape(case: &Case) -> u64 {
    let mut hasher = DefaultHasher::new();
    (case.source, case.end, case.strike.map(|strike| strike.how)).hash(&mut hasher);
    for step in &case.steps {
        (
            step.kind,
            step.parallelism,
            step.ordered,
            step.keys,
            step.aside,
            step.is_timed(),
            step.retry,
            step.letters,
        )
            .hash(&mut hasher);
    }
    hasher.finish()
}

struct Judge<'a> {
    ended: &'a Ended,
    book: &'a Book,
    case: &'a Case,
}

impl Judge<'_> {
    fn blame(&self, what: impl Into<String>) {
        self.book.flow().blame(what);
    }

    fn same(&self, what: &str, is: u64, should: u64) {
        if is != should {
            self.blame(format!(
                "{what}: {is} where {should} is right ({:?})",
                self.ended.report.items
            ));
        }
    }

    fn all_told(&self) -> impl Iterator<Item = &StageError> {
        let letters = self
            .ended
            .letters
            .iter()
            .flatten()
            .map(|letter| &letter.error);
        let cause = match &self.ended.cause {
            Some(Cause::Item(error)) => Some(error),
            _ => None,
        };
        self.ended.told.iter().chain(letters).chain(cause)
    }

    /// No item is lost, none has two fates.
    fn conservation(&self) {
        let Counts {
            taken,
            delivered,
            failed,
            filtered,
            cancelled,
            ..
        } = self.ended.report.items;
        if !self.ended.owned {
            // it may be in the middle of something; the standing checks look later
            return self.twice();
        }
        self.same(
            "K1: items that ended",
            delivered + failed + filtered + cancelled,
            taken,
        );
        if !matches!(self.case.source, Origin::Channel(..)) && !self.case.renumbers() {
            self.same("K1: taken", taken, self.book.pulled());
        }
        let has_value = self.ended.cause.is_none() || self.case.end != End::Collect;
        if has_value && !self.case.joins() {
            self.same("K1: delivered", delivered, self.book.out().len() as u64);
        }
        self.twice();
    }

    fn twice(&self) {
        let mut all = self.book.out();
        if self.case.is_ordered() && !all.is_sorted() {
            self.blame("out of order");
        }
        for keys in self.case.ordered_keys() {
            for key in 0..keys {
                let of_key = all.iter().filter(|index| *index % keys == key);
                if !of_key.is_sorted() {
                    self.blame(format!("out of order: key {key} of {keys}"));
                }
            }
        }
        if !self.case.joins() {
            all.extend(self.all_told().map(|error| error.origin().first()));
        }
        let before = all.len();
        all.sort_unstable();
        all.dedup();
        if all.len() < before {
            self.blame(format!(
                "K1: duplicated: {} items have more than one fate",
                before - all.len()
            ));
        }
    }

    fn limits(&self) {
        for (index, step) in self.case.steps.iter().enumerate() {
            let (most, limit) = (self.book.most_in(index), step.parallelism as u64);
            if most > limit {
                self.blame(format!(
                    "K4: {most} bodies at once in {}, {limit} are allowed",
                    name(index)
                ));
            }
        }
        let (inside, most) = (self.book.most_inside(), self.ended.most);
        if self.counts_inside() && inside > most {
            self.blame(format!(
                "K4: {inside} items inside where the plan says {most}"
            ));
        }
    }

    /// The book sees items come and go.
    fn counts_inside(&self) -> bool {
        !matches!(self.case.source, Origin::Channel(..)) && self.case.end != End::Collect
    }

    /// What was seen of each item is what is to become of it.
    fn fates(&self) {
        for index in self.book.out() {
            let fate = self.book.fate(index);
            if !matches!(fate, Fate::Arrives | Fate::Open { .. }) {
                self.blame(format!("item {index} arrived, and not {fate:?}"));
            }
        }
        for error in &self.ended.told {
            self.failure(error, None);
        }
        for (step, letters) in self.ended.letters.iter().enumerate() {
            for letter in letters {
                self.failure(&letter.error, Some(step));
                if letter.item.index != letter.error.origin().first() && !self.case.joins() {
                    self.blame(format!(
                        "the letter of item {} says {}",
                        letter.item.index, letter.error
                    ));
                }
            }
        }
        if let Some(Cause::Item(error)) = &self.ended.cause {
            self.failure(error, None);
        }
    }

    /// A failure that was told, in the dead letters of a step or elsewhere.
    fn failure(&self, error: &StageError, letters: Option<usize>) {
        if self.case.joins() {
            // it may be that of several items
            return;
        }
        let index = error.origin().first();
        let (right, fate) = match self.book.fate(index) {
            fate @ Fate::Open { step } => (usize::from(step) <= self.case.steps.len(), fate),
            fate @ Fate::Fails { step, failure } => {
                let is = (error.stage(), error.kind(), error.attempts());
                let should = (&*name(step.into()), failure.kind, failure.attempts);
                let place = failure.letter.then_some(usize::from(step));
                (is == should && letters == place, fate)
            }
            fate => (false, fate),
        };
        if !right {
            self.blame(format!("told {letters:?}: {error}, and not {fate:?}"));
        }
    }

    /// The end failed at an item that it had been given: what becomes of its neighbours depends on the end.
    fn end_broke(&self) -> bool {
        self.book.faults()[Fault::End as usize] > 0
    }

    /// Each item that was taken had its turn.
    fn is_complete(&self) -> bool {
        let Counts {
            taken, cancelled, ..
        } = self.ended.report.items;
        let went_on = match self.ended.cause {
            None => true,
            // what is inside goes on, unless it is stopped by something else
            Some(Cause::Source(_)) => {
                let stopped =
                    self.end_broke() || self.book.was_struck() || self.book.has_lost_patience();
                !stopped && !self.may_be_doomed(&self.expected(taken.min(self.case.items)))
            }
            Some(_) => false,
        };
        // where items are counted again nobody knows how many there were
        went_on && cancelled == 0 && taken <= self.case.items && !self.case.renumbers()
    }

    fn expected(&self, taken: u64) -> Expected {
        let mut expected = Expected::default();
        for index in 0..taken {
            match self.book.fate(index) {
                Fate::Arrives => expected.arrive += 1,
                Fate::LeftOut { .. } => expected.left_out += 1,
                Fate::Fails { failure, .. } => {
                    expected.fail += 1;
                    expected.told += u64::from(!failure.letter);
                }
                Fate::Hangs { .. } | Fate::Open { .. } => expected.open += 1,
            }
        }
        expected
    }

    /// Enough of the first items may fail to end the run.
    fn may_be_doomed(&self, expected: &Expected) -> bool {
        let may_fail = expected.told + expected.open;
        self.case
            .last_failure()
            .is_some_and(|last| may_fail >= last)
    }

    fn outcome(&self) {
        let Counts {
            taken,
            delivered,
            failed,
            filtered,
            cancelled,
            ..
        } = self.ended.report.items;
        let how = self
            .case
            .strike
            .filter(|_| self.book.was_struck())
            .map(|strike| strike.how);
        let impatient = self.book.has_lost_patience();
        let expected = self.expected(taken.min(self.case.items));
        let cut = matches!(how, Some(How::Drain(_) | How::DrainToken(_)));
        let source_breaks = self.case.source_breaks.is_some_and(|(at, _)| at <= taken);
        let right = match (&self.ended.cause, self.ended.report.outcome) {
            (None, Some(Outcome::Finished)) => {
                (taken == self.case.items || self.case.renumbers()) && !source_breaks
            }
            (None, Some(Outcome::Drained)) => cut,
            (Some(Cause::Item(_)), Some(Outcome::Failed)) => self.may_be_doomed(&expected),
            (Some(Cause::Source(_)), Some(Outcome::Failed)) => source_breaks,
            (Some(Cause::Sink(_)), Some(Outcome::Failed)) => self.case.end_breaks.is_some(),
            (Some(Cause::Cancelled), Some(Outcome::Cancelled)) => {
                impatient
                    || matches!(
                        how,
                        Some(How::Cancel | How::CancelToken | How::Drop | How::RuntimeGone)
                    )
            }
            (Some(Cause::DeadlinePassed(_)), Some(Outcome::DeadlinePassed)) => cut,
            (Some(Cause::RuntimeGone), _) => how == Some(How::RuntimeGone),
            _ => false,
        };
        if !right {
            let outcome = (&self.ended.cause, self.ended.report.outcome);
            self.blame(format!(
                "it ended with {outcome:?}, struck by {how:?} ({:?})",
                self.ended.report.items
            ));
        }
        let stopped = matches!(
            self.ended.cause,
            Some(
                Cause::Item(_)
                    | Cause::Sink(_)
                    | Cause::Cancelled
                    | Cause::DeadlinePassed(_)
                    | Cause::RuntimeGone
            )
        );
        let may_stop = how.is_some_and(How::ends)
            || impatient
            || self.end_broke()
            || self.may_be_doomed(&expected);
        if cancelled > 0 && !stopped && !may_stop {
            self.blame(format!(
                "{cancelled} items were cancelled in a run that nobody stopped"
            ));
        }
        if !self.is_complete() {
            return;
        }
        if expected.open == 0 && !self.case.joins() {
            self.same(
                "K1: delivered, by the reference",
                delivered,
                expected.arrive,
            );
            self.same("failed, by the reference", failed, expected.fail);
            self.same("filtered, by the reference", filtered, expected.left_out);
        }
        if self.ended.cause.is_none()
            && self
                .case
                .last_failure()
                .is_some_and(|last| expected.told >= last)
        {
            self.blame("it finished, though enough failed to end it");
        }
    }

    /// What the report says of each stage, and that each failure went to one place.
    fn stages(&self) {
        let complete = self.is_complete();
        for (index, step) in self.case.steps.iter().enumerate() {
            let name = name(index);
            if step.is_operator() {
                continue;
            }
            let Some(stage) = self
                .ended
                .report
                .stages
                .iter()
                .find(|stage| stage.name == name)
            else {
                self.blame(format!("no report of {name}"));
                continue;
            };
            let told = self
                .all_told()
                .filter(|error| error.stage() == name)
                .count() as u64;
            let failed = told + stage.errors_not_delivered;
            self.same(
                &format!("failures of {name}, by who was told"),
                failed,
                stage.failed,
            );
            self.received(index, told, stage.errors_not_delivered);
            if complete {
                self.stage(index, stage);
            }
        }
    }

    /// Whoever could be told was told.
    fn received(&self, step: usize, told: u64, not_delivered: u64) {
        let channels = [self.case.steps[step].letters, self.case.errors];
        let hears = |channel: &super::case::Channel| match channel.reader {
            Reader::Gone => false,
            Reader::Attentive if self.case.overflow == Overflow::Wait => true,
            _ => channel.capacity as u64 >= self.case.items,
        };
        let is_heard = match channels {
            [Some(letters), Some(errors)] => hears(&letters) && hears(&errors),
            [None, Some(errors)] => hears(&errors),
            _ => false,
        };
        // after a stop nobody waits for room, and whoever fails then may not be told
        if is_heard && not_delivered > 0 && self.ended.cause.is_none() {
            self.blame(format!(
                "{not_delivered} failures of {} not told, {told} told",
                name(step)
            ));
        }
    }

    /// Every item that was taken had its turn: the counts are those of the reference.
    fn stage(&self, at: usize, stage: &pipeline_core::report::StageReport) {
        let (step, name) = (&self.case.steps[at], name(at));
        let (mut taken, mut failed, mut timeouts, mut panics) = (0, 0, 0, 0);
        let (mut calls, mut called) = (0, 0);
        for index in 0..self.ended.report.items.taken {
            let ends = match self.book.fate(index) {
                Fate::Arrives => self.case.steps.len(),
                Fate::LeftOut { step } | Fate::Fails { step, .. } => step.into(),
                Fate::Hangs { .. } | Fate::Open { .. } => return,
            };
            if ends < at || !step.takes(index) {
                continue;
            }
            taken += 1;
            let stay = self.case.stay(step, index);
            calls += u64::from(stay.calls);
            called += u64::from(self.book.calls(at, index));
            if let Leave::Fails(failure) = stay.leave {
                failed += 1;
                timeouts += u64::from(failure.kind == ErrorKind::TimedOut);
                panics += u64::from(failure.kind == ErrorKind::Panicked);
            }
        }
        self.same(&format!("calls in {name}"), called, calls);
        self.same(&format!("{name} taken"), stage.taken, taken);
        self.same(&format!("{name} failed"), stage.failed, failed);
        self.same(&format!("{name} timeouts"), stage.timeouts, timeouts);
        self.same(&format!("{name} panics"), stage.panics, panics);
        self.same(
            &format!("{name} given"),
            stage.given + stage.filtered + stage.failed,
            taken,
        );
        let first = taken - self.never_called(at);
        self.same(&format!("{name} retries"), stage.retries, calls - first);
    }

    /// Items that were taken by a step, and whose body was not called even once.
    fn never_called(&self, at: usize) -> u64 {
        let taken = 0..self.ended.report.items.taken;
        let fails_uncalled = |index: &u64| match self.book.fate(*index) {
            Fate::Fails { step, .. } => {
                usize::from(step) == at && self.case.stay(&self.case.steps[at], *index).calls == 0
            }
            _ => false,
        };
        taken.filter(fails_uncalled).count() as u64
    }
}
