//! `#[stage]`: a function, or the functions of a type, as a stage with options of its own.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::num::{NonZero, ParseIntError};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pipeline_core::BoxStage;
use pipeline_core::error::Cause;
use pipeline_core::plan::StepKind;
use pipeline_core::prelude::*;
use tests::prelude::*;
use tokio::sync::Barrier;
use tokio::task::yield_now;

/// The line of the plan for the only stage.
fn line<R: Send + 'static>(job: &Job<R>) -> String {
    let plan = job.plan().to_string();
    plan.lines().nth(1).expect("the stage").to_owned()
}

/// The options alone.
fn options<R: Send + 'static>(job: &Job<R>) -> String {
    let line = line(job);
    let (_, options) = line.split_once(' ').expect("a name and options");
    options.trim().to_owned()
}

/// When the only stage tries again.
fn retry<R: Send + 'static>(job: &Job<R>) -> Option<Retry> {
    match job.plan().steps[1].kind {
        StepKind::Stage { retry, .. } => retry,
        _ => None,
    }
}

// -- what a function may be --

#[stage]
async fn halve(n: u64) -> Result<u64, String> {
    yield_now().await;
    if n.is_multiple_of(2) {
        Ok(n / 2)
    } else {
        Err(format!("{n} is odd"))
    }
}

#[stage]
fn parse(text: &'static str) -> Result<u64, ParseIntError> {
    text.parse()
}

#[stage]
async fn double(n: u64) -> u64 {
    yield_now().await;
    n * 2
}

#[stage]
fn add_one(n: u64) -> u64 {
    n + 1
}

#[stage]
fn read(text: String) -> io::Result<u64> {
    text.parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

#[stage]
fn nothing(_: u64) -> Result<(), BoxError> {
    Ok(())
}

#[stage]
fn sum((a, b): (u64, u64)) -> u64 {
    a + b
}

#[stage]
fn r#loop(mut r#in: u64) -> u64 {
    r#in += 1;
    r#in
}

/// Async or not, fallible or not, through an alias or not: it is a stage, and the function is still there.
#[test]
fn a_function_is_a_stage() {
    scenario("functions as stages").on(ALL).run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(["1", "3", "x", "5"])
            .stage(Parse)
            .stage(AddOne)
            .stage(Halve)
            .stage(Double)
            .stage(Loop)
            .collect()
            .on_error(OnError::Continue);
        let report = flow.run_failing(job, [2]).await.unwrap();
        assert_eq!(report.value, [3, 5, 7]);
        let names: Vec<_> = report
            .stages
            .iter()
            .map(|stage| stage.name.to_string())
            .collect();
        assert_eq!(names, ["parse", "add_one", "halve", "double", "loop"]);

        let pairs = Pipeline::from_iter([(1, 2)]).stage(Sum).collect();
        assert_eq!(world.flow().run(pairs).await.unwrap().value, [3]);
        let read = Pipeline::from_iter(["7".to_owned()])
            .stage(Read)
            .stage(Nothing)
            .collect();
        assert_eq!(world.flow().run(read).await.unwrap().value, [()]);
        let erased: BoxStage<u64, u64> = Halve.boxed();
        let halves = Pipeline::from_iter([4]).stage(erased).collect();
        assert_eq!(world.flow().run(halves).await.unwrap().value, [2]);

        // as a test of its own would call it
        assert_eq!(halve(3).await, Err("3 is odd".to_owned()));
        assert_eq!((add_one(1), r#loop(1), sum((1, 2))), (2, 2, 3));
    });
}

/// What fails is told with the error as the function returned it.
#[test]
fn a_failure_is_the_error_of_the_function() {
    scenario("errors of a function").run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(["x"]).stage(Parse).collect();
        let failure = failure(flow.run_failing(job, [0]).await);
        assert_eq!(failure.stage(), "parse");
        assert!(failure.downcast_ref::<ParseIntError>().is_some());
    });
}

// A name does not say everything.

type Found = Result<u64, String>;

#[derive(Debug, PartialEq)]
struct GameResult(u64);

#[stage(fallible)]
fn find(n: u64) -> Found {
    if n == 0 {
        Err("nothing".to_owned())
    } else {
        Ok(n)
    }
}

#[stage(infallible, type = Player)]
async fn play(n: u64) -> GameResult {
    GameResult(n)
}

/// Whether a function can fail can be said where its type does not.
#[test]
fn what_a_type_is_called_is_not_the_last_word() {
    scenario("fallible, infallible").run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(0..3u64).stage(Find).stage(Player);
        let job = job.collect().on_error(OnError::Continue);
        let report = flow.run_failing(job, [0]).await.unwrap();
        assert_eq!(report.value, [GameResult(1), GameResult(2)]);
    });
}

// -- state --

/// Neither `Clone` nor `Default`.
struct Names(HashMap<u64, &'static str>);

#[stage(parallelism = 2)]
async fn name_of(
    #[state] looked_up: &mut Vec<u64>,
    #[state] names: &Names,
    #[state] root: &'static Path,
    #[state] suffix: &str,
    n: u64,
) -> Result<String, BoxError> {
    looked_up.push(n);
    yield_now().await;
    let name = names.0.get(&n).ok_or("unknown")?;
    Ok(format!(
        "{}/{name}{suffix} {}",
        root.display(),
        looked_up.len()
    ))
}

#[stage(parallelism = 2)]
async fn meet(#[state] seen: &mut u64, #[state] both: &Barrier, _: u64) -> u64 {
    *seen += 1;
    both.wait().await;
    *seen
}

/// `&mut` is each worker's own, `&` is of all of them, and a test of the function brings its own.
#[test]
fn state_is_local_or_shared() {
    scenario("state").run(async |world| {
        let names = Arc::new(Names(HashMap::from([(0, "a"), (1, "b"), (2, "c")])));
        let stage = NameOf::new(Vec::new(), Arc::clone(&names), Path::new("x"), "!");
        let flow = world.flow();
        let job = Pipeline::from_iter(0..3)
            .stage(stage)
            .parallelism(1)
            .collect();
        assert_eq!(
            flow.run(job).await.unwrap().value,
            ["x/a! 1", "x/b! 2", "x/c! 3"]
        );

        // two workers that are at work together: each has seen one item
        let job = Pipeline::from_iter([0, 1])
            .stage(Meet::new(0, Barrier::new(2)))
            .collect();
        assert_eq!(world.flow().run(job).await.unwrap().value, [1, 1]);

        let (mut own, names) = (vec![9], Names(HashMap::from([(1, "b")])));
        let name = name_of(&mut own, &names, Path::new("y"), "?", 1)
            .await
            .unwrap();
        assert_eq!((&*name, own), ("y/b? 2", vec![9, 1]));
    });
}

trait Greet: Send + Sync {
    fn greet(&self, n: u64) -> String;
}

struct Polite;

impl Greet for Polite {
    fn greet(&self, n: u64) -> String {
        format!("good day, {n}")
    }
}

#[stage(type = Greeting)]
fn greet(#[state] how: &dyn Greet, n: u64) -> String {
    how.greet(n)
}

/// What is shared may have no size.
#[test]
fn a_trait_object_is_shared() {
    scenario("state without a size").run(async |world| {
        let how: Arc<dyn Greet> = Arc::new(Polite);
        let job = Pipeline::from_iter([1]).stage(Greeting::new(how)).collect();
        assert_eq!(world.flow().run(job).await.unwrap().value, ["good day, 1"]);
    });
}

/// Makes connections, number `fails` not.
struct Server {
    made: AtomicU64,
    fails: u64,
}

impl Server {
    fn new(fails: u64) -> Arc<Self> {
        let made = AtomicU64::new(0);
        Arc::new(Server { made, fails })
    }
}

/// Not `Clone`.
struct Connection {
    number: u64,
}

async fn connect(server: &Server) -> io::Result<Connection> {
    let number = server.made.fetch_add(1, Ordering::SeqCst);
    yield_now().await;
    if number == server.fails {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(Connection { number })
}

async fn scratch() -> Result<Vec<u64>, Infallible> {
    Ok(vec![7])
}

#[stage]
async fn query(
    #[state(init = connect(&Server))] connection: &mut Connection,
    #[state(init = scratch)] scratch: &mut Vec<u64>,
    #[state] offset: &u64,
    n: u64,
) -> Result<(u64, u64), BoxError> {
    assert_ne!(n, 1, "the connection is lost");
    scratch.push(n);
    Ok((connection.number + offset, scratch[0]))
}

/// `init` makes the state of each worker, before its first item, and another one where it was lost.
#[test]
fn state_is_made_for_each_worker() {
    scenario("state by init").on(ALL).run(async |world| {
        let server = Server::new(u64::MAX);
        let flow = world.flow();
        let job = Pipeline::from_iter(0..3)
            .stage(Query::new(Arc::clone(&server), 100))
            .collect()
            .on_error(OnError::Continue);
        let report = flow.run_failing(job, [1]).await.unwrap();
        assert_eq!(report.value, [(100, 7), (101, 7)]);
        assert_eq!(server.made.load(Ordering::SeqCst), 2);
    });
}

/// It is made before the source is asked for anything, and the run ends with its error.
#[test]
fn state_that_cannot_be_made_ends_the_run() {
    scenario("init fails").on(ALL).run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..3))
            .map(|item| item.index)
            .stage(Query::new(Server::new(0), 0))
            .count()
            .on_error(OnError::Continue);
        let error = flow.run(job).await.unwrap_err();
        assert!(matches!(&error.cause, Cause::Stage(stage, _) if &**stage == "query"));
        assert_eq!((flow.pulled(), error.report.items.taken), (0, 0));
    });
}

// -- options --

const WORKERS: usize = 3;
const LIMIT: Duration = ms(1_500);
const AGAIN: Retry = Retry::fixed(ms(20)).max_retries(7);

#[stage(
    name = "everything",
    parallelism = 16,
    unordered,
    window = 32,
    timeout = "2s",
    attempt_timeout = "1m 30s",
    retry(backoff = "50ms", max = 5, max_delay = "1s", jitter, panics)
)]
async fn all(n: u64) -> u64 {
    n
}

#[stage(ordered, parallelism = WORKERS, window = 2 * WORKERS, timeout = LIMIT, retry = AGAIN)]
async fn constants(n: u64) -> u64 {
    n
}

#[stage(blocking, parallelism = "cores", retry(fixed = "250us"))]
fn threads(n: u64) -> u64 {
    n
}

#[stage(keyed = |pair| pair.0, parallelism = 4)]
async fn by_name(pair: (&'static str, u64)) -> (&'static str, u64) {
    tokio::task::yield_now().await;
    pair
}

fn remainder(n: &u64) -> u64 {
    n % 3
}

#[stage(keyed = remainder)]
fn by_remainder(n: u64) -> u64 {
    n
}

/// A key is a closure or a function of a reference to the item.
#[tokio::test]
async fn a_stage_brings_its_key() {
    let pairs = [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)];
    let job = Pipeline::from_iter(pairs).stage(ByName).collect();
    assert!(options(&job).starts_with("keyed, parallelism 4"));
    let out = job.run().await.unwrap().value;
    for name in ["a", "b"] {
        let of_name = out.iter().filter(|pair| pair.0 == name);
        assert!(of_name.map(|pair| pair.1).is_sorted(), "{out:?}");
    }
    let source = || Pipeline::from_iter(0..9u64);
    assert!(options(&source().stage(ByRemainder).count()).starts_with("keyed"));
    let overridden = source().stage(ByRemainder).ordered().parallelism(3);
    assert!(overridden.collect().run().await.unwrap().value.is_sorted());
    // a boxed stage keeps it
    assert!(options(&source().stage(ByRemainder.boxed()).count()).starts_with("keyed"));
}

/// Every option is in the plan, and the builder overrides it.
#[test]
fn options_are_defaults_of_the_stage() {
    let source = || Pipeline::from_iter(0..3u64);
    assert_eq!(
        line(&source().stage(All).count()),
        "everything   unordered, parallelism 16, window 32, timeout 2s, attempt_timeout 90s, \
         5 retries after 50ms doubling with jitter"
    );
    assert_eq!(
        options(&source().stage(Constants).count()),
        "ordered, parallelism 3, window 6, timeout 1.5s, 7 retries after 20ms"
    );
    assert_eq!(
        retry(&source().stage(All).count()),
        Some(
            Retry::exponential(ms(50))
                .max_retries(5)
                .max_delay(ms(1_000))
                .jitter()
                .panics()
        )
    );
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let window = (4 * cores).max(1024);
    assert_eq!(
        options(&source().stage(Threads).count()),
        format!(
            "ordered, parallelism {cores}, window {window}, on blocking threads, 3 retries after 250µs"
        )
    );
    let overridden = source()
        .stage(All)
        .name("other")
        .parallelism(1)
        .ordered()
        .window(2)
        .timeout(ms(3))
        .attempt_timeout(ms(4))
        .retry(Retry::fixed(ms(5)));
    assert_eq!(
        line(&overridden.count()),
        "other       ordered, parallelism 1, window 2, timeout 3ms, attempt_timeout 4ms, 3 retries after 5ms"
    );
}

static TRIES: AtomicU64 = AtomicU64::new(0);

#[stage(retry(fixed = "0s", max = 4, panics))]
async fn third_time(n: u64) -> Result<u64, BoxError> {
    match TRIES.fetch_add(1, Ordering::SeqCst) % 3 {
        0 => Err("no".into()),
        1 => panic!("no"),
        _ => Ok(n),
    }
}

/// `retry` tries again, after panics too if it says so.
#[test]
fn retries_are_made() {
    scenario("retry by attribute").run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(0..2).stage(ThirdTime).collect();
        let report = flow.run(job).await.unwrap();
        assert_eq!((report.value, report.stages[0].retries), (vec![0, 1], 4));
    });
}

#[stage(blocking, parallelism = 2)]
fn whereabouts(_: u64) -> thread::ThreadId {
    thread::current().id()
}

/// `blocking` bodies have threads of their own.
#[test]
fn blocking_functions_have_threads() {
    scenario("blocking by attribute").run(async |world| {
        let flow = world.flow();
        let tasks = tokio::spawn(async { thread::current().id() })
            .await
            .unwrap();
        let job = Pipeline::from_iter(0..3).stage(Whereabouts).collect();
        let threads = flow.run(job).await.unwrap().value;
        assert!(threads.iter().all(|thread| *thread != tasks));
    });
}

// -- blocks --

type Log = Arc<Mutex<Vec<String>>>;

#[derive(Clone, Default)]
struct Count {
    seen: u64,
    opened: bool,
    log: Log,
}

#[stage(name = "counts", parallelism = 2)]
impl Count {
    const STEP: u64 = 10;

    fn step(&self) -> u64 {
        self.seen * Self::STEP
    }

    async fn open(&mut self) -> Result<(), io::Error> {
        yield_now().await;
        self.opened = true;
        Ok(())
    }

    async fn process(&mut self, n: u64) -> Result<u64, String> {
        assert!(self.opened);
        yield_now().await;
        self.seen += 1;
        Ok(n + self.step())
    }

    async fn close(self) -> Result<(), String> {
        let mut log = self.log.lock().unwrap();
        log.push(format!("{} seen", self.seen));
        Ok(())
    }
}

/// Only its `close` can fail.
#[derive(Clone)]
struct Last {
    fails: bool,
}

#[stage]
impl Last {
    fn open(&mut self) {}

    fn process(&self, n: u64) -> u64 {
        n
    }

    fn close(self) -> io::Result<()> {
        if self.fails {
            Err(io::ErrorKind::WriteZero.into())
        } else {
            Ok(())
        }
    }
}

/// Cannot be opened, or closed, if it is told so.
#[derive(Clone)]
struct Fragile(&'static str);

#[stage]
impl Fragile {
    fn open(&mut self) -> Result<(), String> {
        if self.0 == "open" {
            Err("not open".to_owned())
        } else {
            Ok(())
        }
    }

    async fn process(&mut self, n: u64) -> Result<u64, String> {
        Ok(n)
    }

    async fn close(self) -> Result<(), String> {
        if self.0 == "close" {
            Err("not close".to_owned())
        } else {
            Ok(())
        }
    }
}

/// What `open` and `close` fail with ends the run.
#[test]
fn a_block_that_cannot_be_opened_or_closed_ends_the_run() {
    scenario("blocks that fail").on(ALL).run(async |world| {
        for what in ["open", "close"] {
            let job = Pipeline::from_iter(0..3u64).stage(Fragile(what)).count();
            let error = world.flow().run(job).await.unwrap_err();
            assert!(matches!(&error.cause, Cause::Stage(stage, _) if &**stage == "Fragile"));
            assert!(
                chain(&error).ends_with(&format!(": not {what}")),
                "{}",
                chain(&error)
            );
        }
    });
}

#[derive(Clone)]
struct Into2<T> {
    offset: T,
}

#[stage]
impl<T: Copy + Into<u64>> Into2<T> {
    fn process(&mut self, n: T) -> u64 {
        n.into() + self.offset.into()
    }

    async fn close(self) {
        yield_now().await;
    }
}

/// The functions of a type are those of the stage, whether they wait or not, and fail or not.
#[test]
fn a_block_is_a_stage() {
    scenario("blocks as stages").on(ALL).run(async |world| {
        let log = Log::default();
        let count = Count {
            log: Arc::clone(&log),
            ..Count::default()
        };
        let flow = world.flow();
        let job = Pipeline::from_iter(0..3u32)
            .stage(Into2 { offset: 1u32 })
            .stage(Last { fails: false })
            .stage(count)
            .parallelism(1)
            .collect();
        let names: Vec<_> = job
            .plan()
            .steps
            .iter()
            .map(|step| step.name.to_string())
            .collect();
        assert_eq!(names[1..4], ["Into2", "Last", "counts"]);
        assert_eq!(flow.run(job).await.unwrap().value, [11, 22, 33]);
        assert_eq!(*log.lock().unwrap(), ["3 seen"]);

        let flow = world.flow();
        let job = Pipeline::from_iter(0..1u64)
            .stage(Last { fails: true })
            .count();
        let error = flow.run(job).await.unwrap_err();
        assert!(matches!(&error.cause, Cause::Stage(stage, _) if &**stage == "Last"));

        let mut count = Count {
            opened: true,
            ..Count::default()
        };
        assert_eq!(count.process(1).await, Ok(11));
    });
}

// -- generics --

#[stage(parallelism = 2)]
async fn parse_as<T>(text: &'static str) -> Result<T, T::Err>
where
    T: FromStr<Err: Into<BoxError> + Send>,
{
    text.parse()
}

#[stage(retry(fixed = "1ms"))]
fn take<'a, T, const N: usize>(
    #[state] of: &'a [T],
    #[state] others: &'a [T],
    #[state] last: &mut Option<T>,
    n: usize,
) -> [T; N]
where
    T: Clone + fmt::Debug + Sync,
{
    let items: &'a [T] = if n < of.len() { of } else { others };
    *last = Some(items[n].clone());
    std::array::from_fn(|k| items[n + k].clone())
}

/// Types and numbers that are chosen by whoever uses the stage.
#[test]
fn a_function_may_be_generic() {
    scenario("generic functions").run(async |world| {
        let job = Pipeline::from_iter(["1.5", "2"])
            .stage(ParseAs::<f64>::new())
            .collect();
        assert_eq!(world.flow().run(job).await.unwrap().value, [1.5, 2.0]);
        let stage = Take::<_, 2>::new(vec!['a', 'b', 'c'], [], None);
        let job = Pipeline::from_iter([0, 1]).stage(stage).collect();
        assert_eq!(
            world.flow().run(job).await.unwrap().value,
            [['a', 'b'], ['b', 'c']]
        );
        assert_eq!(format!("{:?}", ParseAs::<u8>::default()), "ParseAs");
    });
}
