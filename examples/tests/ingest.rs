//! The program `ingest`, run as a user runs it, over HTTP on a free port.
//!
//! Where a test needs a full queue or a drain that lasts, it sends half a request: that keeps its place
//! until the other half comes. The long ones, with their figures:
//!
//! ```text
//! cargo test --release -p examples --test ingest -- --ignored --nocapture --test-threads 1
//! ```

#![cfg(unix)]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet, time::sleep};

/// Only a failing test ever waits so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// A batch of such an age waits for a drain.
const FOR_EVER: &str = "600000";

// ----- what is stored -----

#[tokio::test]
async fn what_was_accepted_is_stored_line_by_line_as_it_came() {
    let store = Folder::new();
    let server = store.serve([]);

    let body = "{\"payloads\": [{\"id\": \"a\", \"n\": 1.000000000000000000001},\n\
                {\"n\":\n[1,\r\n2], \"id\": \"b\", \"text\": \"\\n\"}]}";
    let answer = server.post(body).await;

    assert_eq!(answer, (202, json!({"accepted": 2, "known": 0})));
    let mut objects = store.objects();
    assert_eq!(
        objects.pop().unwrap(),
        "{\"id\": \"a\", \"n\": 1.000000000000000000001}\n\
         {\"n\": [1,  2], \"id\": \"b\", \"text\": \"\\n\"}\n"
    );
    assert!(objects.is_empty());
    assert_eq!(server.end(), (0, String::new()));
}

#[tokio::test]
async fn requests_that_come_together_are_one_object() {
    let store = Folder::new();
    let server = store.serve(["--age", FOR_EVER, "--batch", "3"]);

    let (a, b) = tokio::join!(server.send(["a", "b"]), server.send(["c"]));

    assert_eq!((a.0, b.0), (202, 202));
    assert_eq!(store.objects().len(), 1);
    assert_eq!(store.ids(), once(["a", "b", "c"]));
}

#[tokio::test]
async fn what_is_large_fills_a_batch_sooner() {
    let store = Folder::new();
    let server = store.serve(["--age", FOR_EVER, "--batch", "2"]);

    let large = json!({"payloads": [{"id": "a", "x": "x".repeat(9000)}]});

    assert_eq!(server.post(large.to_string()).await.0, 202);
}

#[tokio::test]
async fn an_id_that_is_stored_is_not_stored_again() {
    let store = Folder::new();
    let server = store.serve([]);
    assert_eq!(server.send(["a", "b"]).await.0, 202);

    let again = server.send(["b", "c"]).await;
    assert_eq!(again, (202, json!({"accepted": 2, "known": 1})));
    let again = server.send(["b", "a"]).await;
    assert_eq!(again, (202, json!({"accepted": 2, "known": 2})));
    server.kill();

    // nor after a restart
    let server = store.serve([]);
    let again = server.send(["c", "d"]).await;
    assert_eq!(again, (202, json!({"accepted": 2, "known": 1})));
    assert_eq!(store.ids(), once(["a", "b", "c", "d"]));
}

#[tokio::test]
async fn so_many_ids_are_remembered_and_no_more() {
    let store = Folder::new();
    let server = store.serve(["--remember", "1"]);
    for id in ["a", "b", "b", "a"] {
        assert_eq!(server.send([id]).await.0, 202);
    }
    assert_eq!(store.ids(), [("a".into(), 2), ("b".into(), 1)].into());
}

#[tokio::test]
async fn an_id_that_is_being_stored_has_to_wait() {
    let store = Folder::new();
    let server = store.serve(["--age", FOR_EVER]);
    let first = server.client().post(["a"]);
    let first = tokio::spawn(first);
    server.metric("/requests/taken", 1).await;

    let second = server.send(["b", "a"]).await;

    assert_eq!(second.0, 503);
    assert!(second.1["error"].as_str().unwrap().contains("\"a\""));
    assert_eq!(server.end().0, 0);
    assert_eq!(first.await.unwrap().0, 202);
    assert_eq!(store.ids(), once(["a"]));
}

// ----- what is refused -----

#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong_and_nothing_is_stored() {
    let store = Folder::new();
    let server = store.serve(["--body-limit", "1000"]);
    let long = format!("{{\"payloads\": [{{\"id\": \"{}\"}}]}}", "x".repeat(300));
    for (body, sentence) in [
        ("", "line 1 column 0"),
        ("{\"payloads\": [\n{\"id\": \"a\"}, {]}", "line 2 column 15"),
        ("{\"payloads\": [{\"id\": \"a\"}]} x", "line 1 column 29"),
        ("null", "not a collection: null"),
        ("[]", "not a collection"),
        ("7", "not a collection"),
        ("{}", "no `payloads`"),
        ("{\"payloads\": null}", "no `payloads`, or null"),
        ("{\"payloads\": {}}", "not a collection"),
        ("{\"payloads\": []}", "`payloads` is empty"),
        (
            "{\"payloads\": [{\"id\": \"a\"}, null]}",
            "payload 1: not an object",
        ),
        (
            "{\"payloads\": [{\"id\": \"a\"}, {}]}",
            "payload 1: no `id`",
        ),
        (
            "{\"payloads\": [{\"id\": null}]}",
            "payload 0: no `id`, or null",
        ),
        (
            "{\"payloads\": [{\"id\": 7}]}",
            "payload 0: `id`: invalid type: integer",
        ),
        (
            "{\"payloads\": [{\"id\": \"\"}]}",
            "payload 0: `id` is empty",
        ),
        (
            "{\"payloads\": [{\"id\": \"a\", \"id\": \"b\"}]}",
            "duplicate field",
        ),
        (
            "{\"payloads\": [{\"id\": \"a\"}, {\"id\": \"a\"}]}",
            "two payloads have the id \"a\"",
        ),
        (&long, "longer than 256 bytes"),
    ] {
        let (status, answer) = server.post(body.to_owned()).await;
        let said = answer["error"].as_str().unwrap();
        assert!(said.contains(sentence), "{body}: {said}");
        assert_eq!(status, 400, "{body}");
    }
    assert_eq!(server.post(vec![0xff; 10]).await.0, 400);

    let (status, answer) = server.post(vec![b' '; 1001]).await;
    assert_eq!(
        (status, answer["error"].as_str()),
        (413, Some("the body is longer than 1000 bytes"))
    );
    let (status, _) = server.post(vec![b' '; 5_000_000]).await;
    assert_eq!(status, 413);

    assert_eq!(server.send(["a"]).await.0, 202);
    assert_eq!(store.ids(), once(["a"]));
    server.metric("/requests/wrong", 21).await;
}

#[tokio::test]
async fn a_full_queue_refuses_until_there_is_a_place() {
    let store = Folder::new();
    let server = store.serve(["--queue", "1"]);
    let half = Half::send(&server, "a");
    server.metric("/queue/taken", 1).await;

    let refused = server.client().raw(body(["b"])).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(refused.text().await.unwrap().contains("the queue is full"));

    assert_eq!(half.rest(), 202);
    assert_eq!(server.send(["b"]).await.0, 202);
    assert_eq!(store.ids(), once(["a", "b"]));
}

// ----- a store in trouble -----

#[tokio::test]
async fn while_the_store_is_gone_nothing_is_accepted() {
    let store = Folder::new();
    let mut server = store.serve([]);
    assert_eq!(server.send(["a"]).await.0, 202);

    let away = store.0.path().join("away");
    fs::rename(store.path(), &away).unwrap();
    fs::write(store.path(), "not a folder").unwrap();
    let (status, answer) = server.send(["b", "c"]).await;
    assert_eq!(
        (status, answer["error"].as_str()),
        (503, Some("it could not be stored"))
    );
    let said = server.line_of_stderr();
    assert!(
        said.contains(".ndjson: 2 payload(s) not stored: "),
        "{said}"
    );
    server.metric("/requests/failed", 1).await;

    fs::remove_file(store.path()).unwrap();
    fs::rename(&away, store.path()).unwrap();
    assert_eq!(server.send(["b", "c"]).await.0, 202);
    assert_eq!(store.ids(), once(["a", "b", "c"]));
    assert_eq!(server.end().0, 0);
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_accepted_and_no_part_is_left() {
    let store = Folder::new();
    // no file may be longer than 16 kB, or 8 in some shells
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"]);
    let server = store.serve_in(shell, []);

    let large = json!({"payloads": [{"id": "a", "x": "x".repeat(100_000)}]}).to_string();
    assert_eq!(server.post(large).await.0, 503);
    assert_eq!(fs::read_dir(store.path()).unwrap().count(), 0);

    assert_eq!(server.send(["a"]).await.0, 202);
    assert_eq!(store.ids(), once(["a"]));
}

// ----- the end -----

#[tokio::test]
async fn sigterm_stores_and_answers_what_was_taken() {
    let store = Folder::new();
    let server = store.serve(["--age", FOR_EVER, "--report"]);
    let waiting = ["a", "b", "c"].map(|id| tokio::spawn(server.client().post([id])));
    server.metric("/requests/taken", 3).await;
    assert!(store.objects().is_empty());

    let client = server.client();
    let (status, said) = server.end();

    assert_eq!(status, 0);
    assert!(said.contains("drained after"), "{said}");
    assert!(said.contains("3 taken = 3 delivered"), "{said}");
    for answer in waiting {
        assert_eq!(answer.await.unwrap().0, 202);
    }
    assert_eq!(store.ids(), once(["a", "b", "c"]));
    assert!(client.raw(body(["d"])).await.unwrap_err().is_connect());
}

#[tokio::test]
async fn while_it_drains_it_refuses_and_says_so() {
    let store = Folder::new();
    let mut server = store.serve([]);
    assert_eq!(
        server.get("/health").await,
        (200, json!({"status": "ready"}))
    );
    let half = Half::send(&server, "a");
    server.metric("/queue/taken", 1).await;

    server.signal(Signal::INT);
    assert_eq!(
        server.line_of_stderr(),
        "ingest: draining; again to stop at once"
    );
    let draining = (503, json!({"status": "draining"}));
    assert_eq!(server.get("/health").await, draining);
    assert_eq!(server.send(["b"]).await.0, 503);

    assert_eq!(half.rest(), 202); // it had its place
    assert_eq!(server.wait().0, 0);
    assert_eq!(store.ids(), once(["a"]));
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_nobody_is_told_a_lie() {
    let store = Folder::new();
    let mut server = store.serve(["--age", FOR_EVER]);
    let waiting = tokio::spawn(server.client().post(["a"]));
    server.metric("/requests/taken", 1).await;
    let _half = Half::send(&server, "b");
    server.metric("/queue/taken", 1).await;

    server.signal(Signal::TERM);
    server.line_of_stderr();
    server.signal(Signal::TERM);

    assert_eq!(waiting.await.unwrap().0, 503);
    assert_eq!(server.wait().0, 130);
    assert!(store.objects().is_empty());
}

// ----- S3 -----

/// As much of S3 as it takes. The first object is refused once.
#[cfg(feature = "s3")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_a_store_as_well() {
    use axum::{Router, body::Bytes, http::Method, http::Uri, response::IntoResponse};
    use std::sync::Mutex;

    let stored: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let refused = Arc::new(AtomicBool::new(false));
    let has = Arc::clone(&stored);
    let bucket = move |method: Method, uri: Uri, content: Bytes| async move {
        let name = uri.path().to_owned();
        if method == Method::GET {
            let none = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
            return none.into_response();
        }
        if !refused.swap(true, Relaxed) {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let content = String::from_utf8(content.into()).unwrap();
        has.lock().unwrap().push((name, content));
        [("etag", "\"1\"")].into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().fallback(bucket)).into_future());

    let mut command = program();
    command.args(["--listen", "127.0.0.1:0", "--store", "s3://bucket/folder"]);
    command
        .env("AWS_ENDPOINT", endpoint)
        .env("AWS_ALLOW_HTTP", "true");
    command
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    command.env("AWS_REGION", "eu-central-1");
    let server = Server::new(command);

    assert_eq!(server.send(["a"]).await.0, 202);
    assert_eq!(server.end().0, 0);
    let stored = stored.lock().unwrap();
    let [(name, content)] = &stored[..] else {
        panic!("{stored:?}")
    };
    assert!(
        name.starts_with("/bucket/folder/") && name.ends_with(".ndjson"),
        "{name}"
    );
    assert_eq!(content.lines().count(), 1);
}

// ----- kill -9 -----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_and_doubles_nothing() {
    let payloads = kills(3, 8, 10).await;
    assert!(payloads > 100, "{payloads}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: in release"]
async fn kill_9_twenty_times_under_load() {
    let started = Instant::now();
    let payloads = kills(20, 64, 300).await;
    println!(
        "20 kills: {payloads} payloads accepted, each stored once, in {:.1?}",
        started.elapsed()
    );
}

/// Clients send what they have until it is accepted, whatever happens meanwhile: the program is killed
/// `times` times, each time after `answers` answers of its life.
async fn kills(times: usize, clients: u64, answers: u64) -> u64 {
    let store = Folder::new();
    let small = ["--queue", "16", "--batch", "200", "--age", "2"];
    let mut server = store.serve(small);
    let (address, now) = watch::channel(server.address.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let accepted = Arc::new(AtomicU64::new(0)); // requests
    let mut sending = JoinSet::new();
    for client in 0..clients {
        let (now, stop, accepted) = (now.clone(), Arc::clone(&stop), Arc::clone(&accepted));
        sending.spawn(async move {
            let mut sent = Vec::new();
            for request in 0.. {
                if stop.load(Relaxed) {
                    break;
                }
                let ids: Vec<_> = (0..10).map(|n| format!("{client}-{request}-{n}")).collect();
                insist(&now, &ids).await;
                accepted.fetch_add(1, Relaxed);
                sent.extend(ids);
            }
            sent
        });
    }
    for _ in 0..times {
        let enough = accepted.load(Relaxed) + answers;
        until("answers", || accepted.load(Relaxed) >= enough).await;
        server.kill();
        server = store.serve(small);
        address.send(server.address.clone()).unwrap();
    }
    stop.store(true, Relaxed);
    let mut sent = Vec::new();
    while let Some(ids) = sending.join_next().await {
        sent.extend(ids.unwrap());
    }
    assert_eq!(server.end().0, 0);
    let number = sent.len() as u64;
    assert!(
        store.ids() == once(sent),
        "not what was accepted, each once"
    );
    number
}

/// Sends until it is accepted.
async fn insist(now: &watch::Receiver<String>, ids: &[String]) {
    loop {
        let client = HttpClient::new(&now.borrow().clone());
        loop {
            match client.raw(body(ids)).await {
                Ok(answer) if answer.status() == StatusCode::ACCEPTED => return,
                Ok(answer) => assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE),
                Err(_) => break, // it is dead: the next one may have another port
            }
            sleep(Duration::from_millis(2)).await;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

// ----- a million -----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: in release"]
async fn a_million_payloads_in_flat_memory() {
    const CLIENTS: u64 = 128;
    const REQUESTS: u64 = 10_000;
    const PAYLOADS: u64 = 100;
    let store = Folder::new();
    let server = store.serve(["--queue", "8"]);
    let next = Arc::new(AtomicU64::new(0));
    let refused = Arc::new(AtomicU64::new(0));
    let accepted = Arc::new(AtomicU64::new(0));

    let started = Instant::now();
    let mut sending = JoinSet::new();
    for _ in 0..CLIENTS {
        let client = server.client();
        let (next, refused, accepted) = (next.clone(), refused.clone(), accepted.clone());
        sending.spawn(async move {
            loop {
                let request = next.fetch_add(1, Relaxed);
                if request >= REQUESTS {
                    break;
                }
                let ids = (0..PAYLOADS).map(|n| format!("{:07}", request * PAYLOADS + n));
                let body = body(ids);
                while client.raw(body.clone()).await.unwrap().status() != StatusCode::ACCEPTED {
                    refused.fetch_add(1, Relaxed);
                    sleep(Duration::from_millis(10)).await;
                }
                accepted.fetch_add(1, Relaxed);
            }
        });
    }
    let mut resident = Vec::new();
    for tenth in 1..=10 {
        let enough = REQUESTS * tenth / 10;
        until("a tenth", || accepted.load(Relaxed) >= enough).await;
        resident.push(server.memory("VmRSS:"));
    }
    while let Some(done) = sending.join_next().await {
        done.unwrap();
    }
    let took = started.elapsed();
    let most = server.memory("VmHWM:");
    assert_eq!(server.end().0, 0);

    let all = (0..REQUESTS * PAYLOADS).map(|n| format!("{n:07}"));
    assert!(store.ids() == once(all), "not what was accepted, each once");
    println!(
        "1,000,000 payloads in {took:.1?}, {:.0} a second, {CLIENTS} connections, {} requests refused, {} objects",
        (REQUESTS * PAYLOADS) as f64 / took.as_secs_f64(),
        refused.load(Relaxed),
        store.objects().len(),
    );
    println!("resident after each tenth, in MB: {resident:?}; at most {most}");
    assert!(refused.load(Relaxed) > 0, "that was no overload");
    assert!(most < 200, "{most} MB");
}

// ----- wrong use -----

#[test]
fn wrong_options_are_refused_with_a_sentence() {
    for (arguments, sentence) in [
        (["--queue", "0"], "--queue must be at least 1"),
        (["--batch", "0"], "--batch must be at least 1"),
        (["--age", "soon"], "soon"),
        (["--no-such-option", "x"], "--no-such-option"),
    ] {
        let output = program().args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_opened_is_said() {
    let folder = Folder::new();
    fs::write(folder.path(), "not a folder").unwrap();
    let path = folder.path();
    for arguments in [
        ["--store", path.to_str().unwrap()],
        ["--store", "no-such-scheme://x"],
    ] {
        let output = program().args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with("ingest: ") && said.lines().count() == 1,
            "{said}"
        );
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn help_names_every_option() {
    let output = program().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for option in [
        "--listen",
        "--store",
        "--queue",
        "--body-limit",
        "--batch",
        "--age",
        "--writers",
        "--remember",
        "--report",
        "--help",
    ] {
        assert!(help.contains(option), "{option}");
    }
    assert_eq!(output.status.code(), Some(0));
}

// ----- tools -----

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ingest"))
}

/// A request with a small payload for each id.
fn body(ids: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let payload = |id: &str| json!({"id": id, "text": "a payload that says not much"});
    let payloads: Vec<_> = ids.into_iter().map(|id| payload(id.as_ref())).collect();
    json!({ "payloads": payloads }).to_string()
}

fn once(ids: impl IntoIterator<Item = impl Into<String>>) -> BTreeMap<String, usize> {
    ids.into_iter().map(|id| (id.into(), 1)).collect()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < 5 * PATIENCE, "{what} take for ever");
        sleep(Duration::from_millis(2)).await;
    }
}

/// A place for the objects of one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Folder(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn serve<const N: usize>(&self, arguments: [&str; N]) -> Server {
        self.serve_in(program(), arguments)
    }

    /// By a shell that is given the program, or by the program itself.
    fn serve_in<const N: usize>(&self, mut command: Command, arguments: [&str; N]) -> Server {
        if Path::new(command.get_program()) != Path::new(env!("CARGO_BIN_EXE_ingest")) {
            command.arg(env!("CARGO_BIN_EXE_ingest"));
        }
        command.args(["--listen", "127.0.0.1:0", "--store"]);
        command.arg(self.path()).args(arguments);
        Server::new(command)
    }

    /// The content of all objects. Whatever else is in the folder is none.
    fn objects(&self) -> Vec<String> {
        let files = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let objects = files.filter(|path| path.extension().is_some_and(|end| end == "ndjson"));
        objects
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }

    /// How often each id is stored.
    fn ids(&self) -> BTreeMap<String, usize> {
        let mut ids = BTreeMap::new();
        for line in self.objects().iter().flat_map(|object| object.lines()) {
            let payload: Value = serde_json::from_str(line).expect("a whole line");
            *ids.entry(payload["id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        ids
    }
}

/// The program while it runs. Killed when it is dropped.
struct Server {
    child: Child,
    stderr: Option<BufReader<std::process::ChildStderr>>,
    address: String,
    client: HttpClient,
}

impl Server {
    fn new(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().map(BufReader::new);
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .expect("an address")
            .to_owned();
        Server {
            child,
            stderr,
            client: HttpClient::new(&address),
            address,
        }
    }

    fn client(&self) -> HttpClient {
        self.client.clone()
    }

    async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, Value) {
        HttpClient::answer(self.client.raw(body).await.unwrap()).await
    }

    async fn send<const N: usize>(&self, ids: [&str; N]) -> (u16, Value) {
        self.post(body(ids)).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self
            .client
            .client
            .get(format!("{}{path}", self.address))
            .send()
            .await;
        HttpClient::answer(answer.unwrap()).await
    }

    /// Waits until a number of `/metrics` is that one.
    async fn metric(&self, pointer: &str, value: u64) {
        let started = Instant::now();
        loop {
            let metrics = self.get("/metrics").await.1;
            if metrics.pointer(pointer).unwrap().as_u64() == Some(value) {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{pointer} is not {value}: {metrics}"
            );
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What the system says of its memory, in MB.
    fn memory(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1024
    }

    fn line_of_stderr(&mut self) -> String {
        let mut line = String::new();
        self.stderr.as_mut().unwrap().read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// SIGTERM; the status, and what it said but that it drains.
    fn end(self) -> (i32, String) {
        self.signal(Signal::TERM);
        let (status, said) = self.wait();
        let said = said.lines().filter(|line| !line.contains("draining;"));
        (status, said.map(|line| format!("{line}\n")).collect())
    }

    fn wait(mut self) -> (i32, String) {
        let mut said = String::new();
        self.stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        (self.child.wait().unwrap().code().unwrap(), said)
    }

    fn kill(mut self) {
        self.child.kill().unwrap(); // 9
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone)]
struct HttpClient {
    client: Client,
    address: String,
}

impl HttpClient {
    fn new(address: &str) -> Self {
        HttpClient {
            client: Client::builder().timeout(PATIENCE).build().unwrap(),
            address: address.to_owned(),
        }
    }

    async fn raw(&self, body: impl Into<reqwest::Body>) -> reqwest::Result<reqwest::Response> {
        let request = self.client.post(format!("{}/payloads", self.address));
        request.body(body).send().await
    }

    /// To be waited for elsewhere.
    async fn post<const N: usize>(self, ids: [&'static str; N]) -> (u16, Value) {
        HttpClient::answer(self.raw(body(ids)).await.unwrap()).await
    }

    async fn answer(response: reqwest::Response) -> (u16, Value) {
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }
}

/// A request of which the last byte is missing, so that it keeps its place.
struct Half(TcpStream);

impl Half {
    fn send(server: &Server, id: &str) -> Self {
        let address = server.address.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = body([id]);
        let length = body.len();
        let head =
            format!("POST /payloads HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body.as_bytes()[..length - 1]).unwrap();
        Half(stream)
    }

    /// Sends the rest; the status of the answer.
    fn rest(mut self) -> u16 {
        self.0.write_all(b"}").unwrap();
        let mut status = String::new();
        BufReader::new(self.0).read_line(&mut status).unwrap();
        status.split(' ').nth(1).unwrap().parse().unwrap()
    }
}
