//! What is known of the addresses: which are to be visited, which are inside the run, what came of the others, and which
//! page links to which.
//!
//! **Whose turn it is.** A host has at most `per_host` pages inside the run at once, and hosts take turns. So a host
//! that is slow, or is being tried again, holds up its own pages alone: they wait here, and take no room in the run.
//! (`keyed` by host would let one page of a host through at a time, and have the others wait in the window of the stage.
//! There a host with many pages would keep the others out, and a drain would have to visit all of them.)
//!
//! **Bounds.** At most `max_pages` addresses are known, each with at most [`NAMED`] pages that link to it.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use pipeline_core::{
    StageError,
    error::{ErrorKind, TimedOut},
};
use tokio::time::Instant;
use url::Url;

use crate::{
    address,
    fetch::{Failure, Page},
    links::{Found, Link, Visited},
    options::Options,
};

/// Redirects that are followed one after another.
const REDIRECTS: u32 = 10;
/// Pages that are named as having the same broken link; the others are counted.
const NAMED: usize = 100;

/// An address by the order in which it was found.
type Number = u32;

/// All that is known, and what is to be done.
#[derive(Debug)]
pub(crate) struct Frontier {
    limits: Options,
    known: HashMap<Arc<str>, Number>,
    addresses: Vec<Address>,
    hosts: Vec<Host>,
    host_numbers: HashMap<String, usize>,
    /// Hosts with a page that may go into the run now, in turns.
    ready: VecDeque<usize>,
    /// Addresses of the next level, if there is a greatest depth.
    later: Vec<Number>,
    level: u32,
    /// How many are to be visited and not inside.
    pub(crate) waiting: usize,
    /// Pages in the run, by their order: what is outstanding.
    inside: HashMap<u64, Number>,
    sent: u64,
    pub(crate) visited: u64,
    /// Links that were not followed, because there are too many or they are too deep.
    pub(crate) beyond_pages: u64,
    pub(crate) beyond_depth: u64,
}

#[derive(Debug)]
struct Address {
    /// Without a fragment, or what was written if that is no address.
    link: Arc<str>,
    /// The pages on which it stands: the first of them, and how many more there are.
    on: Vec<Number>,
    more: u32,
    /// It is one to start with.
    given: bool,
    host: usize,
    check: bool,
    /// How many links, and how many redirects in a row, lead there.
    depth: u32,
    redirects: u32,
    state: State,
    /// While it waits.
    url: Option<Url>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Inside,
    Fine,
    Redirects(Number),
    Broken(String),
    Skipped(String),
}

/// What became of a link that is worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Broken(String),
    Skipped(String),
    NotVisited,
}

/// A link that is worth a line, on one of the pages that have it.
#[derive(Debug)]
pub(crate) struct Finding<'a> {
    pub(crate) on: On<'a>,
    pub(crate) link: &'a str,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum On<'a> {
    Start,
    Page(&'a str),
    More(u32),
}

#[derive(Debug, Default)]
struct Host {
    /// One of those to start with.
    given: bool,
    waiting: VecDeque<Number>,
    inside: usize,
    is_ready: bool,
    /// The pace: when the next request may be made.
    next: Option<Instant>,
}

/// How an address came to be known.
struct Way {
    on: Option<Number>,
    depth: u32,
    redirects: u32,
}

/// What is to be done with a new address.
struct New {
    state: State,
    url: Option<Url>,
    host: usize,
    /// It is only checked.
    check: bool,
}

impl Frontier {
    pub(crate) fn new(options: &Options) -> Self {
        let mut frontier = Frontier {
            limits: options.clone(),
            known: HashMap::new(),
            addresses: Vec::new(),
            hosts: Vec::new(),
            host_numbers: HashMap::new(),
            ready: VecDeque::new(),
            later: Vec::new(),
            level: 0,
            waiting: 0,
            inside: HashMap::new(),
            sent: 0,
            visited: 0,
            beyond_pages: 0,
            beyond_depth: 0,
        };
        for url in &options.start {
            let host = frontier.host(url);
            frontier.hosts[host].given = true;
        }
        for url in &options.start {
            let way = Way {
                on: None,
                depth: 0,
                redirects: 0,
            };
            let url = address::without_fragment(url.clone());
            if let Some(number) = frontier.enter(&url, &way) {
                frontier.addresses[number as usize].given = true;
            }
        }
        frontier
    }

    // ----- into the run -----

    /// A page whose turn it is, if there is one and it may go into the run now. From here on it is outstanding.
    pub(crate) fn next(&mut self) -> Option<Page> {
        if self.inside.len() >= self.limits.inside() {
            return None;
        }
        if self.ready.is_empty() && self.inside.is_empty() {
            self.next_level();
        }
        let index = self.ready.pop_front()?;
        let host = &mut self.hosts[index];
        host.is_ready = false;
        let number = host.waiting.pop_front()?;
        let address = &mut self.addresses[number as usize];
        let url = address.url.take()?;
        address.state = State::Inside;
        self.waiting -= 1;
        let now = Instant::now();
        let due = host.next.map_or(now, |next| next.max(now));
        host.next = (!self.limits.delay.is_zero()).then_some(due + self.limits.delay);
        host.inside += 1;
        let page = Page {
            order: self.sent,
            url,
            check: address.check,
            due,
        };
        self.inside.insert(page.order, number);
        self.sent += 1;
        self.turn(index);
        Some(page)
    }

    /// The run takes no more: the page was not visited.
    pub(crate) fn take_back(&mut self, page: Page) {
        if let Some(number) = self.settle(page.order) {
            let address = &mut self.addresses[number as usize];
            address.state = State::Waiting;
            address.url = Some(page.url);
            let host = address.host;
            self.hosts[host].waiting.push_front(number);
            self.waiting += 1;
            self.turn(host);
        }
    }

    /// Nothing is outstanding, and nothing is left to be visited.
    pub(crate) fn is_done(&self) -> bool {
        self.inside.is_empty() && self.ready.is_empty() && self.later.is_empty()
    }

    /// Those who wait because of `per_host` are not ready, but then something is inside.
    fn turn(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        let may = !host.waiting.is_empty() && host.inside < self.limits.per_host;
        if may && !host.is_ready {
            host.is_ready = true;
            self.ready.push_back(index);
        }
    }

    fn next_level(&mut self) {
        self.level += 1;
        for number in std::mem::take(&mut self.later) {
            self.wait(number);
        }
    }

    fn wait(&mut self, number: Number) {
        let host = self.addresses[number as usize].host;
        self.hosts[host].waiting.push_back(number);
        self.turn(host);
    }

    // ----- out of the run -----

    /// A page has come back.
    pub(crate) fn visited(&mut self, visited: Visited) {
        let Some(number) = self.settle(visited.page.order) else {
            return;
        };
        self.visited += 1;
        let state = match visited.found {
            Found::Nothing => State::Fine,
            Found::Links { links, .. } => {
                for link in links {
                    self.found(link, number);
                }
                State::Fine
            }
            Found::Redirect(url) => self.redirect(&url, number),
        };
        self.addresses[number as usize].state = state;
    }

    /// A page has failed. The error names it by its origin: the number of items that went in before.
    pub(crate) fn failed(&mut self, error: &StageError) {
        let Some(number) = self.settle(error.origin().first()) else {
            return;
        };
        self.visited += 1;
        let why = why(error);
        let state = if error.stage() == "fetch" {
            State::Broken(why)
        } else {
            State::Skipped(format!("its links could not be read: {why}"))
        };
        self.addresses[number as usize].state = state;
    }

    /// It is no more outstanding, and its host has room for another one.
    fn settle(&mut self, order: u64) -> Option<Number> {
        let number = self.inside.remove(&order)?;
        let host = self.addresses[number as usize].host;
        self.hosts[host].inside -= 1;
        self.turn(host);
        Some(number)
    }

    fn found(&mut self, link: Link, on: Number) {
        let depth = self.addresses[on as usize].depth + 1;
        let way = Way {
            on: Some(on),
            depth,
            redirects: 0,
        };
        match link {
            Link::To(url) => {
                self.enter(&url, &way);
            }
            Link::Wrong { text, why } => {
                self.add(&text, &way, |_| New {
                    state: State::Broken(why),
                    url: None,
                    host: 0, // of nobody: it never goes into the run
                    check: false,
                });
            }
        }
    }

    fn redirect(&mut self, url: &Url, from: Number) -> State {
        let Address {
            depth, redirects, ..
        } = self.addresses[from as usize];
        if redirects == REDIRECTS {
            return State::Broken(format!("more than {REDIRECTS} redirects"));
        }
        let way = Way {
            on: None,
            depth,
            redirects: redirects + 1,
        };
        let target = self.enter(url, &way);
        target.map_or(State::Fine, State::Redirects)
    }

    // ----- addresses -----

    /// The address is known from now on, and waits to be visited, unless it is not to be.
    fn enter(&mut self, url: &Url, way: &Way) -> Option<Number> {
        let host = self.host_numbers.get(&address::host(url));
        let given = host.is_some_and(|host| self.hosts[*host].given);
        if !given && !self.limits.external {
            return None;
        }
        let too_deep = self.limits.max_depth.is_some_and(|most| way.depth > most);
        if given && too_deep && !self.known.contains_key(url.as_str()) {
            self.beyond_depth += 1;
            return None;
        }
        self.add(url.as_str(), way, |frontier| {
            let (state, url) = match address::unsupported(url) {
                Some(why) => (State::Skipped(why.to_owned()), None),
                None => (State::Waiting, Some(url.clone())),
            };
            New {
                state,
                host: url.as_ref().map_or(0, |url| frontier.host(url)),
                url,
                check: !given,
            }
        })
    }

    /// The number of a link, of which more is asked if it is new and there is room for it.
    fn add(&mut self, link: &str, way: &Way, new: impl FnOnce(&mut Self) -> New) -> Option<Number> {
        let number = match self.known.get(link) {
            Some(number) => *number,
            None if self.addresses.len() >= self.limits.max_pages as usize => {
                self.beyond_pages += 1;
                return None;
            }
            None => {
                let New {
                    state,
                    url,
                    host,
                    check,
                } = new(self);
                let number = self.addresses.len() as Number;
                let link: Arc<str> = link.into();
                self.known.insert(Arc::clone(&link), number);
                let waits = state == State::Waiting;
                self.waiting += usize::from(waits);
                self.addresses.push(Address {
                    link,
                    on: Vec::new(),
                    more: 0,
                    given: false,
                    host,
                    check,
                    depth: way.depth,
                    redirects: way.redirects,
                    state,
                    url,
                });
                if waits && self.limits.max_depth.is_some() && !check && way.depth > self.level {
                    self.later.push(number);
                } else if waits {
                    self.wait(number);
                }
                number
            }
        };
        if let Some(on) = way.on {
            let address = &mut self.addresses[number as usize];
            if address.on.len() < NAMED {
                address.on.push(on);
            } else {
                address.more += 1;
            }
        }
        Some(number)
    }

    fn host(&mut self, url: &Url) -> usize {
        match self.host_numbers.entry(address::host(url)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.hosts.push(Host::default());
                *new.insert(self.hosts.len() - 1)
            }
        }
    }

    // ----- what is told -----

    /// What is worth a line, sorted by page and link.
    pub(crate) fn findings(&self) -> Vec<Finding<'_>> {
        let mut findings = Vec::new();
        for (number, address) in self.addresses.iter().enumerate() {
            let Some(verdict) = self.verdict(number as Number) else {
                continue;
            };
            let page = |on: &Number| On::Page(&self.addresses[*on as usize].link);
            let given = address.given.then_some(On::Start);
            let pages = address.on.iter().map(page);
            let more = (address.more > 0).then_some(On::More(address.more));
            findings.extend(
                given
                    .into_iter()
                    .chain(pages)
                    .chain(more)
                    .map(|on| Finding {
                        on,
                        link: &address.link,
                        verdict: verdict.clone(),
                    }),
            );
        }
        findings.sort_by(|a, b| (a.on, a.link).cmp(&(b.on, b.link)));
        findings
    }

    /// Of the page where redirects lead to in the end.
    fn verdict(&self, number: Number) -> Option<Verdict> {
        let mut passed = vec![number];
        let mut at = &self.addresses[number as usize];
        while let State::Redirects(to) = at.state {
            if passed.contains(&to) {
                return Some(Verdict::Broken("redirects in a circle".to_owned()));
            }
            passed.push(to);
            at = &self.addresses[to as usize];
        }
        let told = |why: &str| {
            if passed.len() == 1 {
                why.to_owned()
            } else {
                format!("redirects to {}: {why}", at.link)
            }
        };
        match &at.state {
            State::Broken(why) => Some(Verdict::Broken(told(why))),
            State::Skipped(why) => Some(Verdict::Skipped(told(why))),
            State::Waiting | State::Inside => Some(Verdict::NotVisited),
            State::Fine | State::Redirects(_) => None,
        }
    }
}

/// In the words of whoever reads the report.
fn why(error: &StageError) -> String {
    let text = match error.kind() {
        ErrorKind::TimedOut => {
            let limit = error.downcast_ref::<TimedOut>().map(TimedOut::time);
            format!("no answer within {:?}", limit.unwrap_or(Duration::ZERO))
        }
        _ => match error.downcast_ref::<Failure>() {
            Some(failure) => failure.to_string(),
            None => std::error::Error::source(error).map_or(error.to_string(), ToString::to_string),
        },
    };
    match error.attempts() {
        1 => text,
        attempts => format!("{text} ({attempts} attempts)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Command, parse};

    fn frontier<const N: usize>(arguments: [&str; N]) -> Frontier {
        match parse(arguments.map(Into::into)) {
            Ok(Command::Crawl(options)) => Frontier::new(&options),
            other => panic!("{other:?}"),
        }
    }

    /// All pages that may go into the run now.
    fn next(frontier: &mut Frontier) -> Vec<Page> {
        std::iter::from_fn(|| frontier.next()).collect()
    }

    fn paths(pages: &[Page]) -> Vec<&str> {
        pages.iter().map(|page| page.url.path()).collect()
    }

    fn visit(frontier: &mut Frontier, page: Page, links: &[&str]) {
        let links = links
            .iter()
            .map(|link| Link::To(page.url.join(link).unwrap()));
        let found = Found::Links {
            links: links.collect(),
            cut: false,
        };
        frontier.visited(Visited { page, found });
    }

    #[test]
    fn a_host_with_many_pages_leaves_room_for_others() {
        let mut frontier = frontier(["http://a/", "http://b/", "--jobs=1", "--per-host=2"]);
        let [a, b] = next(&mut frontier).try_into().unwrap();
        assert!(!frontier.is_done());
        visit(&mut frontier, a, &["1", "2", "3"]);
        let [one, two] = next(&mut frontier).try_into().unwrap();
        assert_eq!((one.url.path(), two.url.path()), ("/1", "/2"));
        visit(
            &mut frontier,
            b,
            &["4", "5", "http://a/1", "http://elsewhere/"],
        );
        assert_eq!(paths(&next(&mut frontier)), ["/4", "/5"]);

        visit(&mut frontier, two, &[]);
        let [three] = next(&mut frontier).try_into().unwrap();
        assert_eq!((three.url.path(), frontier.waiting), ("/3", 0));
    }

    #[test]
    fn no_more_goes_in_than_the_queue_holds_and_what_was_refused_waits() {
        let mut frontier = frontier(["http://a/", "--jobs=1", "--per-host=100"]);
        let home = frontier.next().unwrap();
        visit(&mut frontier, home, &["1", "2", "3", "4", "5", "6"]);
        let mut pages = next(&mut frontier);
        assert_eq!(pages.len(), 4);

        frontier.take_back(pages.pop().unwrap());
        visit(&mut frontier, pages.pop().unwrap(), &[]);
        assert_eq!(frontier.waiting, 3);
        assert_eq!(paths(&next(&mut frontier)), ["/4", "/5"]);
    }

    /// `/x` is 2 links away, and 3 on another way.
    #[test]
    fn with_a_greatest_depth_the_shortest_way_counts() {
        let mut frontier = frontier(["http://a/", "--max-depth=3"]);
        let home = frontier.next().unwrap();
        visit(&mut frontier, home, &["slow", "quick"]);
        let [slow, quick] = next(&mut frontier).try_into().unwrap();
        visit(&mut frontier, quick, &["quick-2"]);
        assert!(frontier.next().is_none(), "first all that are as deep");
        visit(&mut frontier, slow, &["x"]);
        let [quick, x] = next(&mut frontier).try_into().unwrap();
        visit(&mut frontier, quick, &["x"]);
        visit(&mut frontier, x, &["deep"]);
        let deep = frontier.next().unwrap();
        visit(&mut frontier, deep, &["too-deep", "x"]);
        assert!(frontier.is_done());
        assert_eq!(frontier.beyond_depth, 1);
    }
}
