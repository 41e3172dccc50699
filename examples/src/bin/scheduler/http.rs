//! The other source: requests over HTTP, which are answered when what they ask for is in the database.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::{delete, post},
};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::{
    book::Full,
    message::{self, Answer, From, Request, Wish},
    save::Desk,
};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) queue: mpsc::Sender<Request>,
    pub(crate) desk: Arc<Desk>,
}

pub(crate) fn router(door: Arc<Door>, longest: usize) -> Router {
    Router::new()
        .route("/messages", post(add).get(count))
        .route("/messages/{id}", delete(cancel))
        .route("/flush", post(flush))
        .layer(DefaultBodyLimit::max(longest))
        .with_state(door)
}

async fn add(State(door): State<Arc<Door>>, body: Bytes) -> Response {
    match message::parse(&body, door.desk.clock.now()) {
        Ok(wish) => ask(&door, wish).await,
        Err(why) => error(StatusCode::BAD_REQUEST, &why),
    }
}

async fn cancel(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Response {
    ask(&door, Wish::Cancel { id: id.into() }).await
}

/// Sends a wish on its way, and waits for what comes of it. Takes no more than there is room for.
async fn ask(door: &Door, wish: Wish) -> Response {
    let book = &door.desk.book;
    let place = match book.try_place(&wish) {
        Ok(place) => place,
        Err(Full) if book.is_closed() => return later("it is ending"),
        Err(Full) => return later("too many messages are pending"),
    };
    let (told, answer) = oneshot::channel();
    let from = From::Http(told);
    if door.queue.try_send(Request { wish, from, place }).is_err() {
        return later("too many requests, or it is ending");
    }
    match answer.await {
        Ok(Answer::Pending { due }) => {
            let due = message::rfc3339(due);
            (StatusCode::ACCEPTED, Json(json!({ "due": due }))).into_response()
        }
        Ok(Answer::Cancelled) => Json(json!({ "cancelled": true })).into_response(),
        Ok(Answer::Leaving) => error(StatusCode::CONFLICT, "it is just being delivered"),
        Ok(Answer::Unknown) => error(StatusCode::NOT_FOUND, "it is not pending"),
        Err(_) => later("it could not be saved"),
    }
}

fn later(why: &str) -> Response {
    let answer = error(StatusCode::SERVICE_UNAVAILABLE, why);
    ([(RETRY_AFTER, "1")], answer).into_response()
}

fn error(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

async fn count(State(door): State<Arc<Door>>) -> Response {
    let book = &door.desk.book;
    Json(json!({ "pending": book.len(), "most": book.most() })).into_response()
}

async fn flush(State(door): State<Arc<Door>>) -> Response {
    let waiting = door.desk.schedule.len();
    door.desk.schedule.flush();
    Json(json!({ "flushed": waiting })).into_response()
}
