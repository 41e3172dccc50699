//! Ctrl-C. One test, since a signal is for the whole process.
#![cfg(unix)]

use std::process::{Command, id};

use pipeline_core::error::Cause;
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;

fn interrupt() {
    let status = Command::new("kill")
        .args(["-INT", &id().to_string()])
        .status();
    assert!(status.expect("`kill` can be started").success());
}

/// The first Ctrl-C drains the run, a second one cancels it.
#[test]
fn the_first_ctrl_c_drains_and_the_second_cancels() {
    scenario("ctrl-c")
        .on(&[Machine::Threads(2)])
        .run(async |world| {
            for signals in [1, 2] {
                let (flow, gates) = (world.flow(), Gates::new());
                let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                    .buffer(1)
                    .stage(flow.gated(2, &gates))
                    .parallelism(2)
                    .window(2)
                    .for_each(flow.receive())
                    .drain_on_ctrl_c(ms(60_000));
                let mut run = flow.start(job).unwrap();
                let pulled = world.settled(|| flow.pulled()).await;
                interrupt();
                world.settled(|| flow.pulled()).await;
                assert_eq!(flow.metrics().outcome, None);
                if signals == 1 {
                    (0..pulled).for_each(|index| gates.open(index));
                    let report = run.wait().await.unwrap();
                    assert_eq!(report.outcome, Some(Outcome::Drained));
                    flow.expect(0..pulled);
                } else {
                    interrupt();
                    assert!(matches!(cause(run.wait().await), Cause::Cancelled));
                }
            }
        });
}
