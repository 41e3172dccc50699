//! The handshakes of the engine under every schedule and every outcome that the memory orders allow.
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test -p pipeline-core --release --lib --target-dir target/loom models
//! ```
//!
//! Two sides, each of which tells the other something and then looks: whatever the schedule, one of
//! them has to see the other. The parts are the real ones; only the stage is a stand-in that counts
//! how often a worker was started. One model a test.

use std::{
    collections::VecDeque,
    future::ready,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::{Context, Poll, Wake, Waker},
};

use loom::{sync::Arc as Shared, thread::spawn};

use super::{
    edge::{Claim, Consumer, CrewPlan, Desk, Edge, Producer, Reader, Taken},
    envelope::{Envelope, Slot},
    failures::Failures,
    gate::Gate,
    hub::{Hub, Task},
    joint::Joint,
    pool::{Acquired, Pool},
    seat::{Role, Seat},
    stubs::Stubs,
    ticket::Ticket,
};
use crate::{
    error::{Cause, Overflow},
    rt::Runtime,
};

type Arc<T> = std::sync::Arc<T>;

/// Explores `model` on a runtime whose tasks never run.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _here = runtime.enter();
    loom::model(model);
}

fn hub() -> Arc<Hub> {
    let runtime = Runtime::try_current().expect("a runtime");
    Hub::new(runtime, Failures::new(None, Overflow::Count, None), false)
}

fn seat() -> Arc<Seat> {
    Arc::new(Seat::new(Role::End, None))
}

/// A waker that counts, and nothing more.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Bell {
    fn waker(self: &Arc<Self>) -> Waker {
        Arc::clone(self).into()
    }

    /// Since it was last asked.
    fn has_rung(&self) -> bool {
        self.0.swap(0, SeqCst) > 0
    }
}

/// A stage that counts, and hands on the end.
struct Stage {
    starts: AtomicUsize,
    finishes: AtomicUsize,
    output: Arc<Edge<u64>>,
}

impl Consumer<u64> for Stage {
    fn start(self: Arc<Self>, _: Arc<Edge<u64>>) {
        self.starts.fetch_add(1, SeqCst);
    }

    fn finish(&self, results: u64) {
        self.finishes.fetch_add(1, SeqCst);
        self.output.set_end(results);
    }

    fn wind_down(&self) {}
}

/// Two edges with a stage between them.
struct Line {
    hub: Arc<Hub>,
    /// Or the run would be over with the first worker.
    supervisor: Task,
    input: Arc<Edge<u64>>,
    output: Arc<Edge<u64>>,
    stage: Arc<Stage>,
    given: u64,
}

impl Line {
    fn new(window: usize, parallelism: usize, lingers: bool) -> Self {
        let hub = hub();
        let (input, output) = (Edge::new(&hub, 8), Edge::new(&hub, window));
        let stage = Arc::new(Stage {
            starts: AtomicUsize::new(0),
            finishes: AtomicUsize::new(0),
            output: Arc::clone(&output),
        });
        let upstream: std::sync::Weak<Edge<u64>> = Arc::downgrade(&input);
        output.filled_by(upstream);
        let plan = CrewPlan {
            name: "stage".into(),
            parallelism,
            running: 1,
            share: 1,
            backlog: 1,
            lingers,
            own_threads: false,
        };
        input.read_by(plan, None, stage.clone());
        Line {
            supervisor: hub.task(Role::Supervisor),
            hub,
            input,
            output,
            stage,
            given: 0,
        }
    }

    /// The source gives an item.
    fn give(&mut self) {
        give(&self.input, self.given);
        self.given += 1;
    }

    fn worker(&self) -> Worker {
        let task = self.hub.task(Role::Worker);
        Worker {
            desk: Desk::new(Arc::clone(task.seat())),
            item: None,
            task,
            input: Arc::clone(&self.input),
            output: Arc::clone(&self.output),
        }
    }

    fn starts(&self) -> usize {
        self.stage.starts.load(SeqCst)
    }

    fn finishes(&self) -> usize {
        self.stage.finishes.load(SeqCst)
    }

    /// Does what is still due after the first worker and what the sink has read, and sees that it was
    /// all that there is.
    fn settle(self, mut sink: Sink, items: usize) {
        let mut begun = 1;
        loop {
            if sink.bell.has_rung() {
                sink.read_on();
            } else if begun < self.starts() {
                begun += 1;
                let mut worker = self.worker();
                worker.work_on();
                worker.leave();
            } else {
                break;
            }
        }
        assert_eq!((sink.items, sink.ended), (items, true));
        assert_eq!(self.finishes(), 1);
        self.end();
    }

    /// Takes the run apart: edges and hub hold each other until then.
    fn end(self) {
        self.hub.conclude();
        self.supervisor.finish();
    }
}

fn give(edge: &Arc<Edge<u64>>, sequence: u64) {
    let item = Slot::Done(Envelope::new(
        sequence,
        Ticket::Single {
            source: 0,
            index: sequence,
        },
    ));
    edge.complete(true, sequence, &mut VecDeque::from([item]));
}

/// Reads as long as there is something, and hears when there is more.
struct Sink {
    reader: Reader<u64>,
    bell: Arc<Bell>,
    items: usize,
    ended: bool,
}

impl Sink {
    fn new(edge: &Arc<Edge<u64>>) -> Self {
        Sink {
            reader: Reader::new(Joint::Plain(Arc::clone(edge)), &seat()),
            bell: Arc::default(),
            items: 0,
            ended: false,
        }
    }

    fn read_on(&mut self) {
        loop {
            match read(&self.reader, &self.bell.waker()) {
                Poll::Ready(Taken::Items) => self.items += 1,
                Poll::Ready(Taken::End) => {
                    self.ended = true;
                    return;
                }
                Poll::Pending => return,
            }
        }
    }
}

/// Takes one item, if there is one.
fn read(reader: &Reader<u64>, waker: &Waker) -> Poll<Taken> {
    let (mut items, mut stubs) = (Vec::new(), Stubs::default());
    let context = Context::from_waker(waker);
    reader.poll_take(&context, 1, false, &mut items, &mut stubs)
}

struct Worker {
    task: Task,
    desk: Desk<u64>,
    /// In work.
    item: Option<Envelope<u64>>,
    input: Arc<Edge<u64>>,
    output: Arc<Edge<u64>>,
}

impl Worker {
    fn claim(&mut self) -> Poll<Claim> {
        self.input.claim(&mut self.desk, &self.output)
    }

    fn has_run(&mut self) -> bool {
        matches!(self.claim(), Poll::Ready(Claim::Run { .. }))
    }

    /// As long as there is work.
    fn work_on(&mut self) {
        while self.has_run() {
            self.work();
        }
    }

    /// The item has to wait; then it goes on.
    fn park_and_return(&mut self) {
        self.item = self.item.take().or_else(|| self.desk.next());
        self.input.park(&mut self.desk, true);
        self.input.unpark(&mut self.desk);
    }

    /// Works on the run, and delivers it.
    fn work(&mut self) {
        let item = self.item.take().or_else(|| self.desk.next());
        let result = Slot::Done(item.expect("a run"));
        let sequence = self.desk.sequence() - 1;
        self.output
            .complete(true, sequence, &mut VecDeque::from([result]));
    }

    fn leave(mut self) {
        self.desk.clear();
        self.input.retire(&mut self.desk);
        self.task.finish();
    }
}

/// I5, without the lock: a worker that parks against a completion.
#[test]
fn a_worker_parks_while_items_arrive() {
    explore(|| {
        let gate = Shared::new(Gate::default());
        // loom takes a value that an atomic was made with for weaker than any store
        gate.publish(0);
        gate.park();
        gate.unpark();
        let parked = {
            let gate = Shared::clone(&gate);
            spawn(move || gate.park())
        };
        gate.publish(1);
        let sees_worker = gate.parked() > 0;
        let sees_items = parked.join().expect("no panic");
        assert!(sees_worker || sees_items);
    });
}

/// I5, with the edge around it: another worker is started, once.
#[test]
fn a_parked_worker_gets_a_deputy() {
    explore(|| {
        let mut line = Line::new(8, 2, false);
        line.give();
        let mut worker = line.worker();
        assert!(worker.has_run());
        // as above
        worker.park_and_return();
        assert_eq!(line.starts(), 1);
        let parked = spawn(move || {
            worker.input.park(&mut worker.desk, true);
            worker
        });
        line.give();
        let worker = parked.join().expect("no panic");
        assert_eq!(line.starts(), 2);
        worker.leave();
        line.end();
    });
}

/// I6: a worker that finds no room against a reader that makes some.
#[test]
fn a_worker_asks_for_room_while_there_comes_some() {
    explore(|| {
        let mut line = Line::new(1, 1, false);
        let reader = Reader::new(Joint::Plain(Arc::clone(&line.output)), &seat());
        let mut worker = line.worker();
        for _ in 0..4 {
            line.give();
        }
        for _ in 0..2 {
            assert!(worker.has_run());
            worker.work();
            assert_eq!(read(&reader, Waker::noop()), Poll::Ready(Taken::Items));
        }
        assert!(worker.has_run());
        worker.work();
        assert_eq!(line.starts(), 1);
        let reading = spawn(move || {
            assert_eq!(read(&reader, Waker::noop()), Poll::Ready(Taken::Items));
        });
        let has_run = worker.has_run();
        reading.join().expect("no panic");
        assert_eq!(usize::from(has_run) + line.starts(), 2);
        worker.leave();
        line.end();
    });
}

/// I6 for a source, which is one task, and is woken.
#[test]
fn a_source_asks_for_room_while_there_comes_some() {
    struct Source(Arc<Bell>);
    impl Producer for Source {
        fn resume(self: Arc<Self>) {
            self.0.waker().wake();
        }

        fn unwanted(self: Arc<Self>) {}
    }
    explore(|| {
        let hub = hub();
        let edge = Edge::new(&hub, 1);
        let bell = Arc::<Bell>::default();
        let source = Arc::new(Source(Arc::clone(&bell)));
        let upstream: std::sync::Weak<Source> = Arc::downgrade(&source);
        edge.filled_by(upstream);
        let reader = Reader::new(Joint::Plain(Arc::clone(&edge)), &seat());
        for sequence in 0..2 {
            give(&edge, sequence);
            assert_eq!(read(&reader, Waker::noop()), Poll::Ready(Taken::Items));
        }
        give(&edge, 2);
        let reading = spawn(move || {
            assert_eq!(read(&reader, Waker::noop()), Poll::Ready(Taken::Items));
        });
        let has_room = edge.ask_for_room(3);
        reading.join().expect("no panic");
        assert!(has_room != bell.has_rung());
        hub.conclude();
    });
}

/// I5: a worker that finds nothing to do against a completion.
#[test]
fn a_worker_leaves_while_items_arrive() {
    explore(|| {
        let mut line = Line::new(8, 1, false);
        line.give();
        let mut worker = line.worker();
        assert!(worker.has_run());
        worker.work();
        let leaving = spawn(move || (worker.has_run(), worker));
        line.give();
        let (has_run, worker) = leaving.join().expect("no panic");
        assert_eq!(usize::from(has_run) + line.starts(), 2);
        worker.leave();
        line.end();
    });
}

/// I5: a worker that lingers is woken, and nobody is started in its place.
#[test]
fn a_worker_lingers_while_items_arrive() {
    explore(|| {
        let mut line = Line::new(8, 1, true);
        line.give();
        let mut worker = line.worker();
        let bell = Arc::<Bell>::default();
        worker.task.sit(&Context::from_waker(&bell.waker()));
        assert!(worker.has_run());
        worker.work();
        let lingering = spawn(move || (worker.has_run(), worker));
        line.give();
        let (has_run, mut worker) = lingering.join().expect("no panic");
        assert_eq!(line.starts(), 1);
        assert!(has_run || (bell.has_rung() && worker.has_run()));
        worker.leave();
        line.end();
    });
}

/// The stage is finished once: by its last worker, or by the source that ends after it.
#[test]
fn the_last_worker_leaves_while_the_source_ends() {
    explore(|| {
        let mut line = Line::new(8, 1, false);
        line.give();
        let mut worker = line.worker();
        assert!(worker.has_run());
        worker.work();
        let leaving = spawn(move || (worker.has_run(), worker));
        line.input.set_end(1);
        let (has_run, worker) = leaving.join().expect("no panic");
        assert!(!has_run);
        assert_eq!(line.finishes(), 1);
        worker.leave();
        assert_eq!((line.finishes(), line.starts()), (1, 1));
        line.end();
    });
}

/// A source, a worker and a sink with room for one item: nobody is forgotten on the way to the end.
#[test]
fn items_pass_through_a_window_of_one() {
    explore(|| {
        let mut line = Line::new(1, 1, false);
        line.give();
        let mut worker = line.worker();
        let mut sink = Sink::new(&line.output);
        let working = spawn(move || {
            worker.work_on();
            worker
        });
        let reading = spawn(move || {
            sink.read_on();
            sink
        });
        line.give();
        line.input.set_end(2);
        let (worker, sink) = (working.join(), reading.join());
        worker.expect("no panic").leave();
        line.settle(sink.expect("no panic"), 2);
    });
}

/// The same with two workers, one of which parks in the middle of its item.
#[test]
fn items_pass_by_a_worker_that_waits() {
    explore(|| {
        let mut line = Line::new(2, 2, false);
        line.give();
        let mut worker = line.worker();
        assert!(worker.has_run());
        // as above
        worker.park_and_return();
        let working = spawn(move || {
            worker.park_and_return();
            worker.work();
            worker.work_on();
            worker
        });
        line.give();
        line.input.set_end(2);
        working.join().expect("no panic").leave();
        let mut sink = Sink::new(&line.output);
        sink.read_on();
        line.settle(sink, 2);
    });
}

/// An end that waits against an item.
#[test]
fn an_end_waits_while_an_item_arrives() {
    explore(|| {
        let hub = hub();
        let edge = Edge::new(&hub, 1);
        let reader = Reader::new(Joint::Plain(Arc::clone(&edge)), &seat());
        let bell = Arc::<Bell>::default();
        let waker = bell.waker();
        let reading = spawn(move || read(&reader, &waker));
        give(&edge, 0);
        let taken = reading.join().expect("no panic");
        assert!(taken == Poll::Ready(Taken::Items) || bell.has_rung());
        hub.conclude();
    });
}

/// An end that waits against the end.
#[test]
fn an_end_waits_while_the_source_ends() {
    explore(|| {
        let hub = hub();
        let edge = Edge::<u64>::new(&hub, 1);
        let reader = Reader::new(Joint::Plain(Arc::clone(&edge)), &seat());
        let bell = Arc::<Bell>::default();
        let waker = bell.waker();
        let reading = spawn(move || read(&reader, &waker));
        edge.set_end(0);
        let taken = reading.join().expect("no panic");
        assert!(taken == Poll::Ready(Taken::End) || bell.has_rung());
        hub.conclude();
    });
}

/// I10: a task in its first poll against a stop.
#[test]
fn a_task_takes_its_seat_while_the_run_is_stopped() {
    explore(|| {
        let hub = hub();
        let task = hub.task(Role::Worker);
        let bell = Arc::<Bell>::default();
        let waker = bell.waker();
        let sitting = spawn(move || {
            task.sit(&Context::from_waker(&waker));
            let stopped = task.hub().stopped();
            (stopped, task)
        });
        hub.stop(Cause::Cancelled);
        let (stopped, task) = sitting.join().expect("no panic");
        assert!(stopped || bell.has_rung());
        task.finish();
    });
}

/// The supervisor, which waits for all others to end, against the last one.
#[test]
fn the_supervisor_waits_while_the_last_task_ends() {
    explore(|| {
        let hub = hub();
        let (supervisor, last) = (hub.task(Role::Supervisor), hub.task(Role::End));
        let bell = Arc::<Bell>::default();
        let waker = bell.waker();
        let waiting = spawn(move || {
            supervisor.sit(&Context::from_waker(&waker));
            let alone = supervisor.hub().others().0 == 0;
            (alone, supervisor)
        });
        last.finish();
        let (alone, supervisor) = waiting.join().expect("no panic");
        assert!(alone || bell.has_rung());
        hub.conclude();
        supervisor.finish();
    });
}

/// The owner, who waits for the outcome, against the end of the run.
#[test]
fn the_owner_waits_while_the_run_ends() {
    explore(|| {
        let hub = hub();
        let bell = Arc::<Bell>::default();
        let waker = bell.waker();
        let waiting = {
            let hub = Arc::clone(&hub);
            spawn(move || hub.poll_end(&Context::from_waker(&waker)).is_ready())
        };
        hub.conclude();
        let ended = waiting.join().expect("no panic");
        assert!(ended || bell.has_rung());
    });
}

/// A worker that waits for a state against one that puts its own back.
#[test]
fn a_worker_waits_for_a_state_while_one_comes_back() {
    explore(|| {
        let maker = Box::new(|| -> super::pool::Making<u64> { Box::pin(ready(Ok(0))) });
        let pool = Shared::new(Pool::new(maker, 1));
        let first = pool.poll_acquire(&Context::from_waker(Waker::noop()));
        assert!(matches!(first, Poll::Ready(Acquired::Making(..))));
        let bell = Arc::<Bell>::default();
        let waker = bell.waker();
        let waiting = {
            let pool = Shared::clone(&pool);
            spawn(move || pool.poll_acquire(&Context::from_waker(&waker)).is_ready())
        };
        assert!(pool.put_back(Box::new(0)).is_none());
        let has_state = waiting.join().expect("no panic");
        assert!(has_state || bell.has_rung());
    });
}
