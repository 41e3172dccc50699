//! The stage that finds the links of a page.

use std::collections::HashSet;

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use url::Url;

use crate::{
    address,
    fetch::{Answer, Fetched, Page},
};

/// Longer ones are not addresses but data. A bound, because what is known of an address is kept.
const LONGEST: usize = 8 * 1024;

/// An address that was visited, and what was found there.
#[derive(Debug)]
pub(crate) struct Visited {
    pub(crate) page: Page,
    pub(crate) found: Found,
}

#[derive(Debug)]
pub(crate) enum Found {
    /// Each link once. If it was `cut` there may be more of them.
    Links {
        links: Vec<Link>,
        cut: bool,
    },
    /// No page, so no links.
    Nothing,
    Redirect(Url),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    /// Without a fragment.
    To(Url),
    /// What was written is no address.
    Wrong { text: String, why: String },
}

/// Reads a page. It computes for some milliseconds if the page is large.
pub(crate) fn read(fetched: Fetched) -> Visited {
    let Fetched { page, answer } = fetched;
    let found = match answer {
        Answer::Html { body, cut } => Found::Links {
            links: links(&body, &page.url),
            cut,
        },
        Answer::Other => Found::Nothing,
        Answer::Redirect(url) => Found::Redirect(url),
    };
    Visited { page, found }
}

/// The links of a page at `url`, each once, in the order in which they stand there.
fn links(html: &[u8], url: &Url) -> Vec<Link> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true); // no tags inside of scripts
    let mut base: Option<Url> = None;
    let mut links = Vec::new();
    let mut seen = HashSet::new();
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        let Token::StartTag(tag) = token else {
            continue;
        };
        if base.is_none() && *tag.name == b"base" {
            base = attribute(&tag, b"href").and_then(|href| url.join(&href).ok());
        }
        let Some(text) = target(&tag) else {
            continue;
        };
        if let Some(link) = resolve(&text, base.as_ref().unwrap_or(url))
            && seen.insert(link.clone())
        {
            links.push(link);
        }
    }
    links
}

/// Where a tag leads to, as it is written there.
fn target(tag: &StartTag<()>) -> Option<String> {
    match tag.name.as_slice() {
        b"a" | b"area" => attribute(tag, b"href"),
        b"frame" | b"iframe" | b"img" | b"script" => attribute(tag, b"src"),
        b"link" => {
            // hosts to be warmed up, and no addresses
            let rel = attribute(tag, b"rel").unwrap_or_default();
            let warms = |word: &str| matches!(word, "preconnect" | "dns-prefetch");
            let rel = rel.to_ascii_lowercase();
            if rel.split_whitespace().any(warms) {
                return None;
            }
            attribute(tag, b"href")
        }
        _ => None,
    }
}

/// The text of an attribute. What is not UTF-8 is taken for Latin-1: right for most old pages, and a
/// link of ASCII stays what it is on all of them.
fn attribute(tag: &StartTag<()>, name: &[u8]) -> Option<String> {
    let bytes = &tag.attributes.get(name)?.value.0;
    let text = String::from_utf8(bytes.clone());
    Some(text.unwrap_or_else(|_| bytes.iter().copied().map(char::from).collect()))
}

/// `None` for what is no page: `mailto:`, `javascript:`, `data:` and their like.
fn resolve(text: &str, base: &Url) -> Option<Link> {
    let wrong = |why: &str| {
        let text = text.trim().chars().take(200).collect();
        let why = why.to_owned();
        Some(Link::Wrong { text, why })
    };
    match base.join(text) {
        Ok(url) if !address::is_web(&url) => None,
        Ok(url) if url.as_str().len() > LONGEST => wrong("too long for an address"),
        Ok(url) => Some(Link::To(address::without_fragment(url))),
        Err(error) => wrong(&format!("not an address: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(html: impl AsRef<[u8]>) -> Vec<String> {
        let page = Url::parse("http://host/folder/page").unwrap();
        links(html.as_ref(), &page)
            .into_iter()
            .map(|link| match link {
                Link::To(url) => url.into(),
                Link::Wrong { text, why } => format!("{text}: {why}"),
            })
            .collect()
    }

    #[test]
    fn links_are_found_once_and_without_their_fragments() {
        let html = "<a href=one>1</a><A HREF='/two#part'>2</A><a href='#here'>3</a><a href=/two>4</a>\
                    <img src=\"../picture.png\"><iframe src=//other/frame></iframe><link rel=stylesheet href=s.css>\
                    <script src=s.js></script><area href='?q=1&amp;r=2'>";
        assert_eq!(
            found(html),
            [
                "http://host/folder/one",
                "http://host/two",
                "http://host/folder/page",
                "http://host/picture.png",
                "http://other/frame",
                "http://host/folder/s.css",
                "http://host/folder/s.js",
                "http://host/folder/page?q=1&r=2",
            ]
        );
    }

    #[test]
    fn what_is_no_link_is_none() {
        let html = "<a>no</a><a href='mailto:me'></a><a href='javascript:go()'></a><a href='data:,x'></a>\
                    <!-- <a href=comment></a> --><script>'<a href=script></a>'</script><p href=p>\
                    <link rel='dns-prefetch' href='//warm'><img alt='<a href=alt>'>";
        assert_eq!(found(html), [""; 0]);
    }

    #[test]
    fn the_first_base_counts() {
        let html = "<base href=/other/><base href=/third/><a href=page>";
        assert_eq!(found(html), ["http://host/other/page"]);
    }

    #[test]
    fn pages_that_are_not_utf8_are_read() {
        assert_eq!(
            found(b"\xff\xfe<p>\xe9t\xe9<a href='/caf\xe9'>\x80<a href=/plain>"),
            ["http://host/caf%C3%A9", "http://host/plain"]
        );
    }

    #[test]
    fn what_is_no_address_is_named() {
        assert_eq!(
            found("<a href='http://'></a><a href='http://[::1'></a>"),
            [
                "http://: not an address: empty host",
                "http://[::1: not an address: invalid IPv6 address"
            ]
        );
        let long = format!("<a href='{}'>", "x".repeat(LONGEST));
        assert!(found(long)[0].ends_with("xxx: too long for an address"));
    }
}
