//! Takes JSON payloads over HTTP and stores them in batches, and answers 202 when they are stored.
//!
//! Shows a pipeline that is fed by request handlers through its bounded channel, batches by number and
//! age, a stage with retries and a limit of time, answers that follow their items to the end, failures
//! on the side, live figures, and a service that SIGTERM drains.
//!
//! ```text
//! cargo run --release -p examples --bin ingest -- --store target/payloads
//! curl -i localhost:8080/payloads -d '{"payloads": [{"id": "a-1", "temperature": 21.5}]}'
//! ```
//!
//! `--help` lists the options. The pipeline itself is in `storing`; requests come in by `http`, become
//! a `collection`, and several of these an `object`, which `store` writes. `seen` knows what need
//! not be stored again.

mod body;
mod collection;
mod http;
mod object;
mod options;
mod seen;
mod store;

use std::{
    env,
    future::IntoFuture,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use examples::chain;
use pipeline_core::{
    StageError,
    error::{Cause, Overflow},
    prelude::*,
};
use tokio::{net::TcpListener, runtime::Builder, sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    collection::Collection,
    http::Door,
    object::{Names, Object},
    options::{Command, Options},
    seen::Seen,
    store::{NotStored, Put, Store},
};

/// How long what was taken may take to be stored after the first signal.
const DRAIN: Duration = Duration::from_secs(30);
/// How long the last answers may take to be sent.
const ANSWERS: Duration = Duration::from_secs(2);

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = match options::parse(env::args_os().skip(1)) {
        Ok(Command::Serve(options)) => options,
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
    let status = runtime.block_on(serve(options)).unwrap_or_else(|error| {
        say(&chain(&*error));
        FAILED
    });
    runtime.shutdown_background(); // a thread that hangs in a write is not waited for
    status.into()
}

// ANCHOR: storing
/// The pipeline: requests, batches of requests, objects in the store, answers.
fn storing(collections: Pipeline<Collection>, store: Store, options: &Options) -> Job {
    let names = Names::new(store.folder.clone());
    collections
        .buffer(1) // what waits, waits in the channel
        .batch_weighted(options.batch, options.age, Collection::weight)
        .map(move |collections| Object::new(names.next(), collections))
        .name("object")
        .stage(Put::new(store))
        .parallelism(options.writers)
        .window(options.writers)
        .for_each(|object| object.is_stored())
}
// ANCHOR_END: storing

/// Serves until a signal comes; gives the exit status.
///
/// # Errors
///
/// It could not be started.
async fn serve(options: Options) -> Result<u8, BoxError> {
    let store = Store::open(&options.store)?;
    let seen = Seen::new(options.remember);
    store.recall(&seen).await?;
    let listener = TcpListener::bind(&options.listen).await?;
    let address = listener.local_addr()?;

    let (queue, collections) = Pipeline::channel(options.queue);
    let (errors, failures) = mpsc::channel(64);
    let naming = tokio::spawn(name_failures(failures));
    let mut running = storing(collections, store, &options)
        .errors(errors)
        .error_overflow(Overflow::Wait) // each failure is named
        .drain_on_signals(DRAIN)
        .start()?;

    let open = queue.clone();
    tokio::spawn(async move {
        open.closed().await;
        say("draining; again to stop at once");
    });

    let door = Door {
        queue,
        seen,
        body_limit: options.body_limit,
        control: running.control(),
        counts: http::Counts::default(),
    };
    let stored = CancellationToken::new();
    let server = axum::serve(listener, http::router(Arc::new(door)))
        .with_graceful_shutdown(stored.clone().cancelled_owned());
    let server = tokio::spawn(server.into_future());
    let _ = writeln!(io::stdout(), "listening on http://{address}");

    // From the first signal on the channel is closed, and requests are answered with 503. The server stays
    // until all that was taken has its answer.
    let ended = running.wait().await;
    stored.cancel();
    let _ = timeout(ANSWERS, server).await; // the connections that are left are closed with the process
    let _ = naming.await;

    let (report, status) = match ended {
        Ok(report) => (report, 0),
        Err(error) => {
            let status = match error.cause {
                Cause::Cancelled => INTERRUPTED,
                _ => FAILED,
            };
            say(&chain(&error));
            (*error.report, status)
        }
    };
    if options.report {
        say(report.to_string().trim_end());
    }
    Ok(status)
}

/// Says on stderr which objects were not stored, until the run is over. Their requests know by themselves.
async fn name_failures(mut failures: mpsc::Receiver<StageError>) {
    while let Some(error) = failures.recv().await {
        match error.downcast_ref::<NotStored>() {
            Some(not_stored) => say(&chain(not_stored)),
            None => say(&chain(&error)), // out of time, or a panic
        }
    }
}

/// A line on stderr. There is nobody to tell when that fails.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "ingest: {line}");
}
