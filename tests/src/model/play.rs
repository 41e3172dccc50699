//! A run of a case, with whoever reads its channels and whoever strikes it.

use std::pin::pin;
use std::sync::Arc;

use pipeline_core::error::{DeadLetter, RunError, StageError};
use pipeline_core::report::Report;
use pipeline_core::run::{Control, Items, Job, Running};
use tokio::runtime::Runtime;
use tokio::spawn;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_stream::StreamExt;

use super::book::Book;
use super::case::{Case, Channel, End, How, Reader};
use super::ends::{CaseSink, begin, hand, hand_or_panic};
use super::judge::Ended;
use super::parcel::Parcel;
use super::seen::{Fault, Seen};
use super::steps::{append, pass};
use crate::run::World;
use crate::time::ms;

/// Plays a case, and blames what was wrong on the world's flow.
pub async fn play(case: &Arc<Case>, world: &World) -> Seen {
    let book = Book::new(case, world.flow());
    let (mut pipeline, sending) = begin(&book);
    let mut letters = Vec::new();
    for (index, step) in case.steps.iter().enumerate() {
        let (sender, told) = open(&book, step.letters, |letter: DeadLetter<Parcel>| {
            letter.item.defuse();
            letter
        });
        pipeline = append(pipeline, &book, index, sender);
        letters.push(told);
    }
    let mut game = Play {
        book: book.clone(),
        letters,
        own: None,
    };
    let book_ = book.clone();
    let ended = match case.end {
        End::Closure => {
            game.run(pipeline.for_each(move |parcel| hand_or_panic(&book_, &parcel)))
                .await
        }
        End::TryClosure(wait) => {
            let job = pipeline.try_for_each(move |parcel: Parcel| {
                let book = book_.clone();
                async move {
                    pass(book.case(), wait).await;
                    hand(&book, &parcel)
                }
            });
            game.run(job).await
        }
        End::Sink(wait) => game.run(pipeline.sink(CaseSink::new(&book, wait))).await,
        End::Fold => {
            let job = pipeline.fold((), move |(), parcel| hand_or_panic(&book_, &parcel));
            game.run(job).await
        }
        End::Collect => game.collect(pipeline.collect()).await,
        End::Stream(wait) => game.read(pipeline.into_stream(), wait).await,
    };
    if let Some(sending) = sending {
        sending.await.expect("no panic");
    }
    ended.judge(&book)
}

/// A channel of the case, with what is done to each message that arrives.
fn open<M: Send + 'static>(
    book: &Book,
    channel: Option<Channel>,
    receive: fn(M) -> M,
) -> (Option<mpsc::Sender<M>>, Told<M>) {
    let Some(Channel { capacity, reader }) = channel else {
        return (None, Told::Nobody);
    };
    let (sender, mut receiver) = mpsc::channel(capacity);
    if reader == Reader::Gone {
        book.inject(Fault::Channel);
        return (Some(sender), Told::Nobody);
    }
    let all = async move {
        let mut all = Vec::new();
        while let Some(message) = receiver.recv().await {
            all.push(receive(message));
        }
        all
    };
    if reader == Reader::Attentive {
        return (Some(sender), Told::Meanwhile(spawn(all)));
    }
    if (capacity as u64) < book.case().items {
        book.inject(Fault::Channel);
    }
    (Some(sender), Told::Afterwards(Box::pin(all)))
}

/// Who is told of failures.
enum Told<M> {
    Nobody,
    /// By an attentive reader, so that waiting for it ends.
    Meanwhile(JoinHandle<Vec<M>>),
    /// When all is over.
    Afterwards(std::pin::Pin<Box<dyn Future<Output = Vec<M>>>>),
}

impl<M> Told<M> {
    async fn all(self) -> Vec<M> {
        match self {
            Told::Nobody => Vec::new(),
            Told::Meanwhile(reading) => reading.await.expect("no panic"),
            Told::Afterwards(reading) => reading.await,
        }
    }
}

struct Play {
    book: Book,
    letters: Vec<Told<DeadLetter<Parcel>>>,
    /// The runtime of the run, if it is to go before the run is over.
    own: Option<Runtime>,
}

/// How the wait for a run ended, if its owner was not dropped.
type Result_ = Option<Result<Report<()>, RunError>>;

impl Play {
    fn start<R: Send + 'static>(
        &mut self,
        mut job: Job<R>,
    ) -> (Running<R>, Told<StageError>, usize) {
        let case = self.book.case();
        if let Some(policy) = case.on_error {
            job = job.on_error(policy);
        }
        let (errors, told) = open(&self.book, case.errors, |error| error);
        if let Some(errors) = errors {
            job = job.errors(errors);
        }
        job = job.error_overflow(case.overflow);
        match case.strike.map(|strike| strike.how) {
            Some(How::CancelToken) => job = job.cancel_on(self.book.token()),
            Some(How::DrainToken(beats)) => {
                job = job.drain_on(self.book.token(), case.beats(beats))
            }
            Some(How::RuntimeGone) => self.own = Some(case.machine.runtime()),
            _ => {}
        }
        let most = job.plan().max_inside;
        let _there = self.own.as_ref().map(Runtime::enter);
        let running = job.start().expect("a pipeline that can be started");
        self.book.flow().started(running.control());
        if case
            .strike
            .is_some_and(|strike| strike.how != How::DropControls)
        {
            self.book.watch(running.control());
        }
        (running, told, most)
    }

    async fn run(&mut self, job: Job) -> Ended {
        let (mut running, told, most) = self.start(job);
        let control = running.control();
        let result = self.strike_into(running.wait(), control).await;
        self.over(running, result, told, most).await
    }

    async fn collect(&mut self, job: Job<Vec<Parcel>>) -> Ended {
        let (mut running, told, most) = self.start(job);
        let control = running.control();
        let result = self.strike_into(running.wait(), control).await;
        let book = self.book.clone();
        let result = result.map(|result| {
            result.map(|report| report.map(|list| list.iter().for_each(|parcel| book.hand(parcel))))
        });
        self.over(running, result, told, most).await
    }

    async fn read(&mut self, job: Job<Items<Parcel>>, wait: super::case::Wait) -> Ended {
        let (mut running, told, most) = self.start(job);
        let (control, metrics) = (running.control(), running.control());
        let book = self.book.clone();
        let reading = async {
            loop {
                match running.next().await {
                    Some(Ok(parcel)) if hand(&book, &parcel).is_err() => return None,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Some(Err(error)),
                    None => return Some(Ok(metrics.metrics())),
                }
                pass(book.case(), wait).await;
            }
        };
        let result = self.strike_into(reading, control).await.flatten();
        self.over(running, result, told, most).await
    }

    /// Waits for the end of the run, and strikes when it is time. None if its owner is to be dropped.
    async fn strike_into<T>(
        &mut self,
        end: impl Future<Output = T>,
        control: Control,
    ) -> Option<T> {
        let (book, mut end) = (self.book.clone(), pin!(end));
        // a run that waits for a full channel, or for a body that hangs, ends when somebody loses patience
        let endless = book.case().may_stand_still() || book.case().may_hang();
        let patience = if book.case().is_real_time() {
            ms(40)
        } else {
            ms(1_000_000_000)
        };
        let mut patience = pin!(sleep(patience));
        let mut control = Some(control);
        let mut patient = endless;
        loop {
            tokio::select! {
                biased;
                result = &mut end => return Some(result),
                () = book.due() => {
                    let how = book.case().strike.expect("there is one").how;
                    match how {
                        How::Drop => {
                            book.inject(Fault::Owner);
                            return None;
                        }
                        How::RuntimeGone => {
                            book.inject(Fault::Runtime);
                            book.flow().let_go();
                            if let Some(own) = self.own.take() {
                                own.shutdown_background();
                            }
                        }
                        How::DropControls if !endless => control = None,
                        how => {
                            if let Some(control) = &control {
                                book.act(how, control);
                            }
                        }
                    }
                }
                () = &mut patience, if patient => {
                    patient = false;
                    book.inject(Fault::Cancel);
                    book.lost_patience();
                    if let Some(control) = &control {
                        control.cancel();
                    }
                }
            }
        }
    }

    async fn over<R: Send + 'static>(
        &mut self,
        running: Running<R>,
        result: Result_,
        told: Told<StageError>,
        most: usize,
    ) -> Ended {
        let (flow, case) = (self.book.flow(), self.book.case());
        let control = running.control();
        if result.is_some() {
            flow.over();
            self.book.nobody_is_inside();
        } else {
            flow.let_go();
        }
        drop(running);
        if result.is_none() && !case.blocks() {
            flow.gone();
        }
        let told = told.all().await;
        let mut letters = Vec::new();
        for told in self.letters.drain(..) {
            letters.push(told.all().await);
        }
        if let Some(own) = self.own.take() {
            own.shutdown_background();
        }
        let most = most as u64;
        match result {
            Some(Ok(report)) => Ended {
                cause: None,
                owned: true,
                report,
                told,
                letters,
                most,
            },
            Some(Err(RunError { cause, report, .. })) => Ended {
                cause: Some(cause),
                owned: true,
                report: *report,
                told,
                letters,
                most,
            },
            None => Ended {
                cause: None,
                owned: false,
                report: control.metrics(),
                told,
                letters,
                most,
            },
        }
    }
}
