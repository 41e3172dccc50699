//! What a run tells `tracing`: a span a run, its start, its drain, its end, and failures that nobody
//! receives; nothing an item.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use pipeline_core::{error::OnError, prelude::*};
use tokio::sync::mpsc;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Keeps every event as `LEVEL message field=value ..`, and counts spans.
#[derive(Clone, Default)]
struct Log {
    events: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

impl Log {
    /// What `story` makes the library tell on a runtime of one thread.
    fn of<Fut: Future<Output = ()>>(story: impl FnOnce() -> Fut) -> Self {
        let log = Log::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        tracing::subscriber::with_default(log.clone(), || runtime.block_on(story()));
        log
    }

    fn events(&self, containing: &str) -> Vec<String> {
        let events = self.events.lock().expect("not poisoned");
        let found = events.iter().filter(|event| event.contains(containing));
        found.cloned().collect()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = if field.name() == "message" {
            format!(" {value:?}")
        } else {
            format!(" {}={value:?}", field.name())
        };
        self.0.push_str(&text);
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        assert_eq!(span.metadata().name(), "pipeline");
        span::Id::from_u64(self.spans.fetch_add(1, Relaxed) + 1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        assert!(
            event.parent().is_some(),
            "every event is in the span of its run"
        );
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.events.lock().expect("not poisoned").push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// A run is a span; its start and its end are events, its items are not.
#[test]
fn a_run_tells_its_start_and_its_end_and_no_item() {
    let log = Log::of(async || {
        let job = Pipeline::from_iter(0..1000)
            .map(|n| n + 1)
            .parallelism(4)
            .name("add");
        job.count().run().await.expect("finished");
    });
    assert_eq!(log.spans.load(Relaxed), 1);
    assert_eq!(log.events("").len(), 2);
    assert_eq!(
        log.events("INFO started steps=[\"from_iter\", \"add\", \"count\"]")
            .len(),
        1
    );
    let ends = log.events("INFO ended outcome=finished taken=1000 delivered=1000");
    assert_eq!(ends.len(), 1);
}

/// A drain is an event, once, however often it is asked for.
#[test]
fn a_drain_is_told_once() {
    let log = Log::of(async || {
        let (sender, numbers) = Pipeline::<u64>::channel(4);
        let mut running = numbers.count().start().expect("started");
        sender.send(1).await.expect("room");
        for _ in 0..3 {
            running.control().drain(Duration::from_secs(5));
        }
        running.wait().await.expect("drained");
    });
    assert_eq!(log.events("INFO draining limit=5s").len(), 1);
    assert_eq!(log.events("INFO ended outcome=drained").len(), 1);
}

/// Failures that nobody receives are warnings with their cause, and a million of them no flood.
#[test]
fn failures_that_nobody_receives_are_warnings_and_no_flood() {
    let log = Log::of(async || {
        let failing =
            Pipeline::from_iter(0..1_000_000u64).try_map(|n| Err::<u64, _>(format!("bad {n}")));
        let job = failing.name("parse").count().on_error(OnError::Continue);
        let report = job.run().await.expect("goes on");
        assert_eq!(report.stages[0].errors_not_delivered, 1_000_000);
    });
    let warnings = log.events("WARN an item failed, and nobody receives its error");
    assert!(
        warnings[0].contains("stage `parse` failed on item 0"),
        "{}",
        warnings[0]
    );
    assert!(warnings[0].contains("cause=bad 0"), "{}", warnings[0]);
    // the first eight, then one a second, beginning at once
    assert!(
        (9..100).contains(&warnings.len()),
        "{} warnings",
        warnings.len()
    );
}

/// Failures that are received are nobody's warning.
#[test]
fn failures_that_are_received_are_not_logged() {
    let log = Log::of(async || {
        let (errors, _failures) = mpsc::channel(100);
        let failing = Pipeline::from_iter(0..100u64).try_map(|n| Err::<u64, _>(format!("bad {n}")));
        failing.count().errors(errors).run().await.expect("goes on");
    });
    assert!(log.events(Level::WARN.as_str()).is_empty());
}

/// A failed run whose owner did not wait is a warning.
#[test]
fn a_failed_run_that_nobody_waits_for_is_a_warning() {
    let log = Log::of(async || {
        let failing = Pipeline::from_iter(0..10u64).try_map(|n| Err::<u64, _>(format!("bad {n}")));
        let running = failing.count().start().expect("started");
        let control = running.control();
        while control.metrics().outcome.is_none() {
            tokio::task::yield_now().await;
        }
        drop(running);
    });
    let warnings =
        log.events("WARN a run failed, and nobody took its outcome cause=an item failed");
    assert_eq!(warnings.len(), 1, "{:?}", log.events(""));
}
