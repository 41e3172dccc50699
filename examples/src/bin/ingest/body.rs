//! Bodies of requests, in bounded memory and time.

use std::{future::poll_fn, pin::pin, time::Duration};

use axum::body::{Body, HttpBody};
use tokio::time::timeout;

/// How long a client may take to send a body.
const TIME: Duration = Duration::from_secs(10);
/// Bytes that are read and dropped of a body that nobody wants, so that the client has sent it when it
/// reads why. Of a longer one the connection is closed.
const DROPPED: usize = 8 * 1024 * 1024;

/// Why there is no body.
#[derive(Debug)]
pub(crate) enum NoBody {
    TooLong,
    TooSlow,
    /// The connection, or how the body is sent, is broken.
    Broken(axum::Error),
}

/// Reads a body of up to `most` bytes.
///
/// # Errors
///
/// It is not to be had.
pub(crate) async fn read(body: Body, most: usize) -> Result<Vec<u8>, NoBody> {
    let reading = async {
        let mut body = pin!(body);
        let (mut bytes, mut length) = (Vec::new(), 0);
        while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            let Ok(data) = frame.map_err(NoBody::Broken)?.into_data() else {
                continue; // trailers
            };
            length += data.len();
            if length <= most {
                bytes.extend_from_slice(&data);
            } else {
                bytes = Vec::new();
                if length > most.saturating_add(DROPPED) {
                    break;
                }
            }
        }
        if length <= most {
            Ok(bytes)
        } else {
            Err(NoBody::TooLong)
        }
    };
    timeout(TIME, reading).await.unwrap_or(Err(NoBody::TooSlow))
}

/// Reads a body that nobody wants.
pub(crate) async fn discard(body: Body) {
    let _ = read(body, 0).await; // whatever came of it
}
