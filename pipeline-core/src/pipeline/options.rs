//! The options of a stage.

use std::{any::Any, hash::Hash, time::Duration};

use tokio::sync::mpsc;

use super::{Pipeline, StageTail};
use crate::{
    config::{Order, Retry},
    engine::keys,
    error::DeadLetter,
    stage::Stage,
};

/// Options of the stage just before. The last call of a name counts; the values are checked when
/// the job is started ([`BuildError`](crate::BuildError)).
impl<T, L> Pipeline<T, L> {
    /// Shown in errors, reports and events. Default: the type of the stage, or for a closure the
    /// method and its place, as in `and_then-2`.
    pub fn name(mut self, name: impl Into<String>) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().name = Some(name.into());
        self
    }

    /// Items in work at once, at least 1. Default 1.
    ///
    /// It is an upper bound: workers are started while there is work for them, for one item in all
    /// there is one. An item whose body waits holds its permit; one that has finished and waits for
    /// its turn does not.
    pub fn parallelism(mut self, n: usize) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().set.parallelism = Some(n);
        self
    }

    /// Results leave in the order of the input. The default. Failed and filtered items leave no hole.
    pub fn ordered(mut self) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().set.order = Some(Order::Ordered);
        self
    }

    /// Results leave as they are ready. Bodies still begin in the order of the input.
    pub fn unordered(mut self) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().set.order = Some(Order::Unordered);
        self
    }

    /// One item of a key at a time, in the order of the input; other keys do not wait for them. Results of one
    /// key leave in the order of the input, those of different keys as they are ready.
    ///
    /// Keys are compared as they are, not by a hash that others may share. An item whose key is busy waits
    /// inside the [`window`](Self::window), and takes no permit: so a key that hangs holds up itself alone, and
    /// what fills the window. Key and permit are held through retries and their pauses, and on a
    /// [`blocking`](Pipeline::blocking) stage until the body has come back; a failed or filtered item hands its
    /// key to the next one. Keys of which nothing is inside are forgotten. `key` runs in
    /// the workers, for one item after another: a slow one holds up the stage. If it panics (or `Hash` or `Eq` of the
    /// key do), that item fails, under the name of the stage.
    ///
    /// A later stage that is [`unordered`](Self::unordered) loses the order again; [`Job::plan`](crate::Job::plan) says so.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let orders = [("ann", "order"), ("bob", "order"), ("ann", "cancel"), ("bob", "pay")];
    /// let report = Pipeline::from_iter(orders)
    ///     .then(|(who, what)| async move { (who, what) }).keyed(|(who, _)| *who).parallelism(8)
    ///     .collect().run().await?;
    /// let of_ann: Vec<_> = report.value.into_iter().filter(|(who, _)| *who == "ann").collect();
    /// assert_eq!(of_ann, [("ann", "order"), ("ann", "cancel")]); // never the other way round
    /// # Ok(()) }
    /// ```
    pub fn keyed<F, K>(mut self, key: F) -> Self
    where
        L: StageTail,
        F: Fn(&L::In) -> K + Send + Sync + 'static,
        K: Hash + Eq + Send + 'static,
    {
        self.tail.draft().set.order = Some(Order::Keyed);
        self.tail.typed().keys = Some(keys(key));
        self
    }

    /// Items inside the stage: in work, or finished and not taken by the next step. At least
    /// `parallelism`; default `max(4 * parallelism, 1024)`, and of batches of up to `n` items
    /// `max(4 * parallelism, 1024 / n)`. Exact: not one more is begun.
    ///
    /// An ordered stage needs room for what finishes behind a slow item, about
    /// `parallelism * slow / usual` items (64 workers, usually 1 ms, at times 100 ms: 6400), or it
    /// idles. Every item inside is memory: for large ones set less.
    pub fn window(mut self, items: usize) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().set.window = Some(items);
        self
    }

    /// The longest stay of an item, from the begin of its body, with all its attempts and the pauses
    /// between them. Default: no limit, which is also what [`Duration::MAX`] means.
    ///
    /// An item whose body waits when its time is over has failed ([`ErrorKind::TimedOut`]): the body
    /// is dropped where it waits, with the worker's value, and the items behind it go on. A body that
    /// is ready at that very moment has its result. Time in queues before and behind the stage does
    /// not count.
    ///
    /// A body that does not wait cannot be interrupted: it has its result when it comes, and is counted
    /// ([`StageReport::overruns`]). On [`blocking`](Pipeline::blocking) stages bodies never wait, and
    /// there the error comes in time all the same; the body goes on, keeps its permit and its thread
    /// until it comes back, and what it then brings is dropped.
    ///
    /// The clock is tokio's, so paused time works, and its grain is a millisecond. An armed timeout
    /// costs nothing measurable for an item that is ready at once, and a clock reading for one that
    /// waits; on a blocking stage two locks an item. Zero is refused at the start
    /// ([`BuildError::ZeroTime`]), and so is a runtime without timers ([`BuildError::NoTimer`]).
    ///
    /// ```
    /// use std::{future::pending, time::Duration};
    /// use pipeline_core::{error::{ErrorKind, TimedOut}, prelude::*};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), BoxError> {
    /// let (errors, mut failures) = tokio::sync::mpsc::channel(16);
    /// let job = Pipeline::from_iter(0..5)
    ///     .then(|n| async move { if n == 2 { pending().await } else { n } }).timeout(Duration::from_secs(2))
    ///     .collect()
    ///     .errors(errors);
    /// assert_eq!(job.run().await?.value, [0, 1, 3, 4]);
    ///
    /// let failure = failures.recv().await.expect("one of them hung");
    /// assert_eq!((failure.origin().first(), failure.kind()), (2, ErrorKind::TimedOut));
    /// assert_eq!(failure.downcast_ref::<TimedOut>().unwrap().to_string(), "the timeout of 2s was over");
    /// # Ok(()) }
    /// ```
    ///
    /// [`ErrorKind::TimedOut`]: crate::error::ErrorKind::TimedOut
    /// [`StageReport::overruns`]: crate::report::StageReport::overruns
    /// [`BuildError::ZeroTime`]: crate::BuildError::ZeroTime
    /// [`BuildError::NoTimer`]: crate::BuildError::NoTimer
    pub fn timeout(mut self, limit: Duration) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().set.timeout = Some(limit);
        self
    }

    /// The longest time of one attempt at an item, from the call of its body. Default: no limit, which is
    /// also what [`Duration::MAX`] means.
    ///
    /// With [`retry`](Self::retry) an attempt that takes too long is dropped, and the item is tried
    /// again. Without it this is the same as [`timeout`](Self::timeout), and everything said there
    /// holds here.
    ///
    /// On a [`blocking`](Pipeline::blocking) stage an attempt cannot be dropped: one that comes back too
    /// late and is not the last has its result, and counts as an overrun; the last one ends with its
    /// time.
    pub fn attempt_timeout(mut self, limit: Duration) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().set.attempt_timeout = Some(limit);
        self
    }

    /// Tries an item again that has failed, or whose attempt took too long
    /// ([`attempt_timeout`](Self::attempt_timeout)), as [`Retry`] says. Default: not.
    ///
    /// The item keeps its place in the order and its permit through all attempts and pauses: a stage
    /// slows down when what it depends on is in trouble, and does not turn to other items meanwhile.
    /// A drain waits for pauses, up to its deadline; a cancel ends them at once. Only the last failure
    /// is told ([`StageError::attempts`] says how many there were).
    ///
    /// `In` is cloned before each attempt but the last possible one, on the worker, also when nothing
    /// fails: put large inputs into an `Arc`. Steps that are fused to the stage (`filter`, `map`) are
    /// not part of it. Needs a runtime with timers ([`BuildError::NoTimer`]).
    ///
    /// ```
    /// use std::time::Duration;
    /// use pipeline_core::prelude::*;
    ///
    /// async fn save(n: u32) -> Result<u32, std::io::Error> {
    ///     # static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    ///     // the network is not what it used to be
    ///     # if CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2 { return Err(std::io::ErrorKind::TimedOut.into()) }
    ///     Ok(n)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), BoxError> {
    /// let report = Pipeline::from_iter(0..100)
    ///     .and_then(save).parallelism(8)
    ///         .retry(Retry::exponential(Duration::from_millis(50)).max_retries(5).jitter())
    ///         .timeout(Duration::from_secs(10))
    ///     .count()
    ///     .run().await?;
    /// assert_eq!(report.value, 100);
    /// assert_eq!(report.stages[0].retries, 2);
    /// # Ok(()) }
    /// ```
    ///
    /// [`StageError::attempts`]: crate::StageError::attempts
    /// [`BuildError::NoTimer`]: crate::BuildError::NoTimer
    pub fn retry(mut self, retry: Retry) -> Self
    where
        L: StageTail<In: Clone>,
    {
        let recovery = &mut self.tail.typed().recovery;
        recovery.retry = Some(retry);
        recovery.copy = Some(L::In::clone);
        self
    }

    /// Which errors deserve another attempt. Default: all of them. Without [`retry`](Self::retry) it
    /// is refused at the start ([`BuildError::Without`]).
    ///
    /// Asked on the worker, once for each failed attempt. Not asked about attempts that took too long,
    /// which are always tried again, nor about panics ([`Retry::panics`]).
    ///
    /// ```
    /// use std::{io, time::Duration};
    /// use pipeline_core::prelude::*;
    ///
    /// async fn read(path: &'static str) -> io::Result<String> {
    ///     Err(io::ErrorKind::NotFound.into())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let job = Pipeline::from_iter(["nowhere"])
    ///     .and_then(read)
    ///         .retry(Retry::fixed(Duration::from_secs(1)))
    ///         .retry_if(|error| error.kind() == io::ErrorKind::Interrupted)
    ///     .count();
    /// let error = job.run().await.unwrap_err();
    /// assert_eq!(error.report.stages[0].retries, 0);
    /// # Ok(()) }
    /// ```
    ///
    /// [`BuildError::Without`]: crate::BuildError::Without
    pub fn retry_if<F, E>(mut self, transient: F) -> Self
    where
        L: StageTail<In: Clone, Stage: Stage<L::In, T, Error = E>>,
        F: Fn(&E) -> bool + Send + Sync + 'static,
        E: 'static,
    {
        let asked = move |error: &dyn Any| error.downcast_ref().is_none_or(&transient);
        self.tail.typed().recovery.transient = Some(Box::new(asked));
        self
    }

    /// Sends items that have failed for good to `to`, each with its error. These are told nowhere else
    /// and do not end the run, whatever [`on_error`](crate::Job::on_error) says.
    ///
    /// The channel is the caller's, and bounded. When it is full its items are counted and dropped with
    /// their errors ([`StageReport::errors_not_delivered`]) or the stage waits, as
    /// [`error_overflow`](crate::Job::error_overflow) says for the whole job; when its receiver is gone
    /// they are counted. It ends with the run.
    ///
    /// Each item is cloned before its body begins, on the worker, also when nothing fails: put large
    /// inputs into an `Arc`. An item whose `Clone` panics then has no copy to send, and is told like any
    /// other failure.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let (letters, mut dead) = tokio::sync::mpsc::channel(64);
    /// let report = Pipeline::from_iter(["1", "two", "3"])
    ///     .try_map(str::parse::<u32>).dead_letters(letters)
    ///     .collect()
    ///     .run().await?;
    /// assert_eq!(report.value, [1, 3]);
    ///
    /// let letter = dead.recv().await.expect("one is not a number");
    /// assert_eq!(letter.item, "two");
    /// assert_eq!(letter.error.origin().first(), 1);
    /// assert!(dead.recv().await.is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// [`StageReport::errors_not_delivered`]: crate::report::StageReport::errors_not_delivered
    pub fn dead_letters(mut self, to: mpsc::Sender<DeadLetter<L::In>>) -> Self
    where
        L: StageTail<In: Clone>,
    {
        let recovery = &mut self.tail.typed().recovery;
        recovery.dead_letters = Some(to);
        recovery.copy = Some(L::In::clone);
        self
    }
}
