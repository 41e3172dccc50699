//! Ctrl-C and SIGTERM. One test, since a signal is for the whole process.
#![cfg(unix)]

use std::process::{Command, id};

use pipeline_core::error::Cause;
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;

fn send(signal: &str) {
    let status = Command::new("kill")
        .args([signal, &id().to_string()])
        .status();
    assert!(status.expect("`kill` can be started").success());
}

/// The first signal drains the run, a second one cancels it, whichever they are.
#[test]
fn the_first_signal_drains_and_the_second_cancels() {
    scenario("signals")
        .on(&[Machine::Threads(2)])
        .run(async |world| {
            let stories = [
                (false, vec!["-INT"]),
                (false, vec!["-INT", "-INT"]),
                (true, vec!["-TERM"]),
                (true, vec!["-TERM", "-INT"]),
            ];
            for (all, signals) in stories {
                let (flow, gates) = (world.flow(), Gates::new());
                let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                    .buffer(1)
                    .stage(flow.gated(2, &gates))
                    .parallelism(2)
                    .window(2)
                    .for_each(flow.receive());
                let job = if all {
                    job.drain_on_signals(ms(60_000))
                } else {
                    job.drain_on_ctrl_c(ms(60_000))
                };
                let mut run = flow.start(job).unwrap();
                let pulled = world.settled(|| flow.pulled()).await;
                send(signals[0]);
                world.settled(|| flow.pulled()).await;
                assert_eq!(flow.metrics().outcome, None);
                if signals.len() == 1 {
                    (0..pulled).for_each(|index| gates.open(index));
                    let report = run.wait().await.unwrap();
                    assert_eq!(report.outcome, Some(Outcome::Drained));
                    flow.expect(0..pulled);
                } else {
                    send(signals[1]);
                    assert!(matches!(cause(run.wait().await), Cause::Cancelled));
                }
            }
        });
}
