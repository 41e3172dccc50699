//! The workers of a stage: who holds a permit, who waits for work, and whether one more is worth it.
//!
//! It knows nothing of the items but how many wait and how long they take.

use std::{mem, sync::Arc};

use crate::engine::{
    limits::{COUNTED_NS, RUN_NS},
    pace::{Pace, Timing},
    seat::Seat,
};

/// What a stage asks for.
pub(in crate::engine) struct CrewPlan {
    pub(in crate::engine) name: Arc<str>,
    pub(in crate::engine) parallelism: usize,
    /// Most workers that are running (not parked, not stuck) at once.
    pub(in crate::engine) running: usize,
    /// Most items of a run, so that every core can get a share of a window.
    pub(in crate::engine) share: usize,
    /// Waiting items that are worth another core in any case, if they are not cheap.
    pub(in crate::engine) backlog: usize,
    /// Whether a worker without work stays for a while.
    pub(in crate::engine) lingers: bool,
    /// Whether each worker has a thread of its own, whatever the runtime has.
    pub(in crate::engine) own_threads: bool,
}

pub(super) struct Staff {
    plan: CrewPlan,
    /// Workers that hold a permit; never more than `parallelism` (I4).
    alive: usize,
    /// Of these, those that the sentry found in one and the same poll twice.
    stuck: usize,
    /// The most workers at once of late; so many may linger.
    recent: usize,
    places: Vec<Option<Place>>,
    free: Vec<usize>,
    idle: Vec<usize>,
    pace: Pace,
}

/// A worker, as the staff has it.
struct Place {
    seat: Arc<Seat>,
    idle: bool,
    stuck: bool,
    last_beat: u64,
}

/// The same worker, as he knows himself.
pub(super) struct Badge {
    seat: Arc<Seat>,
    place: Option<usize>,
    /// Holds a permit.
    live: bool,
    idle: bool,
}

/// Where one more worker comes from.
pub(super) enum Start {
    /// He was waiting for work.
    Wake(Arc<Seat>),
    New,
}

impl Badge {
    /// Of a worker that has been started, and counted then.
    pub(super) fn new(seat: Arc<Seat>) -> Self {
        Badge {
            seat,
            place: None,
            live: true,
            idle: false,
        }
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// He has left.
    pub(super) fn is_off(&self) -> bool {
        self.place.is_none() && !self.live
    }
}

impl Staff {
    pub(super) fn new(plan: CrewPlan) -> Self {
        Staff {
            recent: plan.running,
            plan,
            alive: 0,
            stuck: 0,
            places: Vec::new(),
            free: Vec::new(),
            idle: Vec::new(),
            pace: Pace::new(),
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.plan.name
    }

    pub(super) fn own_threads(&self) -> bool {
        self.plan.own_threads
    }

    /// Estimated time of an item, in ns.
    pub(super) fn item_ns(&self) -> u64 {
        self.pace.item_ns()
    }

    /// The most items that a worker takes at once.
    pub(super) fn most_at_once(&self) -> usize {
        self.pace.run().min(self.plan.share)
    }

    pub(super) fn learn(&mut self, timing: &Timing) {
        self.pace.learn(timing);
    }

    /// A run takes too long, as its items take so long each.
    pub(super) fn overran(&mut self, item_ns: u64) {
        self.pace.overran(item_ns);
    }

    /// Nobody holds a permit.
    pub(super) fn is_empty(&self) -> bool {
        self.alive == 0
    }

    pub(super) fn has_permit(&self) -> bool {
        self.alive < self.plan.parallelism
    }

    /// Whether what waits is worth another core: [`RUN_NS`] of work for each running worker. For items
    /// that are not cheap a quarter of the window is enough, which a small one can hold.
    pub(super) fn is_worth_one_more(&self, available: usize, parked: usize) -> bool {
        let running = self.alive.saturating_sub(parked).saturating_sub(self.stuck);
        let item_ns = self.pace.item_ns();
        running == 0
            || (running < self.plan.running
                && ((available as u64).saturating_mul(item_ns) >= running as u64 * RUN_NS
                    || (item_ns >= COUNTED_NS && available >= self.plan.backlog)))
    }

    /// One more permit in use (I4).
    pub(super) fn start(&mut self) -> Start {
        self.alive += 1;
        self.recent = self.recent.max(self.alive);
        while let Some(key) = self.idle.pop() {
            if let Some(place) = self.places[key].as_mut() {
                place.idle = false;
                return Start::Wake(Arc::clone(&place.seat));
            }
        }
        Start::New
    }

    /// False if the worker was polled though nobody needs it.
    pub(super) fn is_back(&mut self, badge: &mut Badge, over: bool) -> bool {
        let key = *badge.place.get_or_insert_with(|| {
            let place = Place {
                seat: Arc::clone(&badge.seat),
                idle: false,
                stuck: false,
                last_beat: 0,
            };
            let key = self.free.pop().unwrap_or(self.places.len());
            if key == self.places.len() {
                self.places.push(None);
            }
            self.places[key] = Some(place);
            key
        });
        let Some(place) = self.places[key].as_mut() else {
            return true;
        };
        if mem::replace(&mut place.stuck, false) {
            self.stuck -= 1;
        }
        if badge.idle {
            if place.idle {
                return false;
            }
            // it was counted by whoever woke it, unless that was the end
            badge.idle = false;
            badge.live = !over;
        }
        true
    }

    pub(super) fn give_up_permit(&mut self, badge: &mut Badge) {
        if mem::replace(&mut badge.live, false) {
            self.alive -= 1;
        }
    }

    /// Lingers, if so many workers have been needed of late.
    pub(super) fn linger(&mut self, badge: &mut Badge) -> bool {
        self.recent = self
            .recent
            .max(self.alive + 1)
            .saturating_sub(self.recent / 64)
            .max(self.plan.running);
        let key = match badge.place {
            Some(key) if self.plan.lingers && self.alive + self.idle.len() < self.recent => key,
            _ => {
                self.leave(badge);
                return false;
            }
        };
        if let Some(place) = self.places[key].as_mut() {
            place.idle = true;
        }
        badge.idle = true;
        self.idle.push(key);
        true
    }

    pub(super) fn leave(&mut self, badge: &mut Badge) {
        self.give_up_permit(badge);
        if let Some(key) = badge.place.take() {
            if mem::replace(&mut badge.idle, false) {
                self.idle.retain(|idle| *idle != key);
            }
            self.places[key] = None;
            self.free.push(key);
        }
    }

    /// All is over: gives those who wait for work.
    pub(super) fn release_idle(&mut self) -> Vec<Arc<Seat>> {
        let idle = mem::take(&mut self.idle).into_iter();
        let seats = idle.filter_map(|key| {
            let place = self.places[key].as_mut()?;
            place.idle = false;
            Some(Arc::clone(&place.seat))
        });
        seats.collect()
    }

    /// The sentry's look: workers in the middle of a long poll do not count as running.
    pub(super) fn find_stuck(&mut self) {
        for place in self.places.iter_mut().flatten() {
            let beat = place.seat.beat();
            let same_poll = beat == place.last_beat && beat % 2 == 1;
            if same_poll && !place.idle && !mem::replace(&mut place.stuck, true) {
                self.stuck += 1;
            }
            place.last_beat = beat;
        }
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use crate::engine::{limits::MAX_RUN, seat::Role};

    fn plan() -> CrewPlan {
        CrewPlan {
            name: "stage".into(),
            parallelism: 4,
            running: 2,
            share: MAX_RUN,
            backlog: 4,
            lingers: true,
            own_threads: false,
        }
    }

    /// Of items that have taken so long for a while.
    fn staff(item_ns: u64) -> Staff {
        let mut staff = Staff::new(plan());
        let timing = Timing {
            ready_ns: item_ns,
            ready: 1,
            ..Timing::default()
        };
        (0..100).for_each(|_| staff.learn(&timing));
        assert_eq!(staff.item_ns(), item_ns);
        staff
    }

    /// One more worker, who has come to his place.
    fn enter(staff: &mut Staff) -> Badge {
        assert!(matches!(staff.start(), Start::New));
        let mut badge = Badge::new(Arc::new(Seat::new(Role::Worker, None)));
        assert!(staff.is_back(&mut badge, false));
        badge
    }

    fn wakes(staff: &mut Staff, badge: &Badge) -> bool {
        matches!(staff.start(), Start::Wake(seat) if Arc::ptr_eq(&seat, &badge.seat))
    }

    #[test]
    fn there_are_as_many_permits_as_the_plan_has() {
        let mut staff = Staff::new(plan());
        assert!(staff.is_empty());
        let mut badges: Vec<_> = (0..4).map(|_| enter(&mut staff)).collect();
        assert!(!staff.has_permit() && !staff.is_empty());
        for badge in &mut badges {
            assert!(!badge.is_off());
            staff.leave(badge);
            assert!(badge.is_off() && staff.has_permit());
        }
        assert!(staff.is_empty());
        // once, however often it is said
        staff.leave(&mut badges[0]);
        assert!(staff.is_empty());
    }

    #[test]
    fn places_are_used_again() {
        let mut staff = Staff::new(plan());
        for _ in 0..10 {
            let mut badges = [enter(&mut staff), enter(&mut staff)];
            badges.iter_mut().rev().for_each(|badge| staff.leave(badge));
        }
        assert_eq!(staff.places.len(), 2);
    }

    #[test]
    fn an_item_that_nobody_works_on_is_worth_a_worker() {
        let mut staff = staff(1);
        assert!(staff.is_worth_one_more(1, 0));
        let _busy = enter(&mut staff);
        assert!(!staff.is_worth_one_more(1, 0));
        assert!(staff.is_worth_one_more(1, 1), "the only one is parked");
    }

    #[test]
    fn a_run_of_work_for_each_who_runs_is_worth_one_more() {
        let mut staff = Staff::new(CrewPlan {
            running: 3,
            ..plan()
        });
        let cheap = Timing {
            ready_ns: 100,
            ready: 1,
            ..Timing::default()
        };
        (0..100).for_each(|_| staff.learn(&cheap));
        let enough = usize::try_from(RUN_NS / 100).unwrap();
        let _first = enter(&mut staff);
        assert!(!staff.is_worth_one_more(enough - 1, 0));
        assert!(staff.is_worth_one_more(enough, 0));
        let _second = enter(&mut staff);
        assert!(!staff.is_worth_one_more(2 * enough - 1, 0));
        assert!(staff.is_worth_one_more(2 * enough, 0));
        let _third = enter(&mut staff);
        let all_run = staff.is_worth_one_more(usize::MAX, 0);
        assert!(!all_run, "more do not run at once");
    }

    #[test]
    fn a_backlog_is_worth_one_more_if_the_items_are_not_cheap() {
        let mut dear = staff(COUNTED_NS);
        let _busy = enter(&mut dear);
        assert!(!dear.is_worth_one_more(3, 0));
        assert!(dear.is_worth_one_more(4, 0));
        let mut cheap = staff(COUNTED_NS - 1);
        let _busy = enter(&mut cheap);
        assert!(!cheap.is_worth_one_more(4, 0));
    }

    #[test]
    fn who_lingers_is_woken_before_another_one_starts() {
        let mut staff = Staff::new(plan());
        let (mut first, mut second) = (enter(&mut staff), enter(&mut staff));
        staff.give_up_permit(&mut first);
        assert!(staff.linger(&mut first));
        assert!(!staff.is_back(&mut first, false), "nobody has woken it");
        staff.give_up_permit(&mut second);
        assert!(staff.linger(&mut second));
        assert!(staff.is_empty());
        assert!(wakes(&mut staff, &second));
        assert!(staff.is_back(&mut second, false));
        staff.leave(&mut second);
        assert!(staff.is_empty());
        // it goes without having been woken
        staff.leave(&mut first);
        let _new = enter(&mut staff);
    }

    #[test]
    fn no_more_linger_than_were_needed_of_late() {
        let mut staff = Staff::new(CrewPlan {
            parallelism: 1_000,
            ..plan()
        });
        let mut badges: Vec<_> = (0..200).map(|_| enter(&mut staff)).collect();
        let mut lingers = |badge: &mut Badge| {
            staff.give_up_permit(badge);
            staff.linger(badge)
        };
        let stayed = badges
            .iter_mut()
            .filter_map(|badge| lingers(badge).then_some(()));
        // a 64th of those that may is forgotten each time, and never those that run at once
        assert_eq!(stayed.count(), 63);
        assert!(staff.recent < 200 && staff.recent >= 2, "{}", staff.recent);
    }

    #[test]
    fn a_worker_that_does_not_linger_leaves() {
        let mut staff = Staff::new(CrewPlan {
            lingers: false,
            ..plan()
        });
        let mut badge = enter(&mut staff);
        staff.give_up_permit(&mut badge);
        assert!(!staff.linger(&mut badge));
        assert!(badge.is_off());
        let _new = enter(&mut staff);
    }

    #[test]
    fn who_waits_at_the_end_has_no_permit_afterwards() {
        let mut staff = Staff::new(plan());
        let mut badge = enter(&mut staff);
        staff.give_up_permit(&mut badge);
        assert!(staff.linger(&mut badge));
        assert_eq!(staff.release_idle().len(), 1);
        assert!(staff.is_back(&mut badge, true));
        assert!(staff.release_idle().is_empty());
        staff.leave(&mut badge);
        assert!(badge.is_off() && staff.is_empty());
    }

    #[test]
    fn a_worker_in_one_poll_at_two_looks_does_not_count_as_running() {
        let mut staff = staff(1);
        let mut badges = [enter(&mut staff), enter(&mut staff)];
        let [first, second] = &badges;
        first.seat().work();
        second.seat().rest();
        staff.find_stuck();
        assert_eq!(staff.stuck, 0, "it may have begun just now");
        staff.find_stuck();
        assert_eq!(staff.stuck, 1);
        staff.find_stuck();
        assert_eq!(staff.stuck, 1, "counted once");
        badges[0].seat().work();
        staff.is_back(&mut badges[0], false);
        assert_eq!(staff.stuck, 0);
        staff.find_stuck();
        badges[0].seat().work();
        staff.find_stuck();
        assert_eq!(staff.stuck, 0, "another poll");
    }

    #[test]
    fn who_lingers_is_not_stuck() {
        let mut staff = Staff::new(plan());
        let mut badge = enter(&mut staff);
        badge.seat().work();
        staff.give_up_permit(&mut badge);
        assert!(staff.linger(&mut badge));
        (0..3).for_each(|_| staff.find_stuck());
        assert_eq!(staff.stuck, 0);
    }

    #[test]
    fn a_worker_takes_no_more_than_its_share() {
        let mut staff = Staff::new(CrewPlan { share: 3, ..plan() });
        assert_eq!(staff.most_at_once(), 1);
        let cheap = Timing {
            ready_ns: 1,
            ready: 1,
            full: true,
            ..Timing::default()
        };
        (0..10).for_each(|_| staff.learn(&cheap));
        assert_eq!(staff.most_at_once(), 3);
        staff.overran(RUN_NS);
        staff.overran(RUN_NS);
        assert_eq!(staff.most_at_once(), 3, "a quarter each time");
        staff.overran(RUN_NS);
        assert_eq!(staff.most_at_once(), 2);
    }
}
