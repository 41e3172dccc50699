//! The door: requests become items, and what became of them answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use pipeline_core::run::Control;
use serde_json::{Value, json};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::{
    body::{self, NoBody},
    collection::{self, Collection},
    seen::{Seen, Taken},
};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) queue: mpsc::Sender<Collection>,
    pub(crate) seen: Seen,
    pub(crate) body_limit: usize,
    pub(crate) control: Control,
    pub(crate) counts: Counts,
}

/// Requests and payloads by what became of them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Payloads in answers with 202, those that had been stored before included.
    accepted: AtomicU64,
    /// Of these, payloads that had been stored before.
    known: AtomicU64,
    /// Requests answered with 503.
    refused: AtomicU64,
    /// Requests answered with another error.
    wrong: AtomicU64,
}

/// A request that is not answered with 202.
#[derive(Debug)]
enum No {
    /// Later it may go better.
    Later(String),
    /// The request is wrong.
    Wrong(StatusCode, String),
}

pub(crate) fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/payloads", post(payloads))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(door)
}

async fn payloads(State(door): State<Arc<Door>>, request: Request) -> Response {
    let counts = &door.counts;
    match accept(&door, request).await {
        Ok((accepted, known)) => {
            counts.accepted.fetch_add(accepted as u64, Relaxed);
            counts.known.fetch_add(known as u64, Relaxed);
            let text = json!({ "accepted": accepted, "known": known });
            (StatusCode::ACCEPTED, Json(text)).into_response()
        }
        Err(No::Later(why)) => {
            counts.refused.fetch_add(1, Relaxed);
            let status = StatusCode::SERVICE_UNAVAILABLE;
            (status, [(RETRY_AFTER, "1")], error(&why)).into_response()
        }
        Err(No::Wrong(status, why)) => {
            counts.wrong.fetch_add(1, Relaxed);
            (status, error(&why)).into_response()
        }
    }
}

// ANCHOR: accept
/// Sends the payloads of a request into the pipeline, and waits until they are stored. Gives their number,
/// and how many of them had been stored before.
async fn accept(door: &Door, request: Request) -> Result<(usize, usize), No> {
    // a place first, and then the body: what is in memory is bounded by the queue
    let place = match door.queue.try_reserve() {
        Ok(place) => place,
        Err(why) => {
            body::discard(request.into_body()).await;
            return Err(No::Later(match why {
                TrySendError::Full(()) => "the queue is full".into(),
                TrySendError::Closed(()) => "it is about to end".into(),
            }));
        }
    };
    let body = body::read(request.into_body(), door.body_limit).await;
    let body = body.map_err(|why| no_body(why, door.body_limit))?;
    let payloads = collection::parse(&body).map_err(wrong)?;
    let claim = door
        .seen
        .claim(payloads.iter().map(|payload| Arc::clone(&payload.id)));
    let claim = claim.map_err(|taken| match taken {
        Taken::Twice(id) => wrong(format!("two payloads have the id {id:?}")),
        Taken::Elsewhere(id) => No::Later(format!("another request stores {id:?} just now")),
    })?;
    let (all, new) = (payloads.len(), claim.len());
    if new > 0 {
        let (stored, waits) = oneshot::channel();
        place.send(Collection::new(&payloads, claim, stored));
        drop(payloads);
        drop(body); // all of it is in the collection
        let not_stored = |_| No::Later("it could not be stored".into());
        waits.await.map_err(not_stored)?;
    }
    Ok((all, all - new))
}
// ANCHOR_END: accept

fn wrong(why: String) -> No {
    No::Wrong(StatusCode::BAD_REQUEST, why)
}

fn no_body(why: NoBody, limit: usize) -> No {
    match why {
        NoBody::TooLong => No::Wrong(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than {limit} bytes"),
        ),
        NoBody::TooSlow => No::Wrong(
            StatusCode::REQUEST_TIMEOUT,
            "the body takes too long".into(),
        ),
        NoBody::Broken(cause) => wrong(format!("the body cannot be read: {cause}")),
    }
}

fn error(why: &str) -> Json<Value> {
    Json(json!({ "error": why }))
}

async fn health(State(door): State<Arc<Door>>) -> (StatusCode, Json<Value>) {
    if door.queue.is_closed() {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        (status, Json(json!({ "status": "draining" })))
    } else {
        (StatusCode::OK, Json(json!({ "status": "ready" })))
    }
}

/// The report of the run as of now, with what the door has counted. An item is a request.
async fn metrics(State(door): State<Arc<Door>>) -> Json<Value> {
    let Door {
        queue,
        control,
        counts,
        ..
    } = &*door;
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let report = control.metrics();
    let steps = report.stages.iter().map(|step| {
        json!({
            "name": step.name, "taken": step.taken, "given": step.given, "failed": step.failed,
            "retries": step.retries, "timeouts": step.timeouts, "panics": step.panics,
            "busy_ms": millis(step.busy), "blocked_ms": millis(step.blocked),
            "p50_ms": millis(step.p50), "p99_ms": millis(step.p99),
        })
    });
    Json(json!({
        "seconds": report.elapsed.as_secs_f64(),
        "payloads": {
            "accepted": counts.accepted.load(Relaxed), "known": counts.known.load(Relaxed),
        },
        "requests": {
            "taken": report.items.taken, "stored": report.items.delivered,
            "failed": report.items.failed, "refused": counts.refused.load(Relaxed),
            "wrong": counts.wrong.load(Relaxed),
        },
        "queue": {
            "places": queue.max_capacity(), "taken": queue.max_capacity() - queue.capacity(),
        },
        "steps": steps.collect::<Vec<_>>(),
    }))
}
