//! The program `scheduler`, run as a user runs it.
//!
//! Nothing here depends on how fast it is: what has to wait is due in 2100, and is flushed, cancelled or
//! left. The one that measures:
//!
//! ```text
//! cargo test --release -p examples --test scheduler -- --ignored --nocapture
//! ```

#![cfg(unix)]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode, routing::post};
use chrono::{DateTime, SecondsFormat};
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, time::sleep};

/// Only a failing test ever waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

// ----- order and time -----

#[test]
fn the_soonest_first_and_ties_in_the_order_of_the_input() {
    let home = Home::new();
    let mut run = home.start([]);
    let days = [3, 1, 2, 1, 3, 1];
    for (n, day) in days.iter().enumerate() {
        run.line(&json!({"id": format!("{day}-{n}"), "due": format!("2100-01-0{day}T00:00:00Z")}));
    }
    run.line(&json!({"id": "now", "due": 0}));
    assert_eq!(run.next_id(), "now"); // so all before it are in the database
    assert!(run.end(Signal::INT).1.contains("6 left in the database"));

    let output = home.run(["--flush"], "");
    assert_eq!(output.ids(), ["1-1", "1-3", "1-5", "2-2", "3-0", "3-4"]);
    assert!(
        output.stderr.contains("6 delivered, late by"),
        "{}",
        output.stderr
    );
    assert_eq!(output.status, 0);
    assert_eq!(home.run(["--flush"], "").stdout, "");
}

#[test]
fn a_message_is_delivered_as_it_came_and_not_before_its_time() {
    let home = Home::new();
    let due = now() + 300;
    let (text, body) = (rfc3339(due), "{\"a\":[1.000000000000000000001,\"\\n\"]}");
    let mut run = home.start([]);
    run.text(&format!(
        "{{\"body\":{body},\"due\":\"{text}\",\"id\":\"x\"}}\n"
    ));
    run.close();

    let line = run.next_line();
    assert!(now() >= due, "early");
    assert_eq!(
        line,
        format!("{{\"id\":\"x\",\"due\":\"{text}\",\"body\":{body}}}")
    );
    let output = run.output();
    assert!(
        output.stderr.contains("1 delivered, late by"),
        "{}",
        output.stderr
    );
    assert_eq!((output.stdout.as_str(), output.status), ("", 0));
}

#[test]
fn what_is_due_already_leaves_at_once_and_what_is_far_away_is_fine() {
    let home = Home::new();
    let mut run = home.start([]);
    run.line(&json!({"id": "far", "due": "9999-12-31T23:59:59.999Z"}));
    run.line(&json!({"id": "years", "due": 100_000_000_000_000_i64}));
    run.line(&json!({"id": "long ago", "due": "1492-10-12T06:00:00+02:00"}));
    run.line(&json!({"id": "before", "due": i64::MIN}));
    assert_eq!(
        (run.next_id(), run.next_id()),
        ("long ago".into(), "before".into())
    );
    assert!(run.end(Signal::INT).1.contains("2 delivered"));
}

#[test]
fn any_number_goes_through_a_few_places() {
    let home = Home::new();
    let lines: String = (0..300)
        .map(|n| format!("{{\"id\":\"{n}\",\"due\":0}}\n"))
        .collect();

    let output = home.run(["--most", "2"], &lines);

    let expected: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    assert_eq!(output.ids(), expected);
    assert_eq!(output.status, 0);
}

// ----- changes -----

#[test]
fn lines_cancel_and_replace() {
    let home = Home::new();
    let mut run = home.start([]);
    for (id, day) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        run.line(&json!({"id": id, "due": format!("2100-01-0{day}T00:00:00Z"), "body": 1}));
    }
    run.line(&json!({"id": "b", "cancel": true}));
    run.line(&json!({"id": "d", "due": "2099-01-01T00:00:00Z", "body": 2}));
    run.line(&json!({"id": "nobody", "cancel": true}));
    assert_eq!(
        run.line_of_stderr(),
        "scheduler: line 7: \"nobody\" is not pending"
    );
    run.end(Signal::TERM);

    let output = home.run(["--flush"], "");
    assert_eq!(output.ids(), ["d", "a", "c"]);
    assert!(output.stdout.contains("\"body\":2}"), "{}", output.stdout);
    assert_eq!(output.stdout.matches("\"body\":1}").count(), 2);
}

#[tokio::test]
async fn requests_add_cancel_replace_count_and_flush() {
    let home = Home::new();
    let mut run = home.listen([]);
    let http = run.http();
    for (id, year) in [("a", 2100), ("b", 2101), ("c/ü", 2102), ("d", 2103)] {
        let due = format!("{year}-01-01T00:00:00.000Z");
        let answer = http.add(&json!({"id": id, "due": due})).await;
        assert_eq!(answer, (202, json!({"due": due})));
    }
    let replaced = json!({"id": "d", "due": "2099-01-01T00:00:00Z"});
    assert_eq!(http.add(&replaced).await.0, 202);
    assert_eq!(http.cancel("b").await, (200, json!({"cancelled": true})));
    assert_eq!(http.cancel("b").await.0, 404);
    assert_eq!(http.cancel("c%2F%C3%BC").await.0, 200);
    assert_eq!(http.pending().await, 2);

    // it is in the database before it is on its way to the schedule
    let mut flushed = 0;
    while http.pending().await > 0 {
        flushed += http.flush().await;
        sleep(Duration::from_millis(2)).await;
    }
    assert!(flushed >= 2, "{flushed}");
    assert_eq!(
        BTreeSet::from([run.next_id(), run.next_id()]),
        set(["a", "d"])
    );
    assert_eq!(run.end(Signal::TERM).0, 0);
}

#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong() {
    let home = Home::new();
    let run = home.listen(["--longest", "200"]);
    let http = run.http();
    for (body, sentence) in WRONG {
        let (status, answer) = http.post("/messages", (*body).to_owned()).await;
        let said = answer["error"].as_str().unwrap();
        assert!(said.contains(sentence), "{body}: {said}");
        assert_eq!(status, 400, "{body}");
    }
    let long = json!({"id": "a", "due": 0, "body": "x".repeat(200)});
    let request = http.client.post(format!("{}/messages", http.address));
    let answer = request.body(long.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(http.pending().await, 0);
}

#[tokio::test]
async fn so_many_may_be_pending_and_no_more() {
    let home = Home::new();
    let run = home.listen(["--most", "2"]);
    let http = run.http();
    let message = |id| json!({"id": id, "due": "2100-01-01T00:00:00Z"});
    assert_eq!(http.add(&message("a")).await.0, 202);
    assert_eq!(http.add(&message("b")).await.0, 202);

    let refused = http.add(&message("c")).await;
    assert_eq!(
        refused,
        (503, json!({"error": "too many messages are pending"}))
    );
    assert_eq!(http.add(&message("b")).await.0, 202); // it has its place
    assert_eq!(http.cancel("a").await.0, 200);
    assert_eq!(http.add(&message("c")).await.0, 202);
    assert_eq!(run.end(Signal::TERM).0, 0);

    // those that are restored have theirs
    let run = home.listen(["--most", "2"]);
    let http = run.http();
    assert_eq!(http.add(&message("d")).await.0, 503);
    assert_eq!(http.cancel("b").await.0, 200);
    assert_eq!(http.add(&message("d")).await.0, 202);
}

// ----- wrong lines -----

const WRONG: &[(&str, &str)] = &[
    ("{\"id\": \"a\", due}", "line 1 column 13"),
    ("7", "invalid type"),
    ("{\"due\": 0}", "no `id`"),
    ("{\"id\": null, \"due\": 0}", "no `id`"),
    ("{\"id\": \"\", \"due\": 0}", "`id` is empty"),
    ("{\"id\": 7, \"due\": 0}", "invalid type: integer `7`"),
    ("{\"id\": \"a\"}", "no `due`"),
    ("{\"id\": \"a\", \"due\": \"soon\"}", "`due`: \"soon\": "),
    (
        "{\"id\": \"a\", \"due\": \"2100-02-30T00:00:00Z\"}",
        "out of range",
    ),
    ("{\"id\": \"a\", \"due\": 1.5}", "neither a time"),
    (
        "{\"id\": \"a\", \"due\": 9223372036854775807}",
        "after the year 9999",
    ),
];

#[test]
fn wrong_lines_are_named_and_the_rest_goes_on() {
    let home = Home::new();
    let mut input = String::new();
    for (line, _) in WRONG {
        input += &format!("{line}\n{{\"id\": \"good\", \"due\": 0}}\n");
    }
    input += &format!(
        "{}\n\n{{\"id\": \"last\", \"due\": 0}}",
        "x".repeat(100_000)
    );

    let output = home.run([], &input);

    for (n, (line, sentence)) in WRONG.iter().enumerate() {
        let start = format!("scheduler: line {}: ", 2 * n + 1);
        let said = output.stderr.lines().find(|said| said.starts_with(&start));
        assert!(
            said.is_some_and(|said| said.contains(sentence)),
            "{line}: {said:?}"
        );
    }
    assert!(
        output.stderr.contains("line 23: longer than 16384 bytes"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("line 24: EOF"), "{}", output.stderr);
    assert_eq!(output.ids().last().unwrap(), "last");
    assert_eq!(output.status, 1);
}

// ----- restarts -----

#[tokio::test]
async fn kill_9_loses_nothing() {
    let home = Home::new();
    let mut run = home.listen([]);
    let http = run.http();
    for n in 0..100 {
        // every other one is still there when it is killed
        let due = if n % 2 == 0 {
            json!(3 * n)
        } else {
            json!("2100-01-01T00:00:00Z")
        };
        let message = json!({"id": n.to_string(), "due": due});
        assert_eq!(http.add(&message).await.0, 202);
    }
    let mut delivered: BTreeSet<_> = (0..20).map(|_| run.next_id()).collect();
    let rest = run.kill();
    delivered.extend(
        rest.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(id_of),
    );

    let output = home.run(["--flush"], "");
    assert!(output.ids().len() >= 50);
    delivered.extend(output.ids());
    assert_eq!(delivered, (0..100).map(|n| n.to_string()).collect());
    assert_eq!(output.status, 0);
    assert_eq!(home.run(["--flush"], "").stdout, "");
}

#[test]
fn at_the_end_of_its_input_it_waits_for_what_is_pending() {
    let home = Home::new();
    let mut run = home.start([]);
    run.line(&json!({"id": "later", "due": 300}));
    run.line(&json!({"id": "now", "due": 0}));
    assert_eq!(run.next_id(), "now");
    run.kill();

    assert_eq!(home.run([], "").ids().last().unwrap(), "later");
}

#[tokio::test]
async fn cancelled_and_replaced_stay_so_after_kill_9() {
    let home = Home::new();
    let run = home.listen([]);
    let http = run.http();
    for (id, year) in [("a", 2100), ("b", 2101), ("c", 2102), ("c", 2099)] {
        let due = format!("{year}-01-01T00:00:00Z");
        assert_eq!(http.add(&json!({"id": id, "due": due})).await.0, 202);
    }
    assert_eq!(http.cancel("a").await.0, 200);
    run.kill();

    assert_eq!(home.run(["--flush"], "").ids(), ["c", "b"]);
}

#[test]
fn a_database_is_for_one_program_at_a_time() {
    let home = Home::new();
    let mut run = home.start([]);
    run.line(&json!({"id": "a", "due": 0}));
    run.next_id();

    let output = home.run([], "");

    assert!(
        output.stderr.contains("another scheduler uses it"),
        "{}",
        output.stderr
    );
    assert_eq!(output.status, 1);
}

#[test]
fn what_is_no_database_is_said() {
    let home = Home::new();
    fs::write(
        home.0.path().join("db"),
        "not a database, but long enough to be looked at".repeat(9),
    )
    .unwrap();
    let output = home.run([], "");
    assert!(
        output.stderr.contains("/db: file is not a database"),
        "{}",
        output.stderr
    );
    assert_eq!(output.status, 1);
}

// ----- the end -----

#[test]
fn when_nobody_reads_stdout_messages_stay() {
    let home = Home::new();
    let mut run = home.start([]);
    drop(run.stdout.take());
    run.line(&json!({"id": "a", "due": 0}));

    let output = run.output();
    assert!(
        output.stderr.contains("stdout cannot be written"),
        "{}",
        output.stderr
    );
    assert_eq!(output.status, 1);
    assert_eq!(home.run(["--flush"], "").ids(), ["a"]);
}

#[test]
fn the_second_signal_leaves_even_an_output_that_hangs() {
    let home = Home::new();
    let mut run = home.start([]);
    for n in 0..30 {
        run.line(&json!({"id": n.to_string(), "due": 0, "body": "x".repeat(10_000)}));
    }
    run.line(&json!({"id": "x", "cancel": true})); // nobody reads what is printed
    assert!(run.line_of_stderr().contains("line 31"));
    run.signal(Signal::TERM);
    assert!(run.line_of_stderr().contains("draining"));
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), 130);
}

// ----- delivery to a URL -----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_is_asked_again_and_what_it_refuses_is_kept() {
    let (asked, had) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let (asks, has) = (Arc::clone(&asked), Arc::clone(&had));
    let take = move |body: String| {
        let (asks, has) = (Arc::clone(&asks), Arc::clone(&has));
        async move {
            if body.contains("refused") {
                StatusCode::BAD_REQUEST
            } else if asks.fetch_add(1, SeqCst) == 0 {
                StatusCode::BAD_GATEWAY // for a moment
            } else {
                has.lock().unwrap().push(body);
                StatusCode::OK
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let server = axum::serve(listener, Router::new().route("/in", post(take)));
    tokio::spawn(server.into_future());

    let home = Home::new();
    let lines = "{\"id\":\"a\",\"due\":0,\"body\":[1]}\n{\"id\":\"refused\",\"due\":0}\n";
    let output = home.run(["--to", &url], lines);

    let said = &output.stderr;
    assert!(
        said.contains("\"refused\", kept until the next start: "),
        "{said}"
    );
    assert!(said.contains("400 Bad Request"), "{said}");
    assert!(
        said.contains("1 delivered") && said.contains("1 left in the database"),
        "{said}"
    );
    assert_eq!(output.status, 1);
    assert_eq!(asked.load(SeqCst), 2);
    let had = had.lock().unwrap().join("\n");
    assert!(
        had.starts_with("{\"id\":\"a\",") && had.ends_with("\"body\":[1]}"),
        "{had}"
    );
    assert_eq!(home.run(["--flush"], "").ids(), ["refused"]);
}

// ----- a hundred thousand -----

#[test]
#[ignore = "it measures: in release"]
fn a_hundred_thousand_in_five_seconds() {
    const MESSAGES: u64 = 100_000;
    let home = Home::new();
    let mut run = home.start([]);
    let start = Instant::now();
    let first = now() + 5000; // by then all are saved
    let mut input = String::new();
    let mut lot = 1_u64;
    for n in 0..MESSAGES {
        lot = lot
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(n | 1);
        let due = first + i64::try_from((lot >> 33) % 5000).unwrap();
        let body = format!("message {n}");
        input += &json!({"id": n.to_string(), "due": rfc3339(due), "body": body}).to_string();
        input.push('\n');
    }
    let mut stdin = run.child.stdin.take().unwrap();
    let feeding = thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());

    let output = run.output();

    feeding.join().unwrap();
    let ids = output.ids();
    assert_eq!(ids.len() as u64, MESSAGES);
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len() as u64,
        MESSAGES,
        "twice"
    );
    let dues: Vec<Value> = output
        .messages()
        .map(|message| message["due"].clone())
        .collect();
    assert!(
        dues.is_sorted_by_key(|due| due.as_str().map(str::to_owned)),
        "out of order"
    );
    println!("{} in {:.1?}", output.stderr.trim_end(), start.elapsed());
    assert_eq!(output.status, 0);
}

// ----- wrong use -----

#[test]
fn wrong_options_are_refused_with_a_sentence() {
    let home = Home::new();
    for (arguments, sentence) in [
        (["--most", "0"], "--most must be at least 1"),
        (["--longest", "0"], "--longest must be at least 1"),
        (["--to", "nowhere"], "relative URL"),
        (
            ["--flush", "--listen=127.0.0.1:0"],
            "--flush goes without --listen",
        ),
        (["--no-such-option", "x"], "--no-such-option"),
    ] {
        let output = home.run(arguments, "");
        assert!(
            output.stderr.contains(sentence),
            "{arguments:?}: {}",
            output.stderr
        );
        assert_eq!(output.status, 2, "{arguments:?}");
    }
}

#[test]
fn help_names_every_option() {
    let help = Home::new().run(["--help"], "");
    for option in [
        "--db",
        "--listen",
        "--to",
        "--flush",
        "--most",
        "--longest",
        "--report",
        "--help",
    ] {
        assert!(help.stdout.contains(option), "{option}");
    }
    assert_eq!(help.status, 0);
}

// ----- tools -----

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn rfc3339(millis: i64) -> String {
    let time = DateTime::from_timestamp_millis(millis).unwrap();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn set<const N: usize>(ids: [&str; N]) -> BTreeSet<String> {
    ids.map(str::to_owned).into()
}

fn id_of(line: &str) -> String {
    let message: Value = serde_json::from_str(line).expect("a whole line");
    message["id"].as_str().unwrap().to_owned()
}

/// A database for one test.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Home(TempDir::new().unwrap())
    }

    fn start<const N: usize>(&self, arguments: [&str; N]) -> Run {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scheduler"))
            .arg("--db")
            .arg(self.0.path().join("db"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Run {
            stdout: child.stdout.take().map(BufReader::new),
            stderr: child.stderr.take().map(BufReader::new),
            address: String::new(),
            child,
        }
    }

    fn listen<const N: usize>(&self, arguments: [&str; N]) -> Run {
        let mut all = vec!["--listen", "127.0.0.1:0"];
        all.extend(arguments);
        let mut run = match all[..] {
            [a, b] => self.start([a, b]),
            [a, b, c, d] => self.start([a, b, c, d]),
            _ => panic!("one option more"),
        };
        let line = run.line_of_stderr();
        run.address = line
            .strip_prefix("scheduler: listening on ")
            .expect(&line)
            .to_owned();
        run
    }

    /// To the end of this input, and of what is pending then.
    fn run<const N: usize>(&self, arguments: [&str; N], input: &str) -> Output {
        let mut run = self.start(arguments);
        let (mut stdin, input) = (run.child.stdin.take().unwrap(), input.to_owned());
        // it may refuse to read
        let feeding = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = run.output();
        feeding.join().unwrap();
        output
    }
}

struct Output {
    stdout: String,
    stderr: String,
    status: i32,
}

impl Output {
    fn messages(&self) -> impl Iterator<Item = Value> {
        let lines = self.stdout.lines();
        lines.map(|line| serde_json::from_str(line).expect("a whole line"))
    }

    fn ids(&self) -> Vec<String> {
        self.stdout.lines().map(id_of).collect()
    }
}

/// The program while it runs. Killed when it is dropped.
struct Run {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Option<BufReader<ChildStderr>>,
    address: String,
}

impl Run {
    fn text(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    fn line(&mut self, line: &Value) {
        self.text(&format!("{line}\n"));
    }

    fn close(&mut self) {
        drop(self.child.stdin.take());
    }

    fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn next_id(&mut self) -> String {
        id_of(&self.next_line())
    }

    fn line_of_stderr(&mut self) -> String {
        let mut line = String::new();
        self.stderr.as_mut().unwrap().read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn http(&self) -> Http {
        Http {
            client: Client::builder().timeout(PATIENCE).build().unwrap(),
            address: self.address.clone(),
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it had printed, and nobody has read.
    fn kill(mut self) -> String {
        self.child.kill().unwrap(); // 9
        self.child.wait().unwrap();
        let mut rest = String::new();
        self.stdout
            .take()
            .unwrap()
            .read_to_string(&mut rest)
            .unwrap();
        rest
    }

    /// Its status, and what it has said on stderr.
    fn end(self, signal: Signal) -> (i32, String) {
        self.signal(signal);
        let output = self.output();
        (output.status, output.stderr)
    }

    fn wait(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }

    /// Waits for the end; gives what has not been read yet.
    fn output(mut self) -> Output {
        let rest = |from: Option<&mut dyn Read>| {
            let mut text = String::new();
            from.map(|from| from.read_to_string(&mut text).unwrap());
            text
        };
        let mut errors = self.stderr.take().unwrap();
        let stderr = thread::spawn(move || rest(Some(&mut errors)));
        let stdout = rest(self.stdout.as_mut().map(|stdout| stdout as &mut dyn Read));
        Output {
            stdout,
            stderr: stderr.join().unwrap(),
            status: self.child.wait().unwrap().code().unwrap(),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Http {
    client: Client,
    address: String,
}

impl Http {
    async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
        )
    }

    async fn post(&self, path: &str, body: String) -> (u16, Value) {
        Http::answer(
            self.client
                .post(format!("{}{path}", self.address))
                .body(body),
        )
        .await
    }

    async fn add(&self, message: &Value) -> (u16, Value) {
        self.post("/messages", message.to_string()).await
    }

    async fn cancel(&self, id: &str) -> (u16, Value) {
        Http::answer(
            self.client
                .delete(format!("{}/messages/{id}", self.address)),
        )
        .await
    }

    async fn pending(&self) -> u64 {
        let (_, answer) = Http::answer(self.client.get(format!("{}/messages", self.address))).await;
        answer["pending"].as_u64().unwrap()
    }

    async fn flush(&self) -> u64 {
        let (_, answer) = self.post("/flush", String::new()).await;
        answer["flushed"].as_u64().unwrap()
    }
}
