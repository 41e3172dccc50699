//! The item: what one request has brought, checked, as lines to be stored.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::seen::Claim;

/// Bytes up to which a payload counts as one in a batch. So a batch of 1000 has at most 8 MiB,
/// or is a single request.
const USUAL: usize = 8 * 1024;
/// Bytes of an id.
const LONGEST_ID: usize = 256;

/// The payloads of one request, which are stored together or not at all.
#[derive(Debug)]
pub(crate) struct Collection {
    /// Each payload on a line of its own.
    pub(crate) lines: Bytes,
    /// Their ids, which nobody else may store meanwhile. Given back when this is dropped.
    pub(crate) claim: Claim,
    /// The request, which waits. It is told when the payloads are stored; when this is dropped it
    /// knows that they are not.
    pub(crate) request: oneshot::Sender<()>,
}

impl Collection {
    /// Of those payloads that the claim is for.
    pub(crate) fn new(
        payloads: &[Payload<'_>],
        claim: Claim,
        request: oneshot::Sender<()>,
    ) -> Self {
        let mut claimed = claim.ids().iter().peekable();
        let mut lines = Vec::new();
        for payload in payloads {
            // both in the order of the request
            if claimed.next_if(|id| **id == payload.id).is_some() {
                payload.push_line(&mut lines);
            }
        }
        Collection {
            lines: lines.into(),
            claim,
            request,
        }
    }

    /// What it counts in a batch.
    pub(crate) fn weight(&self) -> usize {
        self.claim.len().max(self.lines.len().div_ceil(USUAL))
    }
}

/// A payload as it came: it has an id, and nobody cares what else.
#[derive(Debug)]
pub(crate) struct Payload<'a> {
    pub(crate) id: Arc<str>,
    json: &'a str,
}

impl Payload<'_> {
    /// Adds it as one line. Outside of strings a line break is a blank, and inside JSON has none.
    fn push_line(&self, lines: &mut Vec<u8>) {
        let blank = |byte| match byte {
            b'\n' | b'\r' => b' ',
            byte => byte,
        };
        lines.extend(self.json.bytes().map(blank));
        lines.push(b'\n');
    }
}

/// The payloads in the body of a request: at least one.
///
/// # Errors
///
/// A sentence for the client, with the line and column or the index of the payload.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Payload<'_>>, String> {
    #[derive(Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        payloads: Option<Vec<&'a RawValue>>,
    }

    let request: Option<Request<'_>> =
        serde_json::from_slice(body).map_err(|error| format!("not a collection: {error}"))?;
    let request = request.ok_or("not a collection: null")?;
    let payloads = request.payloads.ok_or("no `payloads`, or null")?;
    if payloads.is_empty() {
        return Err("`payloads` is empty".into());
    }
    payloads
        .into_iter()
        .enumerate()
        .map(|(index, json)| match id(json) {
            Ok(id) => Ok(Payload {
                id,
                json: json.get(),
            }),
            Err(why) => Err(format!("payload {index}: {why}")),
        })
        .collect()
}

/// The id of one payload.
///
/// # Errors
///
/// Why it has none, in words.
pub(crate) fn id(payload: &RawValue) -> Result<Arc<str>, String> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        id: Option<Cow<'a, str>>,
    }

    if !payload.get().starts_with('{') {
        return Err("not an object".into());
    }
    // the place in the text would be that inside the payload: the index says more
    let head: Head<'_> = serde_json::from_str(payload.get()).map_err(|error| {
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default();
        format!("`id`: {what}")
    })?;
    match head.id.as_deref() {
        None => Err("no `id`, or null".into()),
        Some("") => Err("`id` is empty".into()),
        Some(id) if id.len() > LONGEST_ID => Err(format!("`id` is longer than {LONGEST_ID} bytes")),
        Some(id) => Ok(id.into()),
    }
}
