//! Stages, and the cheap steps that are fused into them.

use std::{any::type_name, convert::Infallible, future::ready};

use super::{
    Pipeline,
    draft::StageDraft,
    tail::{self, Fused, Mapped, Open, Tail, Typed},
};
use crate::{
    engine::Maker,
    error::BoxError,
    stage::{Adapt, Blocking, Stage, by_cloning, by_factory, short_name, stage_fn},
};

/// Stages. Each takes options, directly after it: parallelism 1 and ordered unless said otherwise.
///
/// Closures are shared by all workers of the stage, so they are `Fn`, and `Send + Sync`. What an
/// async closure needs of its surroundings it clones for each call:
/// `move |n| { let client = client.clone(); async move { client.get(n).await } }`.
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// Works on each item by a [`Stage`], of which each worker gets a clone.
    ///
    /// A clone is made, and [opened](Stage::open), when there is work for another worker; `stage` itself
    /// never works. The
    /// options that the stage brings ([`Stage::defaults`]) count unless they are set here.
    pub fn stage<S, U>(self, stage: S) -> Pipeline<U, Open<T, U, S>>
    where
        S: Stage<T, U> + Clone,
        U: Send + 'static,
    {
        let (draft, typed) = StageDraft::of(stage.config(), short_name(type_name::<S>()));
        self.open(draft, typed, by_cloning(stage))
    }

    /// Works on each item by a [`Stage`], of which each worker gets one made by `factory`: for
    /// connections and other state that is not `Clone`.
    ///
    /// The first is made before the source is asked for anything, another one when there is work for
    /// another worker: never more than `parallelism` at a time. An error, or a panic, of the factory
    /// (or of [`Stage::open`], which is called on what it made) ends the run ([`Cause::Stage`](crate::error::Cause::Stage)); there are never silently fewer
    /// workers.
    pub fn stage_with<F, Fut, S, E, U>(self, factory: F) -> Pipeline<U, Open<T, U, S>>
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = Result<S, E>> + Send + 'static,
        S: Stage<T, U>,
        E: Into<BoxError>,
        U: Send + 'static,
    {
        let (draft, typed) = StageDraft::of(S::defaults(), short_name(type_name::<S>()));
        let draft = StageDraft {
            prepares: true,
            ..draft
        };
        self.open(draft, typed, by_factory(factory))
    }

    /// `fn(T) -> Result<U, E>`. An `Err` fails the item.
    pub fn try_map<F, U, E>(
        self,
        function: F,
    ) -> Pipeline<U, Open<T, U, impl Stage<T, U, Error = E> + Clone>>
    where
        F: Fn(T) -> Result<U, E> + Send + Sync + 'static,
        U: Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        self.method("try_map", stage_fn(move |item| ready(function(item))))
    }

    /// `async fn(T) -> U`.
    pub fn then<F, Fut, U>(self, function: F) -> Pipeline<U, Open<T, U, impl Stage<T, U> + Clone>>
    where
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = U> + Send + 'static,
        U: Send + 'static,
    {
        let function = move |item| {
            let done = function(item);
            async { Ok::<_, Infallible>(done.await) }
        };
        self.method("then", stage_fn(function))
    }

    /// `async fn(T) -> Result<U, E>`. An `Err` fails the item.
    ///
    /// A closure that uses `?` leaves its error type open: end it with `Ok::<_, BoxError>(..)`, or
    /// use a named function.
    pub fn and_then<F, Fut, U, E>(
        self,
        function: F,
    ) -> Pipeline<U, Open<T, U, impl Stage<T, U, Error = E> + Clone>>
    where
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<U, E>> + Send + 'static,
        U: Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        self.method("and_then", stage_fn(function))
    }

    /// `fn(T) -> U` that blocks or computes for long, on threads of the runtime's blocking pool.
    ///
    /// Limited, ordered and bounded like any stage. A worker has a thread of the pool, and works on
    /// items as long as there are any: it is not one hand-over an item. At most `parallelism` workers
    /// are there at once; the pool keeps the threads of those that have left for a while, so more of
    /// them may be alive, idle. A body that runs cannot be cancelled: a run that is cancelled or drained
    /// ends when those in work have come back, and so does the shutdown of the runtime.
    ///
    /// Tokio's paused clock, in tests, stands still while any worker of such a stage is there.
    pub fn blocking<F, U>(self, function: F) -> Pipeline<U, Open<T, U, impl Stage<T, U> + Clone>>
    where
        F: Fn(T) -> U + Send + Sync + 'static,
        U: Send + 'static,
    {
        self.blocking_method(
            "blocking",
            Blocking::new(move |item| Ok::<_, Infallible>(function(item))),
        )
    }

    /// `fn(T) -> Result<U, E>` that blocks or computes for long; else as [`blocking`](Self::blocking).
    /// An `Err` fails the item.
    pub fn try_blocking<F, U, E>(
        self,
        function: F,
    ) -> Pipeline<U, Open<T, U, impl Stage<T, U, Error = E> + Clone>>
    where
        F: Fn(T) -> Result<U, E> + Send + Sync + 'static,
        U: Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        self.blocking_method("try_blocking", Blocking::new(function))
    }

    fn method<S, U>(self, name: &'static str, stage: S) -> Pipeline<U, Open<T, U, S>>
    where
        S: Stage<T, U> + Clone,
        U: Send + 'static,
    {
        let draft = StageDraft::method(name);
        self.open(draft, Typed::default(), by_cloning(stage))
    }

    fn blocking_method<S, U>(self, name: &'static str, stage: S) -> Pipeline<U, Open<T, U, S>>
    where
        S: Stage<T, U> + Clone,
        U: Send + 'static,
    {
        self.open(
            StageDraft {
                blocking: true,
                ..StageDraft::method(name)
            },
            Typed::default(),
            by_cloning(stage),
        )
    }

    fn open<S, U>(
        self,
        draft: StageDraft,
        typed: Typed<T>,
        maker: Maker<Adapt<S, T, U>>,
    ) -> Pipeline<U, Open<T, U, S>> {
        let upstream = tail::close(self.tail);
        Pipeline::new(Open::new(upstream, draft, typed, maker))
    }
}

/// Cheap functions, fused: they run inside the workers of the step before them, a nanosecond or two
/// an item instead of a hand-over. In parallel, so in no order of their own; a panic fails the item,
/// under the names of both (`decode+filter`). They take no options. Directly after a source they
/// are a stage of parallelism 1.
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// `fn(T) -> U`. Fused like the others, until it is given an option: `.map(f).parallelism(8)` is
    /// a stage.
    pub fn map<F, U>(self, function: F) -> Pipeline<U, Mapped<L, F>>
    where
        F: Fn(T) -> U + Send + Sync + 'static,
        U: Send + 'static,
    {
        Pipeline::new(Mapped::new(self.tail, function))
    }

    /// Leaves out the items for which `keep` is false. They are counted as filtered.
    pub fn filter<F>(
        self,
        keep: F,
    ) -> Pipeline<T, Fused<L, impl Fn(T) -> Option<T> + Send + Sync + 'static>>
    where
        F: Fn(&T) -> bool + Send + Sync + 'static,
    {
        self.fuse("filter", move |item| keep(&item).then_some(item))
    }

    /// Keeps what `function` makes `Some` of. The others are counted as filtered.
    pub fn filter_map<F, U>(self, function: F) -> Pipeline<U, Fused<L, F>>
    where
        F: Fn(T) -> Option<U> + Send + Sync + 'static,
        U: Send + 'static,
    {
        self.fuse("filter_map", function)
    }

    /// Looks at each item as it passes.
    pub fn inspect<F>(
        self,
        look: F,
    ) -> Pipeline<T, Fused<L, impl Fn(T) -> Option<T> + Send + Sync + 'static>>
    where
        F: Fn(&T) + Send + Sync + 'static,
    {
        self.fuse("inspect", move |item| {
            look(&item);
            Some(item)
        })
    }

    fn fuse<F, U>(self, kind: &'static str, function: F) -> Pipeline<U, Fused<L, F>>
    where
        F: Fn(T) -> Option<U>,
    {
        Pipeline::new(Fused::new(self.tail, kind, function))
    }
}
