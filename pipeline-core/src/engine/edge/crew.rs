//! The consumer's side of an edge that a stage reads: what its workers take, and what they give back.

use std::{collections::VecDeque, mem, sync::Arc, task::Poll};

use super::{
    Action, Edge, Producer, State,
    lanes::{Keyring, Lanes, Run},
    staff::{Badge, CrewPlan, Staff, Start},
};
use crate::engine::{
    envelope::Envelope,
    hub::Hub,
    keys::Keys,
    ledger::Fate,
    limits::LOT,
    pace::Timing,
    seat::Seat,
    tally::{Tally, Totals},
    ticket::Ticket,
};
use crate::error::BoxError;
use crate::report::StageReport;

/// The stage that reads an edge.
pub(in crate::engine) trait Consumer<T>: Send + Sync {
    /// Starts a worker, which has been counted already.
    fn start(self: Arc<Self>, input: Arc<Edge<T>>);
    /// Every item has been worked on, and `results` sequences were given out. Called once.
    fn finish(&self, results: u64);
    /// The run has been stopped.
    fn wind_down(&self);
}

pub(super) struct Crew<T> {
    staff: Staff,
    /// None once every item has been worked on.
    consumer: Option<Arc<dyn Consumer<T>>>,
    /// Claimed but not begun, and given back; the lowest sequence last (I2).
    returned: Vec<(u64, Envelope<T>)>,
    /// Of a keyed stage, which gives back there.
    lanes: Option<Lanes<T>>,
    /// The next sequence in the output edge. Gaps are not handed on: items are numbered anew.
    next_out: u64,
    /// No room in the output: nobody is to be started before there is (I6).
    blocked: bool,
    totals: Totals,
}

/// A worker's place at the edge it takes from.
pub(in crate::engine) struct Desk<T> {
    badge: Badge,
    parked: bool,
    run: Run<T>,
    /// The sequence of the item that is taken next.
    next: u64,
    /// Items that have failed when their keys were looked up.
    refused: VecDeque<(Ticket, BoxError)>,
    /// The lanes of what has been taken from the run and whose lanes are not free yet.
    held: Vec<u32>,
    /// What is to be added up at the next claim.
    pub(in crate::engine) tally: Tally,
    pub(in crate::engine) timing: Timing,
    /// Somebody was woken since this was last asked.
    pub(in crate::engine) woke: bool,
}

/// What came of looking for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Claim {
    /// There is a run on the desk, of items that take about so long.
    Run { item_ns: u64 },
    /// The worker is not needed any more, and not counted either.
    Leave,
}

impl<T> Desk<T> {
    pub(in crate::engine) fn new(seat: Arc<Seat>) -> Self {
        Desk {
            badge: Badge::new(seat),
            parked: false,
            run: Run::default(),
            next: 0,
            refused: VecDeque::new(),
            held: Vec::new(),
            tally: Tally::default(),
            timing: Timing::default(),
            woke: false,
        }
    }

    /// The sequence of the item that [`next`](Self::next) gives.
    #[inline]
    pub(in crate::engine) fn sequence(&self) -> u64 {
        self.next
    }

    /// Shows the sentry that the worker goes on.
    pub(in crate::engine) fn beat(&self) {
        self.badge.seat().work();
    }

    pub(in crate::engine) fn left(&self) -> usize {
        self.run.items.len()
    }

    #[inline]
    pub(in crate::engine) fn next(&mut self) -> Option<Envelope<T>> {
        let envelope = self.run.items.pop()?;
        self.next += 1;
        self.held.extend(self.run.lanes.pop());
        Some(envelope)
    }

    /// The next item that has failed before it could be worked on, and why. It has its place in the order.
    pub(in crate::engine) fn next_refused(&mut self) -> Option<(Ticket, BoxError)> {
        let refused = self.refused.pop_front()?;
        self.next += 1;
        Some(refused)
    }

    /// The rest of the run, for dropping it.
    pub(in crate::engine) fn clear(&mut self) -> Vec<Envelope<T>> {
        mem::take(&mut self.run).items
    }
}

/// Whoever fills an edge is told that there is room. True if there is somebody.
fn resume(upstream: Option<Arc<dyn Producer>>) -> bool {
    let Some(upstream) = upstream else {
        return false;
    };
    upstream.resume();
    true
}

impl<T: Send + 'static> Edge<T> {
    pub(in crate::engine) fn read_by(
        self: &Arc<Self>,
        plan: CrewPlan,
        keys: Option<Box<dyn Keys<T>>>,
        consumer: Arc<dyn Consumer<T>>,
    ) {
        let crew = Crew {
            staff: Staff::new(plan),
            consumer: Some(consumer),
            returned: Vec::new(),
            lanes: keys.map(Lanes::new),
            next_out: 0,
            blocked: false,
            totals: Totals::new(self.hub.now()),
        };
        self.state.lock().crew = Some(crew);
    }

    /// Looks for work. Pending while the worker lingers.
    pub(in crate::engine) fn claim<O: Send + 'static>(
        self: &Arc<Self>,
        desk: &mut Desk<T>,
        output: &Arc<Edge<O>>,
    ) -> Poll<Claim> {
        self.unpark(desk);
        desk.badge.seat().work();
        if self.hub.stopped() {
            self.retire(desk);
            return Poll::Ready(Claim::Leave);
        }
        if output.is_unwanted() {
            // whoever let go of it is on its way here; until then the same items would be claimed and given
            // back again and again
            self.unwant();
        }
        loop {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            let Some(crew) = state.crew.as_mut() else {
                return Poll::Ready(Claim::Leave);
            };
            if !crew.is_back(desk) {
                drop(guard);
                desk.badge.seat().linger();
                return Poll::Pending;
            }
            crew.add_up(&self.hub, desk);
            crew.free_lanes(desk, 0);
            if crew.consumer.is_none() {
                crew.staff.leave(&mut desk.badge);
                return Poll::Ready(Claim::Leave);
            }
            let item_ns = crew.staff.item_ns();
            if crew.take_returned(desk) || crew.take_lanes(desk) {
                let action = state.serve(self);
                drop(guard);
                desk.woke |= self.act(action);
                return Poll::Ready(Claim::Run { item_ns });
            }
            let room = usize::try_from(output.room(crew.next_out)).unwrap_or(usize::MAX);
            if state.ring.ready() == 0 || room == 0 || crew.looks_up() {
                return self.rest(guard, desk, output);
            }
            let most = crew.staff.most_at_once();
            desk.next = crew.next_out;
            if let Some(lanes) = &mut crew.lanes
                && let Some(mut keyring) = lanes.take_keyring()
            {
                // as much as is worth two locks, also where a run is short
                let most = most.max(LOT).min(room);
                state.ring.take(most, |envelope| keyring.add(envelope));
                crew.next_out += keyring.len() as u64;
                let upstream = state.took(self);
                drop(guard);
                desk.woke |= resume(upstream);
                if self.look_up(desk, keyring) {
                    return Poll::Ready(Claim::Run { item_ns });
                }
                continue;
            }
            let (most, run) = (most.min(room), &mut desk.run.items);
            state
                .ring
                .take_backwards(most, |envelope| run.push(envelope));
            let count = run.len();
            crew.next_out += count as u64;
            desk.timing.full = count == most;
            let upstream = state.took(self);
            let action = if count == 0 {
                Action::Nothing
            } else {
                state.serve(self)
            };
            drop(guard);
            desk.woke |= resume(upstream);
            desk.woke |= self.act(action);
            if count > 0 {
                return Poll::Ready(Claim::Run { item_ns });
            }
        }
    }

    /// Finds the lanes of new items. True if there is something to do for this worker.
    fn look_up(self: &Arc<Self>, desk: &mut Desk<T>, mut keyring: Keyring<T>) -> bool {
        let wanted = keyring.look_up(|| self.hub.stopped(), &mut desk.refused);
        let mut state = self.state.lock();
        let unwanted = if wanted && !self.is_unwanted() {
            Vec::new()
        } else {
            keyring.give_up()
        };
        let Some(crew) = state.crew.as_mut() else {
            return false;
        };
        let most = crew.staff.most_at_once();
        if let Some(lanes) = &mut crew.lanes {
            lanes.admit(keyring, most, &mut desk.run);
        }
        desk.run.reverse();
        desk.timing.full = desk.left() == most;
        let action = state.serve(self);
        drop(state);
        let ledger = self.hub.ledger();
        unwanted
            .into_iter()
            .for_each(|envelope| ledger.cancel(envelope));
        desk.woke |= self.act(action);
        desk.left() > 0 || !desk.refused.is_empty()
    }

    /// Nothing to do, or no room for what would come of it: lingers or leaves.
    fn rest<O: Send + 'static>(
        self: &Arc<Self>,
        mut guard: impl std::ops::DerefMut<Target = State<T>>,
        desk: &mut Desk<T>,
        output: &Arc<Edge<O>>,
    ) -> Poll<Claim> {
        let state = &mut *guard;
        let no_room = state.claimable() > 0;
        let Some(crew) = state.crew.as_mut() else {
            return Poll::Ready(Claim::Leave);
        };
        let next_out = crew.next_out;
        crew.staff.give_up_permit(&mut desk.badge);
        if no_room {
            crew.blocked = true;
            crew.totals.blocked().start(self.hub.now());
        } else if crew.staff.is_empty() && state.end.is_none() {
            crew.totals.starved().start(self.hub.now());
        }
        let finished = state.take_finished(self);
        let lingers = finished.is_none()
            && (state.crew.as_mut()).is_some_and(|crew| crew.staff.linger(&mut desk.badge));
        drop(guard);
        self.after_finish(finished);
        // No two edges are ever locked at once (I7): between the two locks room may have come, so it
        // is asked for again under the lock of the output (I6).
        if no_room && output.ask_for_room(next_out) {
            Arc::clone(self).resume();
        }
        if lingers {
            desk.badge.seat().linger();
            return Poll::Pending;
        }
        Poll::Ready(Claim::Leave)
    }

    /// The current item waits: the rest of the run goes back, and another worker may be started.
    /// True if somebody was woken.
    pub(in crate::engine) fn park(self: &Arc<Self>, desk: &mut Desk<T>, in_work: bool) {
        if mem::replace(&mut desk.parked, true) {
            return;
        }
        desk.badge.seat().rest();
        let items_wait = self.gate.park();
        let holds_lanes = desk.held.len() > usize::from(in_work);
        if desk.left() == 0 && !items_wait && !holds_lanes {
            return;
        }
        self.give_back(desk, in_work, None);
    }

    /// Back at work, without a new run.
    pub(in crate::engine) fn unpark(&self, desk: &mut Desk<T>) {
        if mem::replace(&mut desk.parked, false) {
            self.gate.unpark();
        }
    }

    /// Gives back what has not been begun. With `item_ns`, because the run takes too long. What has been
    /// begun is delivered, but for the last one if it is `in_work`.
    pub(in crate::engine) fn give_back(
        self: &Arc<Self>,
        desk: &mut Desk<T>,
        in_work: bool,
        item_ns: Option<u64>,
    ) {
        let mut state = self.state.lock();
        if self.is_unwanted() {
            drop(state);
            let unwanted = desk.clear().into_iter();
            unwanted.for_each(|envelope| self.hub.ledger().cancel(envelope));
            return;
        }
        let Some(crew) = state.crew.as_mut() else {
            return;
        };
        crew.take_back(desk);
        crew.free_lanes(desk, usize::from(in_work));
        if let Some(item_ns) = item_ns {
            crew.staff.overran(item_ns);
        }
        let action = state.serve(self);
        drop(state);
        desk.woke |= self.act(action);
    }

    /// Adds up what somebody else than a worker has decided about items of this edge.
    pub(in crate::engine) fn count(&self, tally: &mut Tally) {
        let mut state = self.state.lock();
        if let Some(crew) = state.crew.as_mut() {
            crew.sum(&self.hub, tally, &Timing::default());
        }
    }

    /// The worker goes, whatever it was doing; its run must be empty.
    pub(in crate::engine) fn retire(self: &Arc<Self>, desk: &mut Desk<T>) {
        self.unpark(desk);
        if desk.badge.is_off() {
            return;
        }
        let mut state = self.state.lock();
        let Some(crew) = state.crew.as_mut() else {
            return;
        };
        crew.is_back(desk);
        crew.add_up(&self.hub, desk);
        crew.free_lanes(desk, 0);
        crew.staff.leave(&mut desk.badge);
        let finished = state.take_finished(self);
        let action = state.serve(self);
        drop(state);
        self.act(action);
        self.after_finish(finished);
    }

    pub(super) fn after_finish(&self, finished: Option<Finished<T>>) {
        if let Some(Finished {
            consumer,
            results,
            idle,
        }) = finished
        {
            consumer.finish(results);
            idle.iter().for_each(|seat| seat.wake());
        }
    }

    /// The sentry's look: workers in the middle of a long poll do not count as running.
    pub(super) fn look_after_crew(self: &Arc<Self>) -> bool {
        let mut state = self.state.lock();
        let Some(crew) = state.crew.as_mut() else {
            return false;
        };
        crew.staff.find_stuck();
        let action = state.serve(self);
        let waits = state
            .crew
            .as_ref()
            .is_some_and(|crew| crew.may_start(state.available()));
        drop(state);
        self.act(action);
        waits
    }
}

/// What a run leaves behind when it is taken apart.
pub(super) struct Cleared<T> {
    pub(super) waiting: Vec<Envelope<T>>,
    pub(super) keys: Option<Keyring<T>>,
    pub(super) consumer: Option<Arc<dyn Consumer<T>>>,
}

/// A stage that has come to its end.
pub(super) struct Finished<T> {
    consumer: Arc<dyn Consumer<T>>,
    results: u64,
    idle: Vec<Arc<Seat>>,
}

impl<T> State<T> {
    /// Items that nobody has claimed yet, and that a worker could claim.
    #[inline]
    fn claimable(&self) -> usize {
        if self.crew.as_ref().is_some_and(Crew::looks_up) {
            // whoever does so sees to the items behind (I5)
            return 0;
        }
        self.ring.ready()
    }

    #[inline]
    fn available(&self) -> usize {
        self.claimable() + self.crew.as_ref().map_or(0, Crew::runnable)
    }

    /// Who has to be woken or started because of what can be taken now? To be called after every
    /// change of that, under the lock (I5).
    #[inline]
    pub(super) fn serve(&mut self, edge: &Edge<T>) -> Action<T> {
        let available = self.available();
        let Some(crew) = self.crew.as_mut() else {
            return if available > 0 {
                self.serve_reader()
            } else {
                Action::Nothing
            };
        };
        edge.gate.publish(available);
        if !crew.may_start(available) || edge.hub.stopped() {
            return Action::Nothing;
        }
        if !crew.staff.is_worth_one_more(available, edge.gate.parked()) {
            return if edge.hub.needs_sentry(crew.staff.own_threads()) {
                Action::CallSentry
            } else {
                Action::Nothing
            };
        }
        if crew.staff.is_empty() {
            crew.totals.starved().stop(edge.hub.now());
        }
        crew.start()
    }

    pub(super) fn take_finished(&mut self, edge: &Edge<T>) -> Option<Finished<T>> {
        let crew = self.crew.as_mut()?;
        let all_taken = if edge.is_unwanted() {
            self.end.is_some()
        } else {
            self.end == Some(self.ring.head())
        };
        let done = crew.staff.is_empty() && crew.runnable() == 0 && all_taken;
        let consumer = if done {
            crew.consumer.take()?
        } else {
            return None;
        };
        crew.totals.starved().stop(edge.hub.now());
        Some(Finished {
            consumer,
            results: crew.next_out,
            idle: crew.staff.release_idle(),
        })
    }
}

impl<T> Crew<T> {
    pub(super) fn consumer(&self) -> Option<Arc<dyn Consumer<T>>> {
        self.consumer.clone()
    }

    pub(super) fn report(&self, now: u64) -> StageReport {
        self.totals.report(self.staff.name(), now)
    }

    /// Nobody wants what would come of the items: gives those that wait.
    pub(super) fn dismiss(&mut self) -> Vec<Envelope<T>> {
        self.blocked = false;
        self.take_waiting()
    }

    fn take_waiting(&mut self) -> Vec<Envelope<T>> {
        let returned = mem::take(&mut self.returned).into_iter();
        let queued = self.lanes.as_mut().map(Lanes::clear).unwrap_or_default();
        returned
            .map(|(_, envelope)| envelope)
            .chain(queued)
            .collect()
    }

    /// What is to be dropped outside of the lock.
    pub(super) fn clear(&mut self) -> Cleared<T> {
        Cleared {
            waiting: self.take_waiting(),
            keys: self.lanes.as_mut().and_then(Lanes::retire),
            consumer: self.consumer.take(),
        }
    }

    /// Whether a worker is looking up keys. Nobody else can, so that they stay in order.
    fn looks_up(&self) -> bool {
        self.lanes.as_ref().is_some_and(Lanes::is_out)
    }

    /// Items that have been claimed before, and could be worked on.
    fn runnable(&self) -> usize {
        self.returned.len() + self.lanes.as_ref().map_or(0, Lanes::runnable)
    }

    /// Items wait, and there is a permit and room for another worker.
    fn may_start(&self, available: usize) -> bool {
        available > 0 && self.staff.has_permit() && (!self.blocked || self.runnable() > 0)
    }

    /// One more permit in use (I4).
    fn start(&mut self) -> Action<T> {
        let Some(consumer) = &self.consumer else {
            return Action::Nothing;
        };
        match self.staff.start() {
            Start::Wake(seat) => Action::Wake(seat),
            Start::New => Action::Start(Arc::clone(consumer)),
        }
    }

    /// False if the worker was polled though nobody needs it.
    fn is_back(&mut self, desk: &mut Desk<T>) -> bool {
        self.staff.is_back(&mut desk.badge, self.consumer.is_none())
    }

    fn add_up(&mut self, hub: &Hub, desk: &mut Desk<T>) {
        self.staff.learn(&desk.timing);
        self.sum(hub, &mut desk.tally, &desk.timing);
        desk.timing = Timing::default();
    }

    fn sum(&mut self, hub: &Hub, tally: &mut Tally, timing: &Timing) {
        hub.ledger().add(Fate::Failed, tally.failed_items);
        hub.ledger().add(Fate::Filtered, tally.filtered_items);
        self.totals.add(tally, timing);
    }

    /// Returned items go first, even when there is no room: their sequences are inside the window.
    fn take_returned(&mut self, desk: &mut Desk<T>) -> bool {
        let Some((first, envelope)) = self.returned.pop() else {
            return false;
        };
        desk.next = first;
        let run = &mut desk.run.items;
        run.push(envelope);
        let most = self.staff.most_at_once() as u64;
        while let Some((sequence, _)) = self.returned.last()
            && sequence - first < most
            && *sequence == first + run.len() as u64
        {
            run.extend(self.returned.pop().map(|(_, envelope)| envelope));
        }
        run.reverse();
        desk.timing.full = run.len() as u64 == most;
        true
    }

    /// The same of lanes: their items have their place in the window, too.
    fn take_lanes(&mut self, desk: &mut Desk<T>) -> bool {
        let Some(lanes) = &mut self.lanes else {
            return false;
        };
        lanes.begin();
        let most = self.staff.most_at_once();
        lanes.take(most, &mut desk.run);
        desk.run.reverse();
        desk.timing.full = desk.left() == most;
        desk.left() > 0
    }

    /// What the worker has begun is delivered, but for the last `in_work`, and only their lanes are still
    /// taken. Its run is empty.
    fn free_lanes(&mut self, desk: &mut Desk<T>, in_work: usize) {
        let Some(lanes) = &mut self.lanes else {
            return;
        };
        let done = desk.held.len().saturating_sub(in_work);
        let current = desk.held.get(done).copied();
        for lane in desk.held.drain(..done) {
            lanes.leave(lane);
            if Some(lane) != current {
                lanes.free(lane);
            }
        }
    }

    /// Keeps the lowest sequence last, also when several workers give back at once.
    fn take_back(&mut self, desk: &mut Desk<T>) {
        if desk.left() == 0 {
            return;
        }
        if let Some(lanes) = &mut self.lanes {
            let current = desk.held.last().copied();
            for lane in lanes.put_back(&mut desk.run) {
                // that of the item in work is freed with it
                if Some(lane) != current {
                    lanes.free(lane);
                }
            }
            return;
        }
        let first = desk.next;
        let at = self
            .returned
            .partition_point(|(sequence, _)| *sequence > first);
        // the run lies with its first item last
        let last = first + desk.left() as u64 - 1;
        let rest = desk
            .run
            .items
            .drain(..)
            .enumerate()
            .map(|(back, envelope)| (last - back as u64, envelope));
        self.returned.splice(at..at, rest);
    }
}

impl<T: Send + 'static> Producer for Edge<T> {
    /// There is room in the output of the stage that reads this edge.
    fn resume(self: Arc<Self>) {
        let mut state = self.state.lock();
        if let Some(crew) = state.crew.as_mut()
            && mem::replace(&mut crew.blocked, false)
        {
            crew.totals.blocked().stop(self.hub.now());
        }
        let action = state.serve(&self);
        drop(state);
        self.act(action);
    }

    fn unwanted(self: Arc<Self>) {
        self.unwant();
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::engine::{envelope::Slot, keys::keys, seat::Role};

    /// A stage whose workers are the test's. It counts those that it was to start.
    #[derive(Default)]
    struct Stage(AtomicUsize);

    impl Consumer<u64> for Stage {
        fn start(self: Arc<Self>, _: Arc<Edge<u64>>) {
            self.0.fetch_add(1, Relaxed);
        }

        fn finish(&self, _: u64) {}
        fn wind_down(&self) {}
    }

    struct Line {
        input: Arc<Edge<u64>>,
        output: Arc<Edge<u64>>,
        stage: Arc<Stage>,
    }

    impl Line {
        /// With so many items that wait.
        fn of(items: u64) -> Self {
            Line::with(items, None)
        }

        /// The same, one item of a key at a time.
        fn keyed(items: u64, key: impl Fn(&u64) -> u64 + Send + 'static) -> Self {
            Line::with(items, Some(keys(key)))
        }

        fn with(items: u64, keys: Option<Box<dyn Keys<u64>>>) -> Self {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let hub = Hub::on(runtime.handle());
            let (input, output) = (Edge::new(&hub, 64), Edge::new(&hub, 64));
            let plan = CrewPlan {
                name: "stage".into(),
                parallelism: 4,
                running: 4,
                share: 4,
                backlog: 1,
                lingers: false,
                own_threads: false,
            };
            let stage = Arc::new(Stage::default());
            input.read_by(plan, keys, Arc::clone(&stage) as Arc<dyn Consumer<u64>>);
            let line = Line {
                input,
                output,
                stage,
            };
            line.give(0..items);
            line
        }

        fn give(&self, items: std::ops::Range<u64>) {
            let slot =
                |index| Slot::Done(Envelope::new(index, Ticket::Single { source: 0, index }));
            let mut slots = items.clone().map(slot).collect();
            self.input.complete(true, items.start, &mut slots);
        }

        /// A worker with a run of so many items, which all that follow have as well.
        fn worker(&self, run: usize) -> Desk<u64> {
            let mut desk = worker();
            self.claim(&mut desk);
            while desk.left() < run {
                while desk.next().is_some() {}
                desk.timing = Timing {
                    ready_ns: 1,
                    ready: 1,
                    full: true,
                    ..Timing::default()
                };
                self.claim(&mut desk);
            }
            desk
        }

        fn claim(&self, desk: &mut Desk<u64>) {
            let claimed = self.input.claim(desk, &self.output);
            assert!(matches!(claimed, Poll::Ready(Claim::Run { .. })));
        }

        fn give_back(&self, mut desk: Desk<u64>) {
            self.input.give_back(&mut desk, false, None);
            assert_eq!(desk.left(), 0);
        }
    }

    fn worker() -> Desk<u64> {
        Desk::new(Arc::new(Seat::new(Role::Worker, None)))
    }

    /// The sequence of the first item, and the items of the run.
    fn run(desk: &mut Desk<u64>) -> (u64, Vec<u64>) {
        let first = desk.sequence();
        let items = std::iter::from_fn(|| desk.next().map(|envelope| envelope.item));
        (first, items.collect())
    }

    #[test]
    fn what_is_given_back_is_taken_first_and_row_by_row() {
        let line = Line::of(20);
        let mut first = line.worker(4);
        let mut second = line.worker(4);
        // both have begun an item: their rests do not follow each other
        assert_eq!(first.next().map(|envelope| envelope.item), Some(3));
        assert_eq!(second.next().map(|envelope| envelope.item), Some(7));
        line.give_back(second);
        line.give_back(first);
        let mut third = line.worker(3);
        assert!(!third.timing.full, "there would be room for another");
        assert_eq!(run(&mut third), (4, vec![4, 5, 6]));
        line.claim(&mut third);
        assert_eq!(run(&mut third), (8, vec![8, 9, 10]));
        line.claim(&mut third);
        assert_eq!(run(&mut third), (11, vec![11, 12, 13, 14]));
    }

    #[test]
    fn a_run_of_what_was_given_back_is_no_longer_than_others() {
        let line = Line::of(20);
        let (first, second) = (line.worker(4), line.worker(4));
        line.give_back(first);
        line.give_back(second);
        let mut third = line.worker(4);
        assert!(third.timing.full);
        assert_eq!(run(&mut third), (3, vec![3, 4, 5, 6]));
        line.claim(&mut third);
        assert_eq!(run(&mut third), (7, vec![7, 8, 9, 10]));
    }

    #[test]
    fn a_worker_parks_once_and_gives_back_what_it_has_not_begun() {
        let line = Line::of(20);
        let mut desk = line.worker(4);
        drop(desk.next());
        line.input.park(&mut desk, true);
        line.input.park(&mut desk, true);
        assert_eq!((desk.left(), line.input.gate.parked()), (0, 1));
        line.input.unpark(&mut desk);
        line.input.unpark(&mut desk);
        assert_eq!(line.input.gate.parked(), 0);
    }

    #[test]
    fn a_key_is_free_while_an_item_of_another_one_waits() {
        let line = Line::keyed(3, |item| if *item == 3 { 1 } else { *item });
        let mut desk = line.worker(2);
        assert_eq!(run(&mut desk).1, [1, 2]);
        line.give(3..4);
        // somebody else has looked up its key, which is taken
        let mut other = worker();
        let claimed = line.input.claim(&mut other, &line.output);
        assert!(matches!(claimed, Poll::Ready(Claim::Leave)));
        line.input.park(&mut desk, true);
        let mut third = worker();
        line.claim(&mut third);
        assert_eq!(run(&mut third).1, [3]);
    }

    #[test]
    fn whoever_takes_a_run_sees_to_it_that_the_rest_is_taken() {
        let line = Line::of(3);
        let started = || line.stage.0.load(Relaxed);
        assert_eq!(started(), 1, "for the first item");
        // nothing is known of the items, so each of them may be worth a worker
        line.claim(&mut worker());
        assert_eq!(started(), 2);
        line.claim(&mut worker());
        assert_eq!(started(), 3);
        line.claim(&mut worker());
        assert_eq!(started(), 3, "nothing is left");
    }
}
