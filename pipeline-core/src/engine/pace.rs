//! How many items a worker takes at once, and how long they take: learned from each run.

use super::limits::{MAX_RUN, RUN_NS};

/// How a run went.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Timing {
    /// Time of all items that were ready at once, in ns; 0 if it was not measured.
    pub(super) ready_ns: u64,
    /// How many these were.
    pub(super) ready: usize,
    /// Time of the item that had to wait, in ns, if it was measured.
    pub(super) pended_ns: Option<u64>,
    /// Whether an item had to wait; the rest of its run was given back.
    pub(super) pended: bool,
    /// Whether the run was as long as was asked for.
    pub(super) full: bool,
}

#[derive(Debug)]
pub(super) struct Pace {
    run: usize,
    item_ns: u64,
}

impl Pace {
    /// Items of a stage that has not run yet count as worth a run each, so that they are spread over
    /// the cores at once.
    pub(super) fn new() -> Self {
        Pace {
            run: 1,
            item_ns: RUN_NS,
        }
    }

    /// Items to take at once.
    #[inline]
    pub(super) fn run(&self) -> usize {
        self.run
    }

    /// Estimated time of an item, in ns.
    #[inline]
    pub(super) fn item_ns(&self) -> u64 {
        self.item_ns
    }

    /// Doubles or halves the run until it holds about [`RUN_NS`] of work.
    #[inline]
    pub(super) fn learn(&mut self, timing: &Timing) {
        if timing.pended {
            self.item_ns = self.item_ns.max(RUN_NS);
            self.run = (self.run / 2).max(1);
            return;
        }
        if timing.ready == 0 || timing.ready_ns == 0 {
            return;
        }
        // growth is clamped: one preempted run is no reason to start a worker
        let item_ns =
            (timing.ready_ns / timing.ready as u64).min(self.item_ns.saturating_mul(4).max(64));
        self.item_ns = (3 * self.item_ns + item_ns) / 4;
        if timing.ready_ns > RUN_NS {
            self.run = (self.run / 2).max(1);
        } else if timing.full && timing.ready_ns * 2 < RUN_NS {
            self.run = (self.run * 2).min(MAX_RUN);
        }
    }

    /// A run took much longer than it should have: the next one is shorter.
    pub(super) fn overran(&mut self, item_ns: u64) {
        self.item_ns = self.item_ns.max(item_ns.min(4 * RUN_NS));
        self.run = (self.run / 4).max(1);
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    #[test]
    fn cheap_items_go_in_long_runs_and_heavy_ones_one_by_one() {
        let mut pace = Pace::new();
        for _ in 0..20 {
            let ready = pace.run();
            pace.learn(&Timing {
                ready_ns: 10 * ready as u64,
                ready,
                full: true,
                ..Timing::default()
            });
        }
        assert_eq!(pace.run(), MAX_RUN);
        assert!(pace.item_ns() < 100, "{pace:?}");
        for _ in 0..20 {
            let ready = pace.run();
            pace.learn(&Timing {
                ready_ns: 50_000 * ready as u64,
                ready,
                full: true,
                ..Timing::default()
            });
        }
        assert_eq!(pace.run(), 1);
        assert!(pace.item_ns() > 40_000, "{pace:?}");
    }

    #[test]
    fn waiting_items_count_as_a_run_each() {
        let mut pace = Pace::new();
        pace.learn(&Timing {
            pended: true,
            ready: 1,
            ..Timing::default()
        });
        assert_eq!((pace.run(), pace.item_ns()), (1, RUN_NS));
    }

    /// So many items that took so long each.
    fn ran(pace: &mut Pace, ready: usize, item_ns: u64) {
        pace.learn(&Timing {
            ready_ns: item_ns * ready as u64,
            ready,
            full: ready == pace.run(),
            ..Timing::default()
        });
    }

    #[test]
    fn an_estimate_moves_by_a_quarter() {
        let mut pace = Pace::new();
        ran(&mut pace, 1, 2_000);
        assert_eq!(pace.item_ns(), (3 * RUN_NS + 2_000) / 4);
    }

    #[test]
    fn one_preempted_run_is_no_reason_to_take_items_for_dear() {
        let mut pace = Pace::new();
        (0..100).for_each(|_| ran(&mut pace, 1, 100));
        assert_eq!(pace.item_ns(), 100);
        ran(&mut pace, 1, 1_000_000);
        assert_eq!(pace.item_ns(), (3 * 100 + 4 * 100) / 4);
        // and one that could not be seen to take any time does not hold it at nothing
        let mut pace = Pace { run: 1, item_ns: 0 };
        ran(&mut pace, 1, 1_000);
        assert_eq!(pace.item_ns(), 64 / 4);
    }

    #[test]
    fn a_run_that_was_not_measured_teaches_nothing() {
        for (ready, ready_ns) in [(0, 0), (0, 5), (5, 0)] {
            let mut pace = Pace { run: 8, item_ns: 7 };
            pace.learn(&Timing {
                ready_ns,
                ready,
                full: true,
                ..Timing::default()
            });
            assert_eq!((pace.run(), pace.item_ns()), (8, 7));
        }
    }

    #[test]
    fn a_run_is_doubled_while_two_of_it_would_be_short_enough() {
        let half = RUN_NS / 2;
        for (ready_ns, full, then) in [
            (half - 1, true, 8),
            (half, true, 4),
            (half - 1, false, 4),
            (RUN_NS, true, 4),
            (RUN_NS + 1, true, 2),
            (RUN_NS + 1, false, 2),
        ] {
            let mut pace = Pace { run: 4, item_ns: 1 };
            pace.learn(&Timing {
                ready_ns,
                ready: 4,
                full,
                ..Timing::default()
            });
            assert_eq!(pace.run(), then, "{ready_ns} ns, full: {full}");
        }
    }

    #[test]
    fn a_run_with_an_item_that_waits_is_halved() {
        let waits = Timing {
            pended: true,
            ready: 3,
            ready_ns: 3,
            ..Timing::default()
        };
        let mut pace = Pace { run: 9, item_ns: 1 };
        pace.learn(&waits);
        assert_eq!((pace.run(), pace.item_ns()), (4, RUN_NS));
        (0..5).for_each(|_| pace.learn(&waits));
        assert_eq!(pace.run(), 1);
    }

    #[test]
    fn a_run_that_takes_too_long_is_quartered() {
        let mut pace = Pace { run: 9, item_ns: 1 };
        pace.overran(5);
        assert_eq!((pace.run(), pace.item_ns()), (2, 5));
        pace.overran(3);
        assert_eq!((pace.run(), pace.item_ns()), (1, 5));
        pace.overran(u64::MAX);
        assert_eq!((pace.run(), pace.item_ns()), (1, 4 * RUN_NS));
    }
}
