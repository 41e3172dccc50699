//! What of an address matters here.

use url::Url;

/// Whether it is one that can be asked for over HTTP.
pub(crate) fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Why it cannot be visited by this program as it was built.
pub(crate) fn unsupported(url: &Url) -> Option<&'static str> {
    let without_tls = url.scheme() == "https" && cfg!(not(feature = "https"));
    without_tls.then_some("https needs a build with `--features https`")
}

/// Who is asked: the name, and the port if it is not the usual one. The same for `http` and `https`.
pub(crate) fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    }
}

/// As it is known by: a fragment names a place on a page, and no other page.
pub(crate) fn without_fragment(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}
