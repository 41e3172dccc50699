//! The program `crawl`, run as a user runs it, on sites of its own.
//!
//! Where a test needs to know how far the program is, the site knows: a page answers when the test says so, or when other
//! pages have been asked for.
//!
//! A large run is left out by default:
//!
//! ```text
//! cargo test --release -p examples --test crawl -- --ignored --nocapture
//! ```

#![cfg(unix)]

mod program;

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    process::{Command, Output},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Method, StatusCode, Uri, header},
    response::Response,
};
use rustix::process::Signal;
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::{Builder, Runtime},
    sync::{Barrier, Semaphore},
    task::yield_now,
};

use program::{Run, stderr, stdout, within_a_minute};

// ----- what is reported -----

#[test]
fn a_site_without_broken_links_is_silent() {
    let net = Net::new();
    let host = net.host();
    host.page(
        "/",
        "<a href=/a>a</a><a href='/a#there'>a</a><a href=''>me</a>",
    );
    host.page(
        "/a",
        "<a href=/>home</a><a href='mailto:me'>me</a><a href=/picture>",
    );
    host.other("/picture", "image/png", b"<a href=/no-html>");

    let output = net.crawl([&host.url("/")]);

    assert_eq!(stdout(&output), "");
    assert!(
        stderr(&output).starts_with("crawl: 3 addresses visited in "),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).ends_with(" s, 0 broken\n"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(host.asked(), ["GET /", "GET /a", "GET /picture"]);
}

#[test]
fn every_broken_link_is_named_with_its_page_and_why() {
    let net = Net::new();
    let (one, two) = (net.host(), net.host());
    let dead = net.dead();
    one.page(
        "/",
        &format!(
            "<a href=/good><a href=/missing><a href=/sometimes><a href=/never><a href=http://{dead}/x><a href={}>\
             <a href=/circle><a href=/moved><a href=/moved-away><a href=/lost><a href=/nowhere><a href='http://:'>\
             <a href=/huge><a href=/latin1>",
            two.url("/")
        ),
    );
    one.page("/good", "<a href=/><a href=missing><a href=good>");
    one.fails("/sometimes", 2, "<a href=/after-all>");
    one.page("/after-all", "");
    one.fails("/never", usize::MAX, "");
    one.redirect("/circle", "/circle-2");
    one.redirect("/circle-2", "/circle");
    one.redirect("/moved", "good#part");
    one.redirect("/moved-away", &two.url("/gone"));
    one.redirect("/lost", "lost-2");
    one.redirect("/lost-2", "missing-2");
    one.redirect("/nowhere", "mailto:nobody");
    one.page(
        "/huge",
        &format!("<a href=seen>{}<a href=unseen>", "x".repeat(2000)),
    );
    one.page("/seen", "");
    one.other(
        "/latin1",
        "Text/HTML; charset=iso-8859-1",
        b"\xe9<a href='/\xe9'>\xff<a href=/missing>",
    );
    one.page("/%C3%A9", "");
    two.page("/", &format!("<a href=/gone><a href={}>", one.url("/good")));

    let output = net.crawl([
        &one.url("/"),
        &two.url("/"),
        &format!("http://{dead}"),
        "--max-body=1",
        "--retries=2",
        "--pause=0.001",
    ]);

    let expected = |lines: &[&str]| {
        let mut text = String::new();
        for line in lines {
            let line = line.replace("ONE", &one.url(""));
            let line = line.replace("TWO", &two.url(""));
            text += &line.replace("DEAD", &format!("http://{dead}"));
            text.push('\n');
        }
        text
    };
    let refused = "Connection refused (os error 111) (3 attempts)";
    let mut pages = [
        "ONE/ -> ONE/circle: redirects in a circle".to_owned(),
        "ONE/ -> ONE/lost: redirects to ONE/missing-2: 404 Not Found".to_owned(),
        "ONE/ -> ONE/missing: 404 Not Found".to_owned(),
        "ONE/ -> ONE/moved-away: redirects to TWO/gone: 404 Not Found".to_owned(),
        "ONE/ -> ONE/never: 500 Internal Server Error (3 attempts)".to_owned(),
        "ONE/ -> ONE/nowhere: redirects to \"mailto:nobody\", which is no address".to_owned(),
        format!("ONE/ -> DEAD/x: {refused}"),
        "ONE/ -> http://:: not an address: empty host".to_owned(),
        "ONE/good -> ONE/missing: 404 Not Found".to_owned(),
        "ONE/latin1 -> ONE/missing: 404 Not Found".to_owned(),
        "TWO/ -> TWO/gone: 404 Not Found".to_owned(),
        format!("DEAD/: {refused}"),
    ]
    .map(|line| expected(&[&line]));
    pages.sort();
    let mut lines: Vec<_> = stdout(&output)
        .lines()
        .map(|line| format!("{line}\n"))
        .collect();
    lines.sort();
    assert_eq!(lines, pages);
    let said = stderr(&output);
    let cut = format!("{}: longer than --max-body", one.url("/huge"));
    assert!(said.contains(&cut), "{said}");
    assert!(said.contains(", 10 broken\n"), "{said}");
    assert_eq!(output.status.code(), Some(1));

    let asked = one.asked();
    let times = |path| {
        asked
            .iter()
            .filter(|asked| **asked == format!("GET {path}"))
            .count()
    };
    let lines = stdout(&output);
    assert!(lines.lines().map(page_of).is_sorted(), "{lines}");
    assert_eq!((times("/sometimes"), times("/never")), (3, 3));
    assert_eq!((times("/after-all"), times("/%C3%A9")), (1, 1));
    for path in ["/", "/good", "/missing", "/circle", "/circle-2", "/seen"] {
        assert_eq!(times(path), 1, "{path}");
    }
    assert_eq!(times("/unseen"), 0);
}

#[test]
fn a_page_that_hangs_is_broken_in_time() {
    let net = Net::new();
    let host = net.host();
    host.page("/", "<a href=/hangs><a href=/good>");
    host.page("/good", "");
    let _never = host.waits("/hangs");

    let output = net.crawl([&host.url("/"), "--timeout=1", "--retries=1", "--pause=0"]);

    let (page, link) = (host.url("/"), host.url("/hangs"));
    assert_eq!(
        stdout(&output),
        format!("{page} -> {link}: no answer within 1s (2 attempts)\n")
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn redirects_without_end_are_given_up() {
    let net = Net::new();
    let host = net.host();
    host.page("/", "<a href=/0>");
    for n in 0..20 {
        host.redirect(&format!("/{n}"), &format!("/{}", n + 1));
    }

    let output = net.crawl([&host.url("/")]);

    let lines = stdout(&output);
    assert!(lines.ends_with(": more than 10 redirects\n"), "{lines}");
    assert_eq!(lines.lines().count(), 1);
    assert_eq!(host.asked().len(), 1 + 11);
}

#[test]
fn json_lines_have_the_same_findings() {
    let net = Net::new();
    let host = net.host();
    host.page("/", "<a href=/missing><a href=\"http://[\nx\">");

    let output = net.crawl([&host.url("/"), &host.url("/gone"), "--json"]);

    let lines = stdout(&output);
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (page, why) = (host.url("/"), "404 Not Found");
    assert_eq!(
        lines,
        [
            serde_json::json!({"kind": "broken", "link": host.url("/gone"), "why": why}),
            serde_json::json!({"kind": "broken", "page": page, "link": host.url("/missing"), "why": why}),
            serde_json::json!({
                "kind": "broken", "page": page, "link": "http://[\nx", "why": "not an address: invalid IPv6 address"
            }),
        ]
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn of_a_link_that_many_pages_have_some_are_named_and_the_others_counted() {
    let net = Net::new();
    let host = net.host();
    let links: String = (0..150).map(|n| format!("<a href=/{n}>")).collect();
    host.page("/", &links);
    for n in 0..150 {
        host.page(&format!("/{n}"), "<a href=/missing>");
    }

    let output = net.crawl([&host.url("/")]);

    let lines = stdout(&output);
    let link = host.url("/missing");
    assert_eq!(lines.lines().count(), 101);
    assert_eq!(
        lines.lines().last(),
        Some(format!("(50 more pages) -> {link}: 404 Not Found").as_str())
    );
}

// ----- limits -----

#[test]
fn a_host_has_so_many_requests_at_once_and_no_more() {
    let net = Net::new();
    let host = net.host();
    let links: String = (0..12).map(|n| format!("<a href=/{n}>")).collect();
    host.page("/", &links);
    let three = Arc::new(Barrier::new(3));
    for n in 0..12 {
        // answers when three are there
        host.meets(&format!("/{n}"), &three);
    }

    let output = net.crawl([&host.url("/"), "--per-host=3", "--jobs=16"]);

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(host.most(), 3);
}

#[test]
fn a_slow_host_holds_up_itself_alone() {
    let net = Net::new();
    let (slow, quick) = (net.host(), net.host());
    let links: String = (0..50).map(|n| format!("<a href=/{n}>")).collect();
    slow.page("/", &links);
    quick.page("/", &links);
    let gate = Arc::new(Semaphore::new(0));
    for n in 0..50 {
        // nothing of the slow host answers before all of the quick one has been asked for
        slow.waits_for(&format!("/{n}"), &gate);
        quick.opens(&format!("/{n}"), &gate);
    }

    let output = net.crawl([
        &slow.url("/"),
        &quick.url("/"),
        "--per-host=2",
        "--jobs=3",
        "--retries=0",
    ]);

    assert_eq!(stdout(&output), "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!((slow.asked().len(), quick.asked().len()), (51, 51));
    assert!(slow.most() <= 2 && quick.most() <= 2);
}

/// 20,000 pages on 20 hosts, each with 20 links.
#[test]
#[ignore = "takes seconds in release, and says how many"]
fn a_big_site_is_visited_once() {
    const HOSTS: usize = 20;
    const PAGES: usize = 1000;
    let net = Net::new();
    let hosts: Vec<_> = (0..HOSTS).map(|_| net.host()).collect();
    let url = |n: usize| hosts[n % HOSTS].url(&format!("/{}", n % (HOSTS * PAGES)));
    for n in 0..HOSTS * PAGES {
        let links =
            (1..=20).map(|k| format!("<p>{}</p><a href={}>", "text ".repeat(40), url(n + k * k)));
        hosts[n % HOSTS].page(&format!("/{n}"), &links.collect::<String>());
    }
    let start: Vec<_> = (0..HOSTS).map(url).collect();
    let mut arguments: Vec<_> = start.iter().map(String::as_str).collect();
    arguments.extend(["--max-pages=100000", "--report"]);

    let output = net.run(&arguments).output();

    println!("{}", stderr(&output));
    assert_eq!(stdout(&output), "");
    for host in &hosts {
        assert_eq!(host.asked().len(), PAGES);
        assert!(host.most() <= 2);
    }
    assert_eq!(output.status.code(), Some(0));
}

/// More is found at once than the run holds.
#[test]
fn a_queue_that_is_full_stops_nothing() {
    let net = Net::new();
    let host = net.host();
    let links: String = (0..500).map(|n| format!("<a href=/{n}>")).collect();
    host.page("/", &links);
    for n in 0..500 {
        host.page(&format!("/{n}"), &links[..n]);
    }

    let output = net.crawl([&host.url("/"), "--jobs=1", "--report"]);

    let said = stderr(&output);
    assert!(said.contains("501 taken = 501 delivered"), "{said}");
    assert_eq!(host.asked().len(), 501);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn requests_of_a_host_keep_their_distance() {
    let net = Net::new();
    let host = net.host();
    host.page("/", "<a href=/1><a href=/2><a href=/3>");
    for n in 1..4 {
        host.page(&format!("/{n}"), "");
    }

    let start = std::time::Instant::now();
    let output = net.crawl([&host.url("/"), "--delay=0.05"]);

    assert_eq!(output.status.code(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[test]
fn the_shortest_way_to_a_page_is_its_depth() {
    let net = Net::new();
    let host = net.host();
    // `/short` is 2 links away, and 3 on a way that is quicker to go
    host.page("/", "<a href=/slow><a href=/quick>");
    host.page("/quick", "<a href=/quick-2>");
    host.page("/quick-2", "<a href=/short>");
    host.page("/short", "<a href=/deep>");
    host.page("/deep", "<a href=/too-deep><a href=/>");
    let slow = host.gate();
    host.reply("/slow", Reply::Waits(slow.clone(), "<a href=/short>"));
    let run = net.start([&host.url("/"), "--max-depth=3"]);
    host.wait_for("GET /quick");
    slow.add_permits(1);

    let output = run.output();

    assert_eq!(stdout(&output), "");
    assert!(
        stderr(&output).contains("1 links were not followed because of --max-depth"),
        "{}",
        stderr(&output)
    );
    let asked = host.asked();
    assert!(asked.contains(&"GET /deep".to_owned()), "{asked:?}");
    assert!(!asked.contains(&"GET /too-deep".to_owned()), "{asked:?}");
    assert_eq!(asked.len(), 6);
}

#[test]
fn no_more_addresses_are_visited_than_asked_for() {
    let net = Net::new();
    let host = net.host();
    let links: String = (0..30).map(|n| format!("<a href=/{n}>")).collect();
    host.page("/", &links);

    let output = net.crawl([&host.url("/"), "--max-pages=11"]);

    assert_eq!(host.asked().len(), 11);
    assert!(
        stderr(&output).contains("20 links were not followed because of --max-pages"),
        "{}",
        stderr(&output)
    );
    assert_eq!(stdout(&output).lines().count(), 10);
}

// ----- other hosts -----

#[test]
fn other_hosts_are_left_alone() {
    let net = Net::new();
    let (host, other) = (net.host(), net.host());
    host.page("/", &format!("<a href={}><a href=/away>", other.url("/")));
    host.redirect("/away", &other.url("/"));

    let output = net.crawl([&host.url("/")]);

    assert_eq!(stdout(&output), "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(other.asked(), [""; 0]);
}

#[test]
fn other_hosts_are_checked_and_not_followed_if_asked_for() {
    let net = Net::new();
    let (host, other) = (net.host(), net.host());
    let urls = ["/good", "/missing", "/moved", "/no-head"].map(|path| other.url(path));
    host.page("/", &urls.map(|url| format!("<a href={url}>")).concat());
    other.page("/good", "<a href=/not-followed>");
    other.redirect("/moved", "/good");
    other.reply("/no-head", Reply::NoHead);

    let output = net.crawl([&host.url("/"), "--external"]);

    let (page, link) = (host.url("/"), other.url("/missing"));
    assert_eq!(
        stdout(&output),
        format!("{page} -> {link}: 404 Not Found\n")
    );
    let mut asked = other.asked();
    asked.sort();
    assert_eq!(
        asked,
        [
            "GET /no-head",
            "HEAD /good",
            "HEAD /missing",
            "HEAD /moved",
            "HEAD /no-head"
        ]
    );
}

#[test]
#[cfg(not(feature = "https"))]
fn https_is_named_as_what_it_needs() {
    let net = Net::new();
    let host = net.host();
    host.page("/", "<a href=/secure><a href=https://elsewhere.example/>");
    let secure = host.url("/secure-2").replace("http:", "https:");
    host.redirect("/secure", &secure);

    let output = net.crawl([&host.url("/"), "--external"]);

    let (page, link) = (host.url("/"), host.url("/secure"));
    let needs = "https needs a build with `--features https`";
    assert_eq!(
        stdout(&output),
        format!(
            "{page} -> {link}: skipped: redirects to {secure}: {needs}\n\
             {page} -> https://elsewhere.example/: skipped: {needs}\n"
        )
    );
    assert_eq!(output.status.code(), Some(0));

    let output = net.crawl(["https://elsewhere.example/"]);
    assert!(stderr(&output).contains(needs), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(2));
}

// ----- wrong use -----

#[test]
fn wrong_options_are_refused_with_a_sentence() {
    let net = Net::new();
    for (arguments, sentence) in [
        (vec![], "where to start"),
        (vec!["example.org"], "begins with http:// or https://"),
        (vec!["ftp://example.org/"], "only http and https"),
        (vec!["http://a/", "--jobs", "0"], "--jobs must be 1 to"),
        (vec!["http://a/", "--delay", "-1"], "--delay must be 0 to"),
        (vec!["http://a/", "--delay", "NaN"], "--delay must be 0 to"),
        (vec!["http://a/", "--no-such-option"], "--no-such-option"),
    ] {
        let output = net.run(&arguments).output();
        let said = stderr(&output);
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn help_names_every_option() {
    let output = Net::new().crawl(["--help"]);

    for option in [
        "--jobs",
        "--per-host",
        "--delay",
        "--timeout",
        "--retries",
        "--pause",
        "--max-depth",
        "--max-pages",
        "--max-body",
        "--external",
        "--json",
        "--report",
        "--help",
    ] {
        assert!(stdout(&output).contains(option), "{option}");
    }
    assert_eq!(output.status.code(), Some(0));
}

// ----- Ctrl-C -----

#[test]
fn the_first_signal_finishes_requests_under_way_and_says_what_was_not_visited() {
    for signal in [Signal::INT, Signal::TERM] {
        let net = Net::new();
        let host = net.host();
        host.page(
            "/",
            "<a href=/slow><a href=/missing><a href=/next><a href=/last>",
        );
        let slow = host.gate();
        host.reply("/slow", Reply::Waits(slow.clone(), "<a href=/found-late>"));
        let mut run = net.start([&host.url("/"), "--per-host=1"]);

        host.wait_for("GET /slow");
        run.send(signal);
        assert!(run.line_of_stderr().contains("finishing"));
        slow.add_permits(1);

        let output = run.output();
        let (page, late) = (host.url("/"), host.url("/slow"));
        let not_visited = ["/last", "/missing", "/next"].map(|path| {
            let link = host.url(path);
            format!("{page} -> {link}: not visited\n")
        });
        let found_late = format!("{late} -> {}: not visited\n", host.url("/found-late"));
        assert_eq!(stdout(&output), not_visited.concat() + &found_late);
        assert!(
            stderr(&output).contains("2 addresses visited"),
            "{}",
            stderr(&output)
        );
        assert_eq!(host.asked(), ["GET /", "GET /slow"]);
        assert_eq!(output.status.code(), Some(130));
    }
}

#[test]
fn the_second_signal_leaves_even_a_page_that_hangs() {
    let net = Net::new();
    let host = net.host();
    host.page("/", "<a href=/hangs>");
    let _never = host.waits("/hangs");
    let mut run = net.start([&host.url("/")]);

    host.wait_for("GET /hangs");
    run.send(Signal::INT);
    assert!(run.line_of_stderr().contains("finishing"));
    run.send(Signal::INT);

    let output = run.output();
    let (page, link) = (host.url("/"), host.url("/hangs"));
    assert_eq!(stdout(&output), format!("{page} -> {link}: not visited\n"));
    assert_eq!(output.status.code(), Some(130));
}

// ----- sites -----

/// What there is to be crawled.
struct Net(Runtime);

/// A server on a port of its own, which is a host to the program.
#[derive(Clone)]
struct Host {
    address: SocketAddr,
    site: Arc<Site>,
}

#[derive(Default)]
struct Site {
    replies: Mutex<HashMap<String, Reply>>,
    asked: Mutex<Vec<String>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

#[derive(Clone)]
enum Reply {
    Html(String),
    Other(&'static str, &'static [u8]),
    Redirect(String),
    /// 500, so many times.
    Fails(Arc<AtomicUsize>, &'static str),
    /// HTML when there is a permit, which it uses up.
    Waits(Arc<Semaphore>, &'static str),
    /// An empty page when there is a permit, which it leaves.
    WaitsFor(Arc<Semaphore>),
    /// An empty page; when all 50 of them have been asked for, the permit is there.
    Opens(Arc<Semaphore>),
    Meets(Arc<Barrier>),
    NoHead,
}

impl Net {
    fn new() -> Self {
        let mut runtime = Builder::new_multi_thread();
        Net(runtime.worker_threads(2).enable_all().build().unwrap())
    }

    fn host(&self) -> Host {
        let site = Arc::<Site>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&site));
        let address = self.0.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move { axum::serve(listener, router).await });
            address
        });
        Host { address, site }
    }

    /// An address that nobody listens to, and nobody else can have.
    fn dead(&self) -> SocketAddr {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        self.0.spawn(async move {
            std::future::pending::<()>().await;
            drop(socket);
        });
        address
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crawl"));
        for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        Run::new(command.args(arguments))
    }

    fn start<const N: usize>(&self, arguments: [&str; N]) -> Run {
        self.run(&arguments)
    }

    fn crawl<const N: usize>(&self, arguments: [&str; N]) -> Output {
        self.start(arguments).output()
    }
}

impl Host {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn reply(&self, path: &str, reply: Reply) {
        let mut replies = self.site.replies.lock().unwrap();
        replies.insert(path.to_owned(), reply);
    }

    fn page(&self, path: &str, html: &str) {
        self.reply(path, Reply::Html(html.to_owned()));
    }

    fn other(&self, path: &str, kind: &'static str, body: &'static [u8]) {
        self.reply(path, Reply::Other(kind, body));
    }

    fn redirect(&self, path: &str, to: &str) {
        self.reply(path, Reply::Redirect(to.to_owned()));
    }

    fn fails(&self, path: &str, times: usize, then: &'static str) {
        self.reply(path, Reply::Fails(Arc::new(times.into()), then));
    }

    fn gate(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(0))
    }

    fn waits(&self, path: &str) -> Arc<Semaphore> {
        let gate = self.gate();
        self.reply(path, Reply::Waits(gate.clone(), ""));
        gate
    }

    fn waits_for(&self, path: &str, gate: &Arc<Semaphore>) {
        self.reply(path, Reply::WaitsFor(gate.clone()));
    }

    fn opens(&self, path: &str, gate: &Arc<Semaphore>) {
        self.reply(path, Reply::Opens(gate.clone()));
    }

    fn meets(&self, path: &str, barrier: &Arc<Barrier>) {
        self.reply(path, Reply::Meets(barrier.clone()));
    }

    /// All requests so far, as they came.
    fn asked(&self) -> Vec<String> {
        self.site.asked.lock().unwrap().clone()
    }

    /// The most requests at once.
    fn most(&self) -> usize {
        self.site.most.load(SeqCst)
    }

    fn wait_for(&self, request: &str) {
        let (host, request) = (self.clone(), request.to_owned());
        within_a_minute("a request", move || {
            while !host.asked().contains(&request) {
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
}

async fn answer(
    State(site): State<Arc<Site>>,
    method: Method,
    uri: Uri,
) -> Result<Response, Infallible> {
    let inside = site.now.fetch_add(1, SeqCst) + 1;
    site.most.fetch_max(inside, SeqCst);
    let request = format!("{method} {}", uri.path());
    site.asked.lock().unwrap().push(request);
    for _ in 0..10 {
        yield_now().await; // gives others time to be there, too
    }
    let reply = site.replies.lock().unwrap().get(uri.path()).cloned();
    let html = |body: &str| response(StatusCode::OK, "text/html", body.to_owned());
    let response = match reply {
        None => response(StatusCode::NOT_FOUND, "text/html", "<a href=/of-404>"),
        Some(Reply::Html(body)) => html(&body),
        Some(Reply::Other(kind, body)) => response(StatusCode::OK, kind, body),
        Some(Reply::Redirect(to)) => {
            let mut response = response(StatusCode::FOUND, "text/html", "");
            let to = to.parse().unwrap();
            response.headers_mut().insert(header::LOCATION, to);
            response
        }
        Some(Reply::Fails(times, then)) => {
            let left = times.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
            match left {
                Ok(_) => response(StatusCode::INTERNAL_SERVER_ERROR, "text/html", ""),
                Err(_) => html(then),
            }
        }
        Some(Reply::Waits(gate, body)) => {
            gate.acquire().await.unwrap().forget();
            html(body)
        }
        Some(Reply::WaitsFor(gate)) => {
            let _permit = gate.acquire().await.unwrap();
            html("")
        }
        Some(Reply::Opens(gate)) => {
            if site.asked.lock().unwrap().len() == 51 {
                gate.add_permits(1);
            }
            html("")
        }
        Some(Reply::Meets(barrier)) => {
            barrier.wait().await;
            html("")
        }
        Some(Reply::NoHead) if method == Method::HEAD => {
            response(StatusCode::METHOD_NOT_ALLOWED, "text/html", "")
        }
        Some(Reply::NoHead) => html(""),
    };
    site.now.fetch_sub(1, SeqCst);
    Ok(response)
}

fn response(status: StatusCode, kind: &str, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .body(body.into())
        .unwrap()
}

// ----- tools -----

/// The page of a line, if it has one.
fn page_of(line: &str) -> Option<&str> {
    line.split_once(" -> ").map(|(page, _)| page)
}
