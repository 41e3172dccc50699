//! Follows the links of web sites and reports the broken ones: a pipeline whose results go back to its source.
//!
//! Shows a run that is fed by a queue and ends by itself when nothing is outstanding, requests with a limit for
//! each host, a pace, a time and further attempts, and failures that leave the main line and still name their page.
//!
//! ```text
//! cargo run --release -p examples --bin crawl -- http://localhost:8000/
//! cargo run --release -p examples --features https --bin crawl -- --external https://example.org/
//! ```
//!
//! `--help` lists the options. The pipeline itself is in `visiting`, and the loop around it in `follow`; the stages are in
//! `fetch` and `links`, and what is known of the addresses in `frontier`.

mod address;
mod fetch;
mod frontier;
mod links;
mod options;
mod progress;
mod report;

use std::{
    env,
    io::{self, ErrorKind, Write},
    process::ExitCode,
    thread,
    time::Duration,
};

use examples::{chain, signals};
use pipeline_core::{
    RunError, Running, StageError,
    error::{Cause, Overflow},
    prelude::*,
    run::Items,
};
use tokio::{runtime::Builder, sync::mpsc};
use tokio_stream::StreamExt;

use crate::{
    fetch::{Failure, Fetch, Page, Web},
    frontier::{Finding, Frontier, Verdict},
    links::{Found, Visited},
    options::{Command, Options},
    progress::Progress,
};

/// How long requests under way may go on after the first Ctrl-C.
const DRAIN: Duration = Duration::from_secs(10);

const BROKEN: u8 = 1;
const USAGE: u8 = 2;
const FAILED: u8 = 3;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let progress = Progress::new();
    let options = match options::parse(env::args_os().skip(1)) {
        Ok(Command::Crawl(options)) => options,
        Ok(Command::Help) => {
            let _ = io::stdout().write_all(options::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            progress.say(&format!("{error} (--help lists the options)"));
            return USAGE.into();
        }
    };
    let status = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let ended = runtime.block_on(crawl(&options, &progress));
            runtime.shutdown_background(); // a name that is still being looked up is not waited for
            ended
        }
        Err(error) => Err(error.into()),
    };
    match status {
        Ok(status) => status.into(),
        Err(error) => {
            progress.end();
            progress.say(&chain(&*error));
            FAILED.into()
        }
    }
}

/// One run; gives the exit status.
async fn crawl(options: &Options, progress: &Progress) -> Result<u8, BoxError> {
    let stop = signals::listen({
        let progress = progress.clone();
        move || progress.say("interrupted: finishing the requests under way; again to stop at once")
    })?;
    let mut frontier = Frontier::new(options);
    let (pages, queue) = Pipeline::channel(options.inside());
    let (errors, mut failures) = mpsc::channel(64);
    let mut running = visiting(queue, options, Web::new(options)?)
        .errors(errors)
        .error_overflow(Overflow::Wait) // each page comes back, or the loop waits for it for ever
        .drain_on(&stop.drain, DRAIN)
        .cancel_on(&stop.cancel)
        .start()?;
    let control = running.control();
    let ended = follow(&mut frontier, pages, &mut running, &mut failures, progress).await;
    progress.end();
    if options.report {
        progress.say(control.metrics().to_string().trim_end());
    }

    let findings = frontier.findings();
    match report::print(&findings, options.json) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {} // or the reader has seen enough
    }
    let broken = summarize(&frontier, &findings, progress);
    match ended {
        Some(error) if !matches!(error.cause, Cause::Cancelled | Cause::DeadlinePassed(_)) => {
            Err(error.into())
        }
        _ if stop.drain.is_cancelled() => Ok(INTERRUPTED),
        _ if broken => Ok(BROKEN),
        _ => Ok(0),
    }
}

// ANCHOR: pipeline
/// The pipeline: wait for the pace of the host, ask for the page, read its links.
fn visiting(pages: Pipeline<Page>, options: &Options, web: Web) -> Job<Items<Visited>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    pages
        .delay_until(|page| page.due, options.inside())
        .stage(Fetch::new(web))
        .parallelism(options.jobs)
        .unordered()
        .window(options.jobs) // pages in memory that are not read yet
        .attempt_timeout(options.timeout)
        .retry(
            Retry::exponential(options.pause)
                .max_retries(options.retries)
                .jitter(),
        )
        .retry_if(Failure::may_pass)
        .blocking(links::read)
        .name("read")
        .parallelism(cores)
        .unordered()
        .window(cores)
        .into_stream()
}
// ANCHOR_END: pipeline

// ANCHOR: loop
/// Feeds the run with pages and takes back what comes of them, until nothing is outstanding.
///
/// Found links make further pages, so this is a circle, and a circle of queues that wait
/// for each other stands still as soon as all of them are full. Here one side never waits:
/// what is found goes into the frontier, which may grow (up to `--max-pages`), and from
/// there into the queue, when there is room. There always is: the frontier lets no more
/// pages in than the queue can hold. `try_send` fails only when the run takes no more.
///
/// Each page that went in comes back exactly once, as an item or as an error, so the
/// frontier knows what is outstanding. When that is nothing, and nothing is left to be
/// visited, the sender is dropped, and the run ends.
async fn follow(
    frontier: &mut Frontier,
    pages: mpsc::Sender<Page>,
    running: &mut Running<Items<Visited>>,
    failures: &mut mpsc::Receiver<StageError>,
    progress: &Progress,
) -> Option<RunError> {
    let mut pages = Some(pages);
    let ended = loop {
        if let Some(queue) = &pages {
            while let Some(page) = frontier.next() {
                if let Err(refused) = queue.try_send(page) {
                    frontier.take_back(refused.into_inner()); // after Ctrl-C
                    break;
                }
            }
            if frontier.is_done() {
                pages = None;
            }
        }
        tokio::select! {
            visited = running.next() => match visited {
                Some(Ok(visited)) => {
                    tell_of_cut(&visited, progress);
                    frontier.visited(visited);
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            },
            Some(error) = failures.recv() => frontier.failed(&error),
        }
        progress.show(frontier.visited, frontier.waiting);
    };
    while let Some(error) = failures.recv().await {
        frontier.failed(&error);
    }
    ended
}
// ANCHOR_END: loop

fn tell_of_cut(visited: &Visited, progress: &Progress) {
    if let Found::Links { cut: true, .. } = visited.found {
        progress.say(&format!(
            "{}: longer than --max-body, links behind that were not seen",
            visited.page.url
        ));
    }
}

/// Says in a line or two what was done, and what was not; gives whether links are broken.
fn summarize(frontier: &Frontier, findings: &[Finding<'_>], progress: &Progress) -> bool {
    let count = |wanted: fn(&Verdict) -> bool| {
        let links = findings.iter().filter(|finding| wanted(&finding.verdict));
        let mut links: Vec<_> = links.map(|finding| finding.link).collect();
        links.sort_unstable();
        links.dedup();
        links.len()
    };
    let broken = count(|verdict| matches!(verdict, Verdict::Broken(_)));
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    let not_visited = count(|verdict| matches!(verdict, Verdict::NotVisited));
    let mut line = format!(
        "{} addresses visited in {:.1} s, {broken} broken",
        frontier.visited,
        progress.elapsed().as_secs_f64()
    );
    for (count, what) in [(skipped, "skipped"), (not_visited, "not visited")] {
        if count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    progress.say(&line);
    for (links, limit) in [
        (frontier.beyond_pages, "--max-pages"),
        (frontier.beyond_depth, "--max-depth"),
    ] {
        if links > 0 {
            progress.say(&format!(
                "{links} links were not followed because of {limit}"
            ));
        }
    }
    broken > 0
}
