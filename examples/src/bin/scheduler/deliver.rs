//! The two ways out: lines on stdout, or requests to a URL.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
    sync::Arc,
};

use pipeline_core::prelude::*;
use reqwest::{Client, StatusCode, Url, header::CONTENT_TYPE};

use crate::message::Message;

/// Prints what is due, all of it at once. What it gives on is out of the house.
#[stage(blocking)]
pub(crate) fn print(
    #[state] lines: &mut Vec<u8>,
    mut messages: Vec<Message>,
) -> Result<Vec<Message>, NotPrinted> {
    lines.clear();
    for message in &messages {
        lines.extend(message.to_json().bytes());
        lines.push(b'\n');
    }
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(lines).and_then(|()| stdout.flush());
    written.map_err(NotPrinted)?;
    messages.iter_mut().for_each(Message::delivered);
    Ok(messages)
}

/// Nobody reads stdout any more, so nothing else can be delivered either.
#[derive(Debug)]
pub(crate) struct NotPrinted(io::Error);

impl fmt::Display for NotPrinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stdout cannot be written; what is left stays in the database")
    }
}

impl Error for NotPrinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Sends a message to a URL, which says by its status whether it has it.
#[stage(
    parallelism = 16,
    attempt_timeout = "10s",
    retry(backoff = "100ms", max = 4, jitter)
)]
pub(crate) async fn post(
    #[state] client: &Client,
    #[state] to: &Url,
    mut message: Message,
) -> reqwest::Result<Message> {
    let request = client.post(Url::clone(to)).body(message.to_json());
    let request = request.header(CONTENT_TYPE, "application/json");
    request.send().await?.error_for_status()?;
    message.delivered();
    Ok(message)
}

/// Versions of one message do not overtake each other.
pub(crate) fn id(message: &Message) -> Arc<str> {
    Arc::clone(&message.id)
}

/// Whether it may go better in a moment.
pub(crate) fn is_transient(error: &reqwest::Error) -> bool {
    error
        .status()
        .is_none_or(|status| status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS)
}
