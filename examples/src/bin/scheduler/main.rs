//! Keeps messages until they are due and delivers each at its time: over restarts, and one timer for all.
//!
//! Shows items that leave at times of their own and can still be cancelled, rescheduled or flushed; a
//! database written and cleared in batches by blocking stages with a connection each; two inputs
//! joined in order; wrong items on the side; and an end that makes a figure of all items.
//!
//! ```text
//! cargo run --release -p examples --bin scheduler -- --db target/scheduler.db <<'END'
//! {"id": "tea", "due": 3000, "body": "take the bag out"}
//! {"id": "egg", "due": 1000, "body": {"minutes": 5}}
//! END
//! ```
//!
//! `--help` lists the options. The pipeline itself is in `delivering`; wishes come in by `lines` or
//! `http`, are kept by `save` in the `database` and in a `book`, and leave by `deliver`.

mod book;
mod database;
mod deliver;
mod http;
mod lateness;
mod lines;
mod message;
mod options;
mod save;

use std::{
    env,
    error::Error,
    fmt,
    future::IntoFuture,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use examples::{
    chain,
    signals::{self, Stop},
};
use pipeline_core::{
    Schedule, StageError,
    error::{Cause, DeadLetter, Overflow, RunError},
    prelude::*,
    report::Report,
    run::Control,
};
use reqwest::Client;
use tokio::{
    net::TcpListener,
    runtime::Builder,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    book::Book,
    deliver::{NotPrinted, Post, Print},
    http::Door,
    lateness::Lateness,
    lines::{Line, Lines},
    message::{Clock, From, Message, Request},
    options::{Command, Input, Options},
    save::{Desk, Forget, Save},
};

/// Wishes that are written to the database at once, at most.
const TOGETHER: usize = 1000;
/// How long what is due may take to be delivered after the first signal.
const DRAIN: Duration = Duration::from_secs(30);
/// How long a cancelled run may take to end by itself, and the last answers to be sent.
const GRACE: Duration = Duration::from_secs(1);

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = match options::parse(env::args_os().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            let _ = io::stdout().write_all(options::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(&format!("{error} (--help lists the options)"));
            return USAGE.into();
        }
    };
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&error.to_string());
            return FAILED.into();
        }
    };
    let status = runtime.block_on(schedule(options)).unwrap_or_else(|error| {
        say(&chain(&*error));
        FAILED
    });
    runtime.shutdown_background(); // the thread that reads stdin is not waited for
    status.into()
}

// ANCHOR: delivering
/// The pipeline: from wishes, and what is left of the last run, to what is delivered and forgotten.
fn delivering(
    requests: Pipeline<Request>,
    restored: Vec<Message>,
    desk: &Arc<Desk>,
    dead: mpsc::Sender<DeadLetter<Message>>,
    options: &Options,
) -> Job<Lateness> {
    let database: Arc<Path> = options.database.as_path().into();
    let new = requests
        .batch(TOGETHER, Duration::ZERO) // what has come while the last ones were written
        .stage(Save::new(Arc::clone(&database), Arc::clone(desk)))
        .flatten();

    let (flush, at, by) = (
        options.input == Input::Flush,
        Arc::clone(desk),
        Arc::clone(desk),
    );
    let due = Pipeline::from_iter(restored)
        .merge_ordered(new, |message| !message.restored) // first what was there before
        .delay_by(
            &desk.schedule,
            move |message| (Arc::clone(&message.id), at.leaves(message, flush)),
            options.most.saturating_add(TOGETHER),
        )
        .filter(move |message| by.begin(message)); // unless it is cancelled or replaced by now

    let delivered = match &options.to {
        None => due
            .batch(256, Duration::ZERO) // all that is due at the moment
            .stage(Print::new(Vec::new()))
            .flatten(),
        Some(url) => due
            .stage(Post::new(Client::new(), url.clone()))
            .keyed(deliver::id)
            .retry_if(deliver::is_transient)
            .dead_letters(dead)
            .into(),
    };
    delivered
        .batch(TOGETHER, Duration::from_millis(5))
        .stage(Forget::new(database, desk.book.clone()))
        .fold(Lateness::new(), |late, messages| late.and(&messages))
}
// ANCHOR_END: delivering

// ANCHOR: wishes
/// What lines of stdin ask for. One that cannot be understood is an error on the side; one for which there
/// is no place yet waits, and with it those behind it.
fn wishes(lines: Lines, desk: &Arc<Desk>, longest: usize) -> Pipeline<Request> {
    let (clock, book) = (desk.clock, desk.book.clone());
    Pipeline::from_source(lines)
        .buffer(TOGETHER)
        .try_map(move |Line { number, text }| {
            let wrong = |why| BadLine { number, why };
            let too_long = || wrong(format!("longer than {longest} bytes"));
            let wish = message::parse(&text.ok_or_else(too_long)?, clock.now()).map_err(wrong)?;
            Ok::<_, BadLine>((number, wish))
        })
        .and_then(move |(number, wish)| {
            let book = book.clone();
            async move {
                let why = |_| "not saved, as it is ending".to_owned();
                let place = book.place(&wish).await.map_err(why);
                let place = place.map_err(|why| BadLine { number, why })?;
                let from = From::Line(number);
                Ok::<_, BadLine>(Request { wish, from, place })
            }
        })
        .into()
}
// ANCHOR_END: wishes

/// Runs until the end of the input, or until a signal comes; gives the exit status.
///
/// # Errors
///
/// It could not be started.
async fn schedule(options: Options) -> Result<u8, BoxError> {
    let signals = signals::listen(|| say("draining; again to stop at once"))?;
    let _lock = database::lock(&options.database).map_err(|cause| named(&options, &cause))?;
    let desk = Arc::new(Desk {
        book: Book::new(options.most),
        schedule: Schedule::new(),
        clock: Clock::new(),
    });
    let restored = restore(&desk, &options).await;
    let restored = restored.map_err(|cause| named(&options, &cause.into()))?;

    let (errors, failures) = mpsc::channel(64);
    let (dead, letters) = mpsc::channel(64);
    let server_ends = CancellationToken::new();
    let (requests, server) = match &options.input {
        Input::Stdin => (
            wishes(Lines::new(options.longest), &desk, options.longest),
            None,
        ),
        Input::Flush => (Pipeline::from_iter([]), None),
        Input::Http(address) => {
            let listener = TcpListener::bind(address).await?;
            say(&format!("listening on http://{}", listener.local_addr()?));
            let (queue, requests) = Pipeline::channel(TOGETHER);
            let desk = Arc::clone(&desk);
            let router = http::router(Arc::new(Door { queue, desk }), options.longest);
            let ends = server_ends.clone().cancelled_owned();
            let server = axum::serve(listener, router).with_graceful_shutdown(ends);
            (requests, Some(tokio::spawn(server.into_future())))
        }
    };
    let mut running = delivering(requests, restored, &desk, dead, &options)
        .errors(errors)
        .error_overflow(Overflow::Wait) // each failure is named
        .drain_on(&signals.drain, DRAIN)
        .cancel_on(&signals.cancel)
        .start()?;
    let naming = tokio::spawn(name_failures(failures, running.control()));
    let keeping = tokio::spawn(keep_undelivered(letters, desk.book.clone()));

    let ended = tokio::select! {
        ended = running.wait() => ended,
        () = let_go(&desk, &signals) => {
            say("it hangs, and is left behind"); // a blocking thread cannot be cancelled
            return Ok(INTERRUPTED);
        }
    };
    server_ends.cancel();
    if let Some(server) = server {
        let _ = timeout(GRACE, server).await;
    }
    let _ = naming.await;
    let _ = keeping.await;
    Ok(summary(ended, &desk, options.report))
}

/// Opens the database, which makes it if need be, and notes what is in it.
async fn restore(desk: &Desk, options: &Options) -> rusqlite::Result<Vec<Message>> {
    let connection = database::open(&options.database).await?;
    let restored = database::load(&connection, &desk.clock)?;
    restored
        .iter()
        .for_each(|message| desk.book.restore(message));
    Ok(restored)
}

/// An error of the database, with its name.
fn named(options: &Options, cause: &BoxError) -> BoxError {
    let database = options.database.display();
    format!("{database}: {}", chain(&**cause)).into()
}

// ANCHOR: let_go
/// From the first signal on: what waits leaves, and is delivered only if it is due. The drain of the run
/// would wait for all of it. Ready when the run has been cancelled, or should have ended, and hangs.
async fn let_go(desk: &Desk, signals: &Stop) {
    signals.drain.cancelled().await;
    desk.book.close();
    let flushing = async {
        loop {
            desk.schedule.flush();
            sleep(Duration::from_millis(10)).await; // some may have been on their way to it
        }
    };
    let enough = async {
        let _ = timeout(DRAIN, signals.cancel.cancelled()).await;
        sleep(GRACE).await;
    };
    tokio::select! {
        () = flushing => {}
        () = enough => {}
    }
}
// ANCHOR_END: let_go

/// Says what failed, until the run is over.
async fn name_failures(mut failures: mpsc::Receiver<StageError>, control: Control) {
    while let Some(error) = failures.recv().await {
        let inner = error.source();
        say(&inner.map_or_else(|| error.to_string(), chain));
        if error.downcast_ref::<NotPrinted>().is_some() {
            control.cancel();
        }
    }
}

/// Says what could not be delivered. It is in the database still, and may be cancelled or replaced.
async fn keep_undelivered(mut letters: mpsc::Receiver<DeadLetter<Message>>, book: Book) {
    while let Some(DeadLetter { item, error, .. }) = letters.recv().await {
        book.failed(&item);
        say(&format!(
            "{:?}, kept until the next start: {}",
            item.id,
            chain(&error)
        ));
    }
}

/// Says what the run has done; gives the exit status.
fn summary(ended: Result<Report<Lateness>, RunError>, desk: &Desk, full_report: bool) -> u8 {
    let (report, status) = match ended {
        Ok(report) => {
            let left = match desk.book.len() {
                0 => String::new(),
                n => format!("; {n} left in the database"),
            };
            say(&format!("{}{left}", report.value));
            let failed = report.stages.iter().any(|stage| stage.failed > 0);
            (report.map(drop), if failed { FAILED } else { 0 })
        }
        Err(error) => {
            let status = match error.cause {
                Cause::Cancelled if !desk.book.is_closed() => FAILED, // not by a signal
                Cause::Cancelled => INTERRUPTED,
                _ => FAILED,
            };
            say(&chain(&error));
            (*error.report, status)
        }
    };
    if full_report {
        say(report.to_string().trim_end());
    }
    status
}

/// A line of the input that could not be used.
#[derive(Debug)]
struct BadLine {
    number: u64,
    why: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.why)
    }
}

impl Error for BadLine {}

/// A line on stderr. There is nobody to tell when that fails.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "scheduler: {line}");
}
