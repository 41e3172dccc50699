//! What is left of a run: nothing. Everything is closed once or dropped, whoever ends it, and whatever destructors do.

use std::future::{pending, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use pipeline_core::config::Retry;
use pipeline_core::error::{Cause, Overflow};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use pipeline_core::run::Control;
use tests::prelude::*;
use tests::ticket::{Kind, Ticket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;

/// An item that speaks to its own pipeline when it is dropped.
struct Talker {
    item: Item,
    line: Option<Line>,
}

#[derive(Clone)]
struct Line {
    control: Arc<OnceLock<Control>>,
    sender: mpsc::Sender<Talker>,
    said: Arc<AtomicUsize>,
    cancels: bool,
}

impl Drop for Talker {
    fn drop(&mut self) {
        let Some(line) = self.line.take() else { return };
        let control = line.control.get().expect("set before the first item");
        line.said.fetch_add(1, Ordering::SeqCst);
        let _report = control.metrics();
        let item = std::mem::replace(&mut self.item.index, u64::MAX);
        assert_ne!(item, u64::MAX, "dropped twice");
        if line.cancels {
            control.cancel();
        }
        control.drain(ms(60_000));
        let _refused = line.sender.try_reserve();
    }
}

/// Scenario 182: destructors of items may use the handles of their run, whoever drops them.
#[test]
fn destructors_may_use_the_handles_of_their_run() {
    scenario("182").on(ALL).in_both_orders().run(async |world| {
        for cancels in [false, true] {
            let (flow, gates) = (world.flow(), Gates::new());
            let (sender, source) = Pipeline::channel(4);
            let line = Line {
                control: Arc::new(OnceLock::new()),
                sender: sender.clone(),
                said: Arc::new(AtomicUsize::new(0)),
                cancels,
            };
            let shut = gates.clone();
            let job = source
                .then(move |talker: Talker| {
                    let shut = shut.clone();
                    async move {
                        shut.pass(talker.item.index).await;
                        talker
                    }
                })
                .parallelism(4)
                .in_order(world.order())
                // dropped by the library
                .filter(|talker| talker.item.index % 2 == 0)
                // dropped by the user
                .for_each(drop);
            let mut run = flow.start(job).unwrap();
            line.control.set(run.control()).expect("set once");
            for index in 0..10 {
                let talker = Talker {
                    item: flow.item(index),
                    line: Some(line.clone()),
                };
                sender.send(talker).await.map_err(|_| "closed").unwrap();
            }
            for index in [1, 0, 3, 2] {
                gates.open(index);
            }
            world.settled(|| line.said.load(Ordering::SeqCst)).await;
            assert!(line.said.load(Ordering::SeqCst) > 0);
            // dropped by the cancel
            run.control().cancel();
            assert!(matches!(cause(run.wait().await), Cause::Cancelled));
            assert_eq!(line.said.load(Ordering::SeqCst), 10);
        }
    });
}

/// On every way out, source, sink and each worker's state are closed exactly once.
///
/// That nothing that was at work is dropped instead is a standing check; here each way is gone once.
#[test]
fn everything_is_closed_once_on_every_way_out() {
    let ways = [
        "end", "failure", "panic", "cancel", "drain", "deadline", "source", "sink",
    ];
    scenario("ways out")
        .on(ALL)
        .in_both_orders()
        .run(async move |world| {
            for way in ways {
                let flow = world.flow();
                let (feeds, fault, sink_fault) = (way == "end", flow.clone(), flow.clone());
                let source = flow.source(move |index| {
                    let fault = fault.clone();
                    async move {
                        match index {
                            0..20 => Ok(true),
                            20 if way == "source" => Err(fault.fault("dry")),
                            _ if feeds => Ok(false),
                            _ => pending().await,
                        }
                    }
                });
                let body = flow.body(4, move |item| async move {
                    assert!(!(way == "panic" && item.index == 10), "not this one");
                    if way == "failure" && item.index == 10 {
                        return Err(item.fault("broken"));
                    }
                    if way == "deadline" && item.index == 10 {
                        pending::<()>().await;
                    }
                    Ok(item)
                });
                let made = Arc::new(AtomicUsize::new(0));
                let counter = made.clone();
                let sink = flow.sink(move |index| {
                    let full = way == "sink" && index == 10;
                    ready(if full {
                        Err(sink_fault.fault("full"))
                    } else {
                        Ok(())
                    })
                });
                let job = Pipeline::from_source(source)
                    .stage_with(move || {
                        counter.fetch_add(1, Ordering::SeqCst);
                        ready(Ok::<_, BoxError>(body.clone()))
                    })
                    .parallelism(4)
                    .in_order(world.order())
                    .sink(sink);
                let mut run = flow.start(job).unwrap();
                if matches!(way, "cancel" | "drain" | "deadline") {
                    world.settled(|| (flow.pulled(), flow.out().len())).await;
                }
                match way {
                    "cancel" => run.control().cancel(),
                    "drain" => run.control().drain(ms(60_000)),
                    "deadline" => run.control().drain(ms(10)),
                    _ => {}
                }
                let end = run.wait().await.map_err(|error| error.report);
                let outcome = end.map_or_else(|report| report.outcome, |report| report.outcome);
                let expected = match way {
                    "end" => Outcome::Finished,
                    "drain" => Outcome::Drained,
                    "cancel" => Outcome::Cancelled,
                    "deadline" => Outcome::DeadlinePassed,
                    _ => Outcome::Failed,
                };
                assert_eq!(outcome, Some(expected), "{way}");
                assert_eq!(flow.closes_of(Kind::Source), 1, "{way}");
                assert_eq!(flow.closes_of(Kind::Sink), 1, "{way}");
                // a state that was in the middle of an item is dropped: at most the one of the panic,
                // the one that hangs, or those that were cut short
                let (made, closed) = (made.load(Ordering::SeqCst), flow.closes_of(Kind::State));
                match way {
                    "end" | "drain" | "cancel" => assert_eq!(closed, made, "{way}"),
                    "panic" | "deadline" => {
                        assert!(closed + 1 >= made, "{way}: {closed} of {made}")
                    }
                    _ => assert!(closed <= made, "{way}: {closed} of {made}"),
                }
            }
        });
}

/// A worker's state whose body panicked is dropped; the next item gets a new one, which is closed.
#[test]
fn a_state_whose_body_panicked_is_dropped() {
    scenario("spoiled by a panic").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let made = Arc::new(AtomicUsize::new(0));
        let counter = made.clone();
        let body = flow.body(1, |item| {
            assert_ne!(item.index, 3, "not this one");
            ready(Ok(item))
        });
        let job = Pipeline::from_iter(flow.items(0..10))
            .stage_with(move || {
                counter.fetch_add(1, Ordering::SeqCst);
                ready(Ok::<_, BoxError>(body.clone()))
            })
            .for_each(flow.receive())
            .errors(errors);
        flow.run(job).await.unwrap();
        only_error(failures).await;
        assert_eq!(made.load(Ordering::SeqCst), 2);
        assert_eq!(flow.closes_of(Kind::State), 1);
    });
}

/// A worker's state whose body was dropped half-way by a cancel is dropped; idle ones are closed.
#[test]
fn a_state_whose_body_was_cut_short_is_dropped() {
    scenario("spoiled by a cancel")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let (flow, gates) = (world.flow(), Gates::new());
            let body = flow.gated(4, &gates);
            let gauge = body.gauge();
            let made = Arc::new(AtomicUsize::new(0));
            let counter = made.clone();
            let job = Pipeline::from_iter(flow.items(0..4))
                .stage_with(move || {
                    counter.fetch_add(1, Ordering::SeqCst);
                    ready(Ok::<_, BoxError>(body.clone()))
                })
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            assert_eq!(world.settled(|| gauge.now()).await, 4);
            gates.open(1);
            assert_eq!(world.settled(|| gauge.now()).await, 3);
            run.control().cancel();
            run.wait().await.unwrap_err();
            assert_eq!(made.load(Ordering::SeqCst), 4);
            assert_eq!(flow.closes_of(Kind::State), 1);
        });
}

/// Scenario 160: a `close` that fails or panics is what the run ends with, if nothing else was first.
#[test]
fn a_close_that_fails_is_told() {
    scenario("failing close").on(ALL).run(async |world| {
        for closing in [Closing::Fails, Closing::Panics] {
            for what in [Kind::Source, Kind::State, Kind::Sink] {
                let flow = world.flow();
                let of = |kind| {
                    if kind == what {
                        closing
                    } else {
                        Closing::Quiet
                    }
                };
                let source = flow.source(|index| ready(Ok(index < 10)));
                let job = Pipeline::from_source(source.closing(of(Kind::Source)))
                    .stage(flow.pass(1).closing(of(Kind::State)))
                    .name("check")
                    .sink(flow.sink(|_| ready(Ok(()))).closing(of(Kind::Sink)));
                let error = flow.run(job).await.unwrap_err();
                let told = match (what, &error.cause) {
                    (Kind::Source, Cause::Source(error)) | (Kind::Sink, Cause::Sink(error)) => {
                        error
                    }
                    (Kind::State, Cause::Stage(name, error)) if &**name == "check" => error,
                    (_, other) => panic!("{what:?}: {other:?}"),
                };
                let text = if closing == Closing::Fails {
                    "close failed"
                } else {
                    "close panicked"
                };
                assert!(told.to_string().contains(text), "{told}");
            }
        }
    });
}

/// A `close` that fails after another failure does not hide it.
#[test]
fn a_close_that_fails_does_not_hide_the_first_cause() {
    scenario("second cause").on(ALL).run(async |world| {
        let flow = world.flow();
        let source = flow.source(|_| ready(Ok(true))).closing(Closing::Fails);
        let body = flow.breaks(1, |index| index == 3).closing(Closing::Panics);
        let sink = flow.sink(|_| ready(Ok(()))).closing(Closing::Fails);
        let job = Pipeline::from_source(source).stage(body).sink(sink);
        assert_eq!(failure(flow.run(job).await).origin().first(), 3);
    });
}

/// A `close` that never ends does not hold the run for ever, whether or not the others take their time, too.
#[test]
fn a_close_that_hangs_is_given_up() {
    scenario("hanging close").run(async |world| {
        let kinds = [Kind::Source, Kind::State, Kind::Sink];
        let cases = [Closing::Quiet, Closing::Dawdles]
            .into_iter()
            .flat_map(|others| kinds.map(|what| (what, others)));
        for (what, others) in cases {
            let flow = world.flow();
            let of = |kind| {
                if kind == what { Closing::Hangs } else { others }
            };
            let source = flow.source(|_| ready(Ok(true)));
            let job = Pipeline::from_source(source.closing(of(Kind::Source)))
                .stage(flow.pass(1).closing(of(Kind::State)))
                .sink(flow.sink(|_| ready(Ok(()))).closing(of(Kind::Sink)));
            let mut run = flow.start(job).unwrap();
            yield_now().await;
            run.control().cancel();
            let end = tokio::time::timeout(ms(3_600_000), run.wait()).await;
            let end = end.unwrap_or_else(|_| panic!("the close of the {what:?} holds it for ever"));
            assert!(end.is_err());
        }
    });
}

/// A runtime that the story may drop.
fn passing(machine: Machine) -> Runtime {
    match machine {
        Machine::Threads(1) => Builder::new_current_thread().enable_all().build(),
        Machine::Threads(n) => Builder::new_multi_thread()
            .worker_threads(n)
            .enable_all()
            .build(),
        Machine::Paused => unreachable!("the two runtimes need a common time"),
    }
    .expect("a runtime")
}

/// A runtime that goes in mid-run takes all of it along; who waits elsewhere is told.
#[test]
fn a_runtime_that_goes_takes_the_run_along() {
    scenario("runtime gone")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            for waits in ["before", "after"] {
                let runtime = passing(world.machine());
                let flow = world.flow();
                let body = flow.body(4, |item| async move {
                    pending::<()>().await;
                    Ok(item)
                });
                let gauge = body.gauge();
                let source = flow.source(|_| ready(Ok(true)));
                let job = Pipeline::from_source(source)
                    .stage(body)
                    .parallelism(4)
                    .in_order(world.order())
                    .sink(flow.sink(|_| ready(Ok(()))));
                let mut run = {
                    let _inside = runtime.enter();
                    flow.start(job).unwrap()
                };
                let (go, gone) = (Gate::new(), Gate::new());
                let gates = (go.clone(), gone.clone());
                let driver = thread::spawn(move || {
                    let (go, gone) = gates;
                    runtime.block_on(go.pass());
                    drop(runtime);
                    gone.open();
                });
                gauge.wait_for(4);
                flow.let_go();
                let end = if waits == "before" {
                    let (end, ()) = tokio::join!(run.wait(), async { go.open() });
                    end
                } else {
                    go.open();
                    gone.pass().await;
                    run.wait().await
                };
                let error = end.unwrap_err();
                assert!(
                    matches!(error.cause, Cause::RuntimeGone),
                    "{:?}",
                    error.cause
                );
                gone.pass().await;
                driver.join().unwrap();
                let control = run.control();
                control.cancel();
                control.drain(ms(1));
                assert_eq!(control.metrics().outcome, error.report.outcome);
            }
        });
}

/// A stream whose runtime goes says so instead of ending as if all were well.
#[test]
fn a_stream_whose_runtime_goes_ends_with_an_error() {
    scenario("runtime of a stream gone")
        .on(THREADS)
        .run(async |world| {
            let runtime = passing(world.machine());
            let (flow, gates) = (world.flow(), Gates::new());
            let body = flow.gated(4, &gates);
            let gauge = body.gauge();
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .stage(body)
                .parallelism(4)
                .into_stream();
            let mut items = {
                let _inside = runtime.enter();
                flow.start(job).unwrap()
            };
            let go = Gate::new();
            let gate = go.clone();
            let driver = thread::spawn(move || {
                runtime.block_on(gate.pass());
                drop(runtime);
            });
            gauge.wait_for(4);
            flow.let_go();
            go.open();
            let error = items.next().await.unwrap().unwrap_err();
            assert!(
                matches!(error.cause, Cause::RuntimeGone),
                "{:?}",
                error.cause
            );
            assert!(items.next().await.is_none());
            driver.join().unwrap();
        });
}

/// Also to an owner who waits for the next item when it goes, and whom no item will wake.
#[test]
fn a_stream_that_waits_when_its_runtime_goes_ends_with_an_error() {
    scenario("runtime of a waiting stream gone")
        .on(THREADS)
        .run(async |world| {
            let runtime = world.machine().runtime();
            let flow = world.flow();
            let (_sender, pipeline) = Pipeline::channel(1);
            let mut items = {
                let _inside = runtime.enter();
                flow.start(pipeline.into_stream()).unwrap()
            };
            flow.let_go();
            let error = tokio::join!(items.next(), async { runtime.shutdown_background() }).0;
            let error = error.unwrap().unwrap_err();
            assert!(
                matches!(error.cause, Cause::RuntimeGone),
                "{:?}",
                error.cause
            );
        });
}

/// What an end was given before its runtime went is delivered, what it was in the middle of is cancelled.
#[test]
fn an_end_that_is_dropped_in_the_middle_has_settled_what_it_took() {
    scenario("runtime of an end gone")
        .on(THREADS)
        .run(async |world| {
            let runtime = world.machine().runtime();
            let (flow, there) = (world.flow(), Gate::new());
            let reached = there.clone();
            let job = Pipeline::from_iter(flow.items(0..9)).try_for_each(move |item| {
                let reached = reached.clone();
                async move {
                    if item.index == 4 {
                        reached.open();
                        pending::<()>().await;
                    }
                    Ok::<_, BoxError>(())
                }
            });
            let mut run = {
                let _inside = runtime.enter();
                flow.start(job).unwrap()
            };
            there.pass().await;
            flow.let_go();
            runtime.shutdown_background();
            let error = run.wait().await.unwrap_err();
            assert_eq!(
                (error.report.items.delivered, error.report.items.cancelled),
                (4, 5)
            );
        });
}

/// A failure that waits for room when its runtime goes is counted as one that nobody received.
#[test]
fn a_failure_that_waits_when_its_runtime_goes_is_counted() {
    scenario("runtime of a failure gone")
        .on(THREADS)
        .run(async |world| {
            let runtime = world.machine().runtime();
            let (flow, (errors, failures)) = (world.flow(), mpsc::channel(1));
            let body = flow.breaks(2, |_| true);
            let gauge = body.gauge();
            let job = Pipeline::from_iter(flow.items(0..9))
                .stage(body)
                .parallelism(2)
                .for_each(flow.receive())
                .errors(errors)
                .error_overflow(Overflow::Wait);
            let mut run = {
                let _inside = runtime.enter();
                flow.start(job).unwrap()
            };
            assert!(world.settled(|| gauge.count()).await > 1);
            flow.let_go();
            runtime.shutdown_background();
            let report = run.wait().await.unwrap_err().report;
            assert_eq!(all_errors(failures).await.len(), 1);
            assert_eq!(not_delivered(&report) + 1, report.items.failed);
        });
}

/// So is one whose body cannot be interrupted: it waits without a worker of its own.
#[test]
fn a_failure_of_a_blocking_body_that_waits_when_its_runtime_goes_is_counted() {
    scenario("runtime of a late failure gone").run(async |world| {
        let (flow, door) = (world.flow(), Door::new());
        let (errors, failures) = mpsc::channel(1);
        let shut = door.clone();
        let job = Pipeline::from_iter(flow.items(0..3))
            .blocking(move |item| {
                if item.index < 2 {
                    shut.pass();
                }
                item.output()
            })
            .parallelism(3)
            .timeout(ms(50))
            .for_each(flow.receive())
            .errors(errors)
            .error_overflow(Overflow::Wait);
        let inside = flow.clone();
        let elsewhere = thread::spawn(move || {
            let runtime = Machine::Paused.runtime();
            let run = runtime.block_on(async {
                let run = inside.start(job).unwrap();
                while inside.metrics().stages[0].given < 1 {
                    yield_now().await;
                }
                advance(ms(50)).await;
                // the third comes through when the others are decided: one is told, and one waits
                while inside.out().is_empty() {
                    yield_now().await;
                }
                run
            });
            inside.let_go();
            runtime.shutdown_background();
            run
        });
        let mut run = elsewhere.join().unwrap();
        door.open();
        let report = run.wait().await.unwrap_err().report;
        assert_eq!(all_errors(failures).await.len(), 1);
        assert_eq!((report.items.failed, not_delivered(&report)), (2, 1));
    });
}

/// A stage that stops its own run, and fails.
struct Stops {
    ticket: Ticket,
    control: Arc<OnceLock<Control>>,
}

impl Clone for Stops {
    fn clone(&self) -> Self {
        Stops {
            ticket: self.ticket.duplicate(),
            control: self.control.clone(),
        }
    }
}

impl Stage<u64, u64> for Stops {
    type Error = BoxError;

    async fn process(&mut self, _: u64) -> Result<u64, BoxError> {
        let turn = self.ticket.turn();
        if let Some(control) = self.control.get() {
            control.cancel();
        }
        turn.over();
        Err("stopped".into())
    }

    async fn close(self) -> Result<(), BoxError> {
        Ok(self.ticket.close().await?)
    }
}

/// A worker that was stopped between two attempts closes its value: no body of its was interrupted.
#[test]
fn a_run_stopped_between_two_attempts_closes_its_stages() {
    scenario("stopped between attempts").run(async |world| {
        let (flow, control) = (world.flow(), Arc::new(OnceLock::new()));
        let stage = Stops {
            ticket: Ticket::new(&flow, Kind::State, Closing::Quiet),
            control: control.clone(),
        };
        let job = Pipeline::from_iter(0..1)
            .stage(stage)
            .retry(Retry::fixed(ms(0)))
            .count();
        let mut run = flow.start(job).unwrap();
        control.set(run.control()).unwrap();
        run.wait().await.unwrap_err();
        assert!(flow.closes_of(Kind::State) > 0);
    });
}

/// The handles of a run may be dropped in any order, by anybody.
#[test]
fn handles_may_be_dropped_in_any_order() {
    scenario("handles")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for order in permutations(5) {
                let flow = world.flow();
                let (errors, failures) = mpsc::channel(4);
                let (sender, source) = Pipeline::channel(4);
                let token = CancellationToken::new();
                let job = source
                    .stage(flow.sleeps(4, |index| ms(index % 2)))
                    .parallelism(4)
                    .in_order(world.order())
                    .into_stream()
                    .errors(errors)
                    .cancel_on(&token);
                let run = flow.start(job).unwrap();
                let control = run.control();
                for index in 0..4 {
                    sender.send(flow.item(index)).await.unwrap();
                }
                let (mut run, mut control, mut sender) = (Some(run), Some(control), Some(sender));
                let (mut failures, mut token) = (Some(failures), Some(token));
                for handle in order {
                    match handle {
                        0 => drop(run.take()),
                        1 => drop(control.take()),
                        2 => drop(sender.take()),
                        3 => drop(failures.take()),
                        _ => drop(token.take()),
                    }
                    if world.machine() == Machine::Paused {
                        sleep(ms(1)).await;
                    } else {
                        yield_now().await;
                    }
                }
            }
        });
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    let Some(last) = n.checked_sub(1) else {
        return vec![Vec::new()];
    };
    let mut all = Vec::new();
    for shorter in permutations(last) {
        for place in 0..=last {
            let mut longer = shorter.clone();
            longer.insert(place, last);
            all.push(longer);
        }
    }
    all
}

/// A runtime that goes while items wait for another attempt, or for the end of their time, takes them along, too.
#[test]
fn a_runtime_that_goes_ends_pauses_and_limits() {
    const HOUR: std::time::Duration = ms(3_600_000);
    scenario("runtime gone in pauses")
        .on(THREADS)
        .run(async |world| {
            for how in ["pause", "blocking pause", "limit", "blocking limit"] {
                let runtime = passing(world.machine());
                let (flow, door) = (world.flow(), Door::new());
                let (to, mut dead) = mpsc::channel(4);
                let (tried, shut) = (flow.gauge(2), door.clone());
                let tries = tried.clone();
                let source = Pipeline::from_iter(flow.parcels(0..u64::MAX));
                let body = move |parcel: Parcel| {
                    drop(tries.enter(parcel.index));
                    match how {
                        "blocking limit" => shut.pass(),
                        "limit" => {}
                        _ => return Err(parcel.fault("broken")),
                    }
                    Ok(parcel)
                };
                let (retry, receive) = (Retry::fixed(HOUR), flow.receive());
                let job = if how.starts_with("blocking") {
                    source
                        .try_blocking(body)
                        .parallelism(2)
                        .timeout(HOUR)
                        .retry(retry)
                        .dead_letters(to)
                        .map(Parcel::open)
                        .for_each(receive)
                } else {
                    source
                        .and_then(move |parcel| {
                            let result = body(parcel);
                            async move {
                                let parcel = result?;
                                pending::<()>().await;
                                Ok::<_, Fault>(parcel)
                            }
                        })
                        .parallelism(2)
                        .timeout(HOUR)
                        .retry(retry)
                        .dead_letters(to)
                        .map(Parcel::open)
                        .for_each(receive)
                };
                let mut run = {
                    let _inside = runtime.enter();
                    flow.start(job).unwrap()
                };
                let go = Gate::new();
                let gate = go.clone();
                let driver = thread::spawn(move || {
                    runtime.block_on(gate.pass());
                    drop(runtime);
                });
                assert_eq!(world.settled(|| tried.count()).await, 2);
                flow.let_go();
                go.open();
                // the runtime waits for its threads; until it stops the run, the items behind come through
                door.open();
                let error = run.wait().await.unwrap_err();
                assert!(
                    matches!(error.cause, Cause::RuntimeGone),
                    "{:?}",
                    error.cause
                );
                driver.join().unwrap();
                assert!(dead.recv().await.is_none());
            }
        });
}
