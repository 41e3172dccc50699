//! Contenders side by side: in each round every one runs once, the order rotated.
//!
//! Readings are compared within a round only, so that what changes slowly on a machine (its clock,
//! where threads are placed, its neighbours) falls on all alike.

use std::fmt;
use std::ops::Index;
use std::time::Duration;

use super::Effort;
use super::machine::Watch;
use super::spread::Spread;
use crate::tally::Wrong;

/// A round during which others used more than this share of one processor is run again if time allows.
const CALM: f64 = 0.05;

/// Rounds are repeated until so many times the wanted number were run.
const PATIENCE: usize = 2;

/// A sample of calibrated work has at least so many items.
const FEWEST: u64 = 500;

/// Gives one reading.
type Sample<R> = Box<dyn FnMut() -> Result<R, Wrong>>;

/// Contenders of one kind of reading `R`, before the start.
pub struct Race<R> {
    contenders: Vec<(&'static str, Sample<R>)>,
}

/// A contender's place in a [`Race`] and in its [`Round`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    place: usize,
    name: &'static str,
}

impl Lane {
    /// The contender's name.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl<R> Race<R> {
    /// Without contenders.
    pub const fn new() -> Self {
        Race {
            contenders: Vec::new(),
        }
    }

    /// Adds one.
    pub fn enter(
        &mut self,
        name: &'static str,
        sample: impl FnMut() -> Result<R, Wrong> + 'static,
    ) -> Lane {
        self.contenders.push((name, Box::new(sample)));
        Lane {
            place: self.contenders.len() - 1,
            name,
        }
    }

    /// Runs so many rounds, and more if others disturb them; keeps the calmest.
    pub fn run(self, rounds: usize) -> Result<Rounds<R>, Wrong> {
        self.run_watched(rounds, Watch::start, Watch::stop)
    }

    /// The same with another way to tell the share of a processor that others had meanwhile.
    pub(crate) fn run_watched<W>(
        mut self,
        rounds: usize,
        start: impl Fn() -> W,
        stop: impl Fn(W) -> f64,
    ) -> Result<Rounds<R>, Wrong> {
        let mut done: Vec<(f64, Round<R>)> = Vec::new();
        let calm =
            |done: &[(f64, Round<R>)]| done.iter().filter(|(others, _)| *others <= CALM).count();
        while calm(&done) < rounds && done.len() < rounds * PATIENCE {
            let watch = start();
            let round = self.round(done.len())?;
            done.push((stop(watch), round));
        }
        // stable: of equally calm rounds the earlier
        done.sort_by(|(a, _), (b, _)| a.max(CALM).total_cmp(&b.max(CALM)));
        done.truncate(rounds);
        Ok(Rounds {
            disturbed: done.len() - calm(&done),
            rounds: done.into_iter().map(|(_, round)| round).collect(),
        })
    }

    /// Runs everyone once, beginning with the contender whose turn it is to begin.
    fn round(&mut self, number: usize) -> Result<Round<R>, Wrong> {
        let count = self.contenders.len();
        let mut readings: Vec<Option<R>> = std::iter::repeat_with(|| None).take(count).collect();
        for lane in (0..count).map(|turn| (number + turn) % count) {
            let (name, sample) = &mut self.contenders[lane];
            let reading = sample().map_err(|Wrong(what)| Wrong(format!("{name}: {what}")))?;
            readings[lane] = Some(reading);
        }
        Ok(Round(readings.into_iter().flatten().collect()))
    }
}

impl Race<f64> {
    /// Adds one that is read in nanoseconds an item, at the number of items that fills a sample.
    /// Finding that number is its warm-up.
    pub fn enter_sized(
        &mut self,
        name: &'static str,
        effort: &Effort,
        run: impl Fn(u64) -> Result<Duration, Wrong> + 'static,
    ) -> Result<Lane, Wrong> {
        let items = items_for(effort.sample, &run)
            .map_err(|Wrong(what)| Wrong(format!("{name}: {what}")))?;
        Ok(self.enter(name, move || Ok(nanos(run(items)?) / items as f64)))
    }

    /// Adds one that is read in nanoseconds for all of that many items.
    pub fn enter_fixed(
        &mut self,
        name: &'static str,
        items: u64,
        run: impl Fn(u64) -> Result<Duration, Wrong> + 'static,
    ) -> Lane {
        self.enter(name, move || Ok(nanos(run(items)?)))
    }

    /// Adds what is known without running.
    pub fn enter_known(&mut self, name: &'static str, duration: Duration) -> Lane {
        self.enter(name, move || Ok(nanos(duration)))
    }
}

fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

/// How many items `run` does in about that time.
pub(crate) fn items_for(
    sample: Duration,
    run: impl Fn(u64) -> Result<Duration, Wrong>,
) -> Result<u64, Wrong> {
    let mut items = FEWEST;
    loop {
        let elapsed = run(items)?;
        let growth = sample.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
        if growth <= 4.0 {
            return Ok(((items as f64 * growth) as u64).max(FEWEST));
        }
        items *= 4;
    }
}

impl<R> fmt::Debug for Race<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.contenders.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

impl<R> Default for Race<R> {
    fn default() -> Self {
        Race::new()
    }
}

/// The readings of one round.
#[derive(Debug, Clone)]
pub struct Round<R>(Vec<R>);

impl<R> Index<Lane> for Round<R> {
    type Output = R;

    fn index(&self, lane: Lane) -> &R {
        &self.0[lane.place]
    }
}

/// A finished race.
#[derive(Debug, Clone)]
pub struct Rounds<R> {
    rounds: Vec<Round<R>>,
    disturbed: usize,
}

impl<R> Rounds<R> {
    /// The spread over the rounds of what `reading` makes of each.
    pub fn spread(&self, reading: impl Fn(&Round<R>) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(reading))
    }

    /// Its median.
    pub fn median(&self, reading: impl Fn(&Round<R>) -> f64) -> f64 {
        self.spread(reading).median
    }

    /// How many rounds count, and how many of them others disturbed.
    pub fn calmness(&self) -> Calmness {
        Calmness {
            rounds: self.rounds.len(),
            disturbed: self.disturbed,
        }
    }
}

/// How many rounds a figure stands on, and how many of them others disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calmness {
    /// Rounds that count.
    pub rounds: usize,
    /// Of these, disturbed ones.
    pub disturbed: usize,
}

impl fmt::Display for Calmness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.disturbed, self.rounds)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;

    /// Runs two contenders that write down when they ran, while `others` disturb each round.
    fn watched(rounds: usize, others: &[f64]) -> (Rounds<usize>, Lane, String) {
        let order = Rc::new(RefCell::new(String::new()));
        let mut race = Race::new();
        let mut enter = |name: &'static str| {
            let order = order.clone();
            race.enter(name, move || {
                order.borrow_mut().push_str(name);
                Ok(order.borrow().len())
            })
        };
        let lane = enter("a");
        enter("b");
        let next = Cell::new(0);
        let result = race.run_watched(
            rounds,
            || next.replace(next.get() + 1),
            |round| others[round],
        );
        let order = order.borrow().clone();
        (result.expect("nothing is wrong"), lane, order)
    }

    #[test]
    fn everyone_runs_once_a_round_and_takes_turns_to_begin() {
        let (rounds, _, order) = watched(3, &[0.0; 3]);
        assert_eq!(order, "abbaab");
        assert_eq!(
            rounds.calmness(),
            Calmness {
                rounds: 3,
                disturbed: 0
            }
        );
    }

    #[test]
    fn readings_keep_their_lane() {
        let (rounds, a, _) = watched(3, &[0.0; 3]);
        let readings: Vec<usize> = rounds.rounds.iter().map(|round| round[a]).collect();
        assert_eq!(readings, [1, 4, 5]);
    }

    #[test]
    fn disturbed_rounds_are_run_again() {
        let (rounds, a, order) = watched(2, &[0.5, 0.0, 0.0, 0.0]);
        assert_eq!(order.len(), 6);
        assert_eq!(
            rounds.calmness(),
            Calmness {
                rounds: 2,
                disturbed: 0
            }
        );
        let readings: Vec<usize> = rounds.rounds.iter().map(|round| round[a]).collect();
        assert_eq!(readings, [4, 5]);
    }

    #[test]
    fn on_a_restless_machine_the_calmest_rounds_count() {
        let (rounds, a, order) = watched(2, &[0.5, 0.3, 0.4, 0.6]);
        assert_eq!(order.len(), 8);
        assert_eq!(
            rounds.calmness(),
            Calmness {
                rounds: 2,
                disturbed: 2
            }
        );
        let readings: Vec<usize> = rounds.rounds.iter().map(|round| round[a]).collect();
        assert_eq!(readings, [4, 5]);
    }

    #[test]
    fn a_wrong_result_names_the_contender() {
        let mut race: Race<f64> = Race::new();
        race.enter("them", || Err(Wrong("3 items came out of 4".to_owned())));
        let wrong = race
            .run_watched(1, || (), |()| 0.0)
            .expect_err("it is wrong");
        assert_eq!(wrong.to_string(), "them: 3 items came out of 4");
    }

    #[test]
    fn a_sample_is_filled() {
        let items = items_for(Duration::from_millis(10), |items| {
            Ok(Duration::from_nanos(100 * items))
        });
        assert_eq!(items, Ok(100_000));
    }
}
