//! The stage that asks for an address.

use std::{error::Error, fmt};

use bytes::Bytes;
use pipeline_core::prelude::*;
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
    redirect::Policy,
};
use tokio::time::Instant;
use url::Url;

use crate::{address, options::Options};

/// An address that is to be visited.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// How many pages went into the run before it: the number that errors name it by.
    pub(crate) order: u64,
    pub(crate) url: Url,
    /// Only whether it is there matters, and not what.
    pub(crate) check: bool,
    /// Not before, for the pace of its host.
    pub(crate) due: Instant,
}

/// An address that was visited.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) page: Page,
    pub(crate) answer: Answer,
}

/// What was there.
#[derive(Debug)]
pub(crate) enum Answer {
    /// HTML. If it is `cut` there was more of it than is read.
    Html { body: Bytes, cut: bool },
    /// Something else, or nothing that matters.
    Other,
    /// The page is somewhere else.
    Redirect(Url),
}

/// What requests are made with.
#[derive(Debug)]
pub(crate) struct Web {
    client: Client,
    max_body: usize,
}

impl Web {
    /// # Errors
    ///
    /// If there is no TLS to be had, although it was built with it.
    pub(crate) fn new(options: &Options) -> reqwest::Result<Self> {
        let client = Client::builder()
            .user_agent("pipeline-core-crawl/0.1 (link checker)")
            .redirect(Policy::none()) // they are pages of their own, under the limits of their host
            .pool_max_idle_per_host(options.per_host)
            .build()?;
        Ok(Web {
            client,
            max_body: options.max_body,
        })
    }

    /// HEAD for a check, unless the server knows only GET.
    async fn ask(&self, page: &Page) -> Result<Response, Failure> {
        let send = |method| self.client.request(method, page.url.clone()).send();
        if page.check {
            let response = send(Method::HEAD).await?;
            let unknown = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
            if !unknown.contains(&response.status()) {
                return Ok(response);
            }
        }
        Ok(send(Method::GET).await?)
    }

    /// The body, up to the limit, and whether there was more.
    async fn read(&self, mut response: Response) -> Result<Answer, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            let room = self.max_body - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                let body = body.into();
                return Ok(Answer::Html { body, cut: true });
            }
        }
        let body = body.into();
        Ok(Answer::Html { body, cut: false })
    }
}

/// Asks once.
#[stage]
pub(crate) async fn fetch(#[state] web: &Web, page: Page) -> Result<Fetched, Failure> {
    let response = web.ask(&page).await?;
    let status = response.status();
    let answer = if status.is_redirection() {
        Answer::Redirect(target(&response)?)
    } else if !status.is_success() {
        return Err(Failure::Status(status));
    } else if page.check || !is_html(&response) {
        Answer::Other
    } else {
        web.read(response).await?
    };
    Ok(Fetched { page, answer })
}

fn target(response: &Response) -> Result<Url, Failure> {
    let Some(location) = response.headers().get(LOCATION) else {
        return Err(Failure::Status(response.status()));
    };
    let text = String::from_utf8_lossy(location.as_bytes());
    let url = response.url().join(&text).ok();
    url.filter(address::is_web)
        .map(address::without_fragment)
        .ok_or_else(|| Failure::Location(text.into_owned()))
}

fn is_html(response: &Response) -> bool {
    let value = response.headers().get(CONTENT_TYPE);
    let kind = value.and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| {
        let kind = kind.trim().to_ascii_lowercase();
        matches!(kind.as_str(), "text/html" | "application/xhtml+xml")
    })
}

/// Why an address did not answer as it should.
#[derive(Debug)]
pub(crate) enum Failure {
    Status(StatusCode),
    /// A redirect to something that is no address.
    Location(String),
    /// No connection, or one that broke.
    Transport(reqwest::Error),
}

impl Failure {
    /// Whether it is worth another attempt.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Failure::Status(status) => {
                let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
                status.is_server_error() || later.contains(status)
            }
            Failure::Location(_) => false,
            Failure::Transport(error) => !error.is_builder(),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Failure::Transport(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "{status}"),
            Failure::Location(text) => write!(f, "redirects to {text:?}, which is no address"),
            Failure::Transport(error) => {
                // the outer ones only say that it was a request that failed
                let mut cause: &dyn Error = error;
                while let Some(inner) = cause.source() {
                    cause = inner;
                }
                write!(f, "{cause}")
            }
        }
    }
}

/// What matters of its cause is in the text.
impl Error for Failure {}
