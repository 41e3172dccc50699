//! The steps of a case as user code: stages, closures on threads that block, filters.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::thread;

use futures_util::future::{FutureExt, ready};
use futures_util::stream::{StreamExt, once};
use pipeline_core::Schedule;
use pipeline_core::config::{Order, Rate, Retry};
use pipeline_core::error::{BoxError, DeadLetter};
use pipeline_core::pipeline::IntoPipeline;
use pipeline_core::prelude::*;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::book::Book;
use super::case::{Case, Kind, ROUTES, Retries, Trouble, Wait, name};
use super::parcel::{Parcel, panic_quietly};
use super::seen::Fault as Injected;
use crate::body::InOrder;
use crate::tally::Fault;
use crate::ticket::{self, Closing, Ticket};

const PASSING: &str = "broken";
const FOR_GOOD: &str = "broken for good";

/// Waits as the case says.
pub async fn pass(case: &Case, wait: Wait) {
    match wait {
        Wait::Not => {}
        Wait::Turns(turns) => {
            for _ in 0..turns {
                yield_now().await;
            }
        }
        Wait::Beats(beats) => sleep(case.beats(beats)).await,
    }
}

/// With the options of a stage, whatever it is made of.
macro_rules! with_options {
    ($stage:expr, $book:expr, $step:expr, $letters:expr) => {{
        let (case, index) = ($book.case(), $step);
        let step = &case.steps[index];
        let order = if step.ordered {
            Order::Ordered
        } else {
            Order::Unordered
        };
        let mut stage = $stage
            .name(name(index))
            .parallelism(step.parallelism)
            .window(step.parallelism + step.spare)
            .in_order(order);
        if let Some(keys) = step.keys {
            stage = stage.keyed(move |parcel: &Parcel| parcel.index % keys);
        }
        if let Some(beats) = step.timeout {
            stage = stage.timeout(case.beats(beats));
        }
        if let Some(beats) = step.attempt_timeout {
            stage = stage.attempt_timeout(case.beats(beats));
        }
        if let Some(retries) = step.retry {
            stage = stage.retry(retry(case, retries));
            if retries.asks {
                stage = stage.retry_if(|fault: &Fault| fault.to_string() == PASSING);
            }
        }
        if let Some(letters) = $letters {
            stage = stage.dead_letters(letters);
        }
        stage.into_pipeline()
    }};
}

/// Puts a step of the case behind `pipeline`.
pub fn append(
    pipeline: Pipeline<Parcel>,
    book: &Book,
    step: usize,
    letters: Option<mpsc::Sender<DeadLetter<Parcel>>>,
) -> Pipeline<Parcel> {
    if book.case().steps[step].aside {
        let (even, odd) = pipeline.split(|parcel| parcel.index.is_multiple_of(2));
        let even = straight(even, book, step, letters);
        return even.merge(passed(odd, step));
    }
    straight(pipeline, book, step, letters)
}

fn straight(
    pipeline: Pipeline<Parcel>,
    book: &Book,
    step: usize,
    letters: Option<mpsc::Sender<DeadLetter<Parcel>>>,
) -> Pipeline<Parcel> {
    match book.case().steps[step].kind {
        Kind::Stage => with_options!(pipeline.stage(Worker::new(book, step)), book, step, letters),
        Kind::Factory => {
            let wait = book.case().steps[step].act(0).wait;
            let wait = if book.case().steps[step].is_timed() {
                Wait::Not
            } else {
                wait
            };
            let (original, book_) = (Worker::new(book, step), book.clone());
            let factory = move || {
                let (made, book) = (original.clone(), book_.clone());
                async move {
                    pass(book.case(), wait).await;
                    Ok::<_, BoxError>(made)
                }
            };
            with_options!(pipeline.stage_with(factory), book, step, letters)
        }
        Kind::Blocking => {
            let book_ = book.clone();
            let body = move |parcel| blocks(&book_, step, parcel);
            with_options!(pipeline.try_blocking(body), book, step, letters)
        }
        Kind::Filter => {
            let book = book.clone();
            pipeline
                .filter(move |parcel| keeps(&book, step, parcel))
                .into_pipeline()
        }
        Kind::Expand => {
            let book = book.clone();
            pipeline.flat_map(move |parcel: Parcel| keeps(&book, step, &parcel).then_some(parcel))
        }
        Kind::Streams => {
            let book = book.clone();
            pipeline.flat_map_stream(move |parcel: Parcel| {
                let kept = keeps(&book, step, &parcel).then_some(parcel);
                let turns = async move |kept| {
                    yield_now().await;
                    kept
                };
                // its first poll is pending
                once(turns(kept)).filter_map(ready)
            })
        }
        Kind::Routes => {
            let branches = pipeline.route(|parcel| (parcel.index % ROUTES) as usize);
            let branches: [_; ROUTES as usize] = branches;
            passed(Pipeline::merge_all(branches), step)
        }
        Kind::Branches => {
            let (even, odd) = pipeline.split(|parcel| parcel.index.is_multiple_of(2));
            passed(even.merge(odd), step)
        }
        Kind::OrderedBranches => {
            let (even, odd) = pipeline.split(|parcel| parcel.index.is_multiple_of(2));
            passed(even.merge_ordered(odd, |parcel| parcel.index), step)
        }
        Kind::Twins => {
            let [one, other] = pipeline.broadcast();
            let first = |(one, other): (Parcel, Parcel)| {
                other.defuse();
                one
            };
            passed(one.zip(other).map(first).into_pipeline(), step)
        }
        Kind::Batches(max, beats) => {
            let age = book.case().beats(beats);
            passed(pipeline.batch(max, age).flatten(), step)
        }
        Kind::BatchesBy(keys, max, beats) => {
            let age = book.case().beats(beats);
            let batches = pipeline.batch_by(move |parcel| parcel.index % keys, max, age);
            passed(batches.flatten(), step)
        }
        Kind::Due(beats) => {
            let capacity = 1 + book.case().steps[step].spare;
            let (schedule, book) = (Schedule::new(), book.clone());
            let due = move |parcel: &Parcel| {
                let later = book.case().beats(parcel.index * 5 % (beats + 1));
                (parcel.index, Instant::now() + later)
            };
            let leaves = pipeline.delay_by(&schedule, due, capacity);
            let next = move |parcel: Parcel| {
                schedule.reschedule(&(parcel.index + 1), Instant::now());
                through(parcel, step)
            };
            leaves.map(next).into_pipeline()
        }
        Kind::Through => passed(pipeline.through(|parcels| parcels.map(|same| same)), step),
        Kind::Throttle(items) => {
            let rate = Rate::new(items, book.case().beats(1)).burst(2);
            passed(pipeline.throttle(rate), step)
        }
        Kind::Delay(beats) => {
            let capacity = 1 + book.case().steps[step].spare;
            passed(pipeline.delay(book.case().beats(beats), capacity), step)
        }
    }
}

fn retry(case: &Case, retries: Retries) -> Retry {
    let Retries {
        most,
        pause,
        doubles,
        panics,
        ..
    } = retries;
    let pause = case.beats(pause);
    let retry = if doubles {
        Retry::exponential(pause)
    } else {
        Retry::fixed(pause)
    };
    let retry = retry.max_retries(most);
    if panics { retry.panics() } else { retry }
}

fn keeps(book: &Book, step: usize, parcel: &Parcel) -> bool {
    book.flow().called("filter");
    book.happen();
    let keeps = book.case().steps[step].act(parcel.index).trouble == Trouble::No;
    if keeps {
        parcel.step.set(step + 1);
    } else {
        parcel.defuse();
        book.is_gone(parcel.index);
    }
    keeps
}

/// Items that come through an operator.
fn passed(pipeline: Pipeline<Parcel>, step: usize) -> Pipeline<Parcel> {
    pipeline
        .map(move |parcel| through(parcel, step))
        .into_pipeline()
}

/// An item that has come through a step.
fn through(parcel: Parcel, step: usize) -> Parcel {
    parcel.step.set(step + 1);
    parcel
}

fn fails(book: &Book, parcel: &Parcel, text: &str) -> Fault {
    parcel.defuse();
    book.inject(Injected::Error);
    book.flow().fault(text)
}

fn blocks(book: &Book, step: usize, parcel: Parcel) -> Result<Parcel, Fault> {
    let visit = book.enter(step, parcel.index);
    let (case, act) = (book.case(), book.case().steps[step].act(parcel.index));
    let trouble = act.trouble(visit.attempt);
    if case.is_real_time() {
        if let Wait::Beats(beats) = act.wait {
            thread::sleep(case.beats(beats));
        }
        if let Trouble::IsSlow(beats) = trouble {
            book.inject(Injected::Slow);
            thread::sleep(case.beats(beats));
        }
    }
    match trouble {
        Trouble::Fails => Err(fails(book, &parcel, PASSING)),
        Trouble::FailsForGood => Err(fails(book, &parcel, FOR_GOOD)),
        Trouble::PanicsWhenCalled | Trouble::PanicsWhenPolled | Trouble::PanicsWhenDropped => {
            book.inject(Injected::PanicInCall);
            panic_quietly()
        }
        Trouble::No | Trouble::PanicsWhenCopied(_) | Trouble::Hangs | Trouble::IsSlow(_) => {
            Ok(through(parcel, step))
        }
    }
}

/// The stage of a case.
#[derive(Debug)]
struct Worker {
    book: Book,
    step: usize,
    ticket: Ticket,
}

impl Worker {
    fn new(book: &Book, step: usize) -> Self {
        let ticket = Ticket::new(book.flow(), ticket::Kind::State, Closing::Quiet);
        Worker {
            book: book.clone(),
            step,
            ticket,
        }
    }
}

impl Clone for Worker {
    fn clone(&self) -> Self {
        self.book.flow().called("clone of a stage");
        Worker {
            book: self.book.clone(),
            step: self.step,
            ticket: self.ticket.duplicate(),
        }
    }
}

impl Stage<Parcel, Parcel> for Worker {
    type Error = Fault;

    fn process(&mut self, parcel: Parcel) -> impl Future<Output = Result<Parcel, Fault>> + Send {
        let turn = self.ticket.turn();
        let (book, step) = (&self.book, self.step);
        let visit = book.enter(step, parcel.index);
        let act = book.case().steps[step].act(parcel.index);
        let trouble = act.trouble(visit.attempt);
        if trouble == Trouble::PanicsWhenCalled {
            book.inject(Injected::PanicInCall);
            panic_quietly();
        }
        let work = async move {
            let result = {
                let mut work = pin!(attempt(book, step, act.wait, trouble, parcel));
                poll_fn(|context| {
                    visit.polled();
                    work.as_mut().poll(context)
                })
                .await
            };
            // a value whose future panics is spoiled
            if trouble != Trouble::PanicsWhenDropped {
                turn.over();
            }
            drop(visit);
            result
        };
        let mut work = Box::pin(work);
        let fragile = (trouble == Trouble::PanicsWhenDropped).then(|| Fragile(book.clone()));
        poll_fn(move |context| {
            let _breaks_with_it = &fragile;
            work.poll_unpin(context)
        })
    }

    async fn close(self) -> Result<(), Fault> {
        self.ticket.close().await
    }
}

/// Panics when it is dropped.
struct Fragile(Book);

impl Drop for Fragile {
    fn drop(&mut self) {
        self.0.inject(Injected::PanicInDrop);
        if !thread::panicking() {
            panic_quietly();
        }
    }
}

async fn attempt(
    book: &Book,
    step: usize,
    wait: Wait,
    trouble: Trouble,
    parcel: Parcel,
) -> Result<Parcel, Fault> {
    pass(book.case(), wait).await;
    book.happen();
    match trouble {
        Trouble::Fails => Err(fails(book, &parcel, PASSING)),
        Trouble::FailsForGood => Err(fails(book, &parcel, FOR_GOOD)),
        Trouble::PanicsWhenPolled => {
            book.inject(Injected::PanicInPoll);
            panic_quietly()
        }
        Trouble::Hangs => {
            book.inject(Injected::Hang);
            pending().await
        }
        Trouble::IsSlow(beats) => {
            book.inject(Injected::Slow);
            sleep(book.case().beats(beats)).await;
            Ok(through(parcel, step))
        }
        Trouble::No
        | Trouble::PanicsWhenCalled
        | Trouble::PanicsWhenDropped
        | Trouble::PanicsWhenCopied(_) => Ok(through(parcel, step)),
    }
}
