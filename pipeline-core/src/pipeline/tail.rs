//! The last step of a pipeline, by type. The next step closes it: then only the item type is left,
//! behind one closure that is called once, at the start. No call an item is dynamic.

use std::{fmt, sync::Arc};

use super::{
    assembly::Assembly,
    draft::StageDraft,
    graph::{Node, Operator, Port},
};
use crate::{
    engine::{
        Fuse, Identity, Joint, Keys, Maker, Recovery, StationParts, StationPlan, Work,
        launch_station,
    },
    plan::Mistake,
    stage::{Adapt, Map, Stage, by_cloning},
};

/// Nothing left to add to: a source, or a pipeline in a signature.
pub struct Closed<T> {
    /// The last step.
    from: Port,
    build: Build<T>,
}

/// Makes everything up to the edge behind a step, once for all of its branches.
type Build<T> = Box<dyn FnOnce(&mut Assembly, &Port) -> Joint<T> + Send>;

impl<T: Send + 'static> Closed<T> {
    pub(super) fn new(
        from: impl Into<Port>,
        build: impl FnOnce(&mut Assembly, &Port) -> Joint<T> + Send + 'static,
    ) -> Self {
        Closed {
            from: from.into(),
            build: Box::new(build),
        }
    }

    /// The last step, as long as no other one knows of it.
    pub(super) fn last_mut(&mut self) -> Option<&mut Node> {
        Arc::get_mut(&mut self.from.node)
    }

    /// Puts a step behind it that is refused at the start.
    pub(super) fn misplace_buffer(&mut self) {
        let kind = Operator {
            mistake: Some(Mistake::MisplacedBuffer),
            ..Operator::default()
        };
        self.from = Node::new("buffer", kind.into(), vec![self.from.clone()]).into();
    }

    /// The last step, and what makes everything up to the edge behind it.
    pub(super) fn split(
        self,
    ) -> (
        Port,
        impl FnOnce(&mut Assembly) -> Joint<T> + Send + 'static,
    ) {
        let Closed { from, build } = self;
        let outlet = from.clone();
        (outlet, move |assembly: &mut Assembly| {
            build(assembly, &from)
        })
    }

    /// With a stage behind it.
    fn followed_by<W: Work<In = T, Item = T>, P: Fuse<W::Out>>(
        self,
        draft: StageDraft,
        mut typed: Typed<T>,
        maker: Maker<W>,
        fuse: P,
        fused: Vec<&'static str>,
    ) -> Closed<P::Out> {
        let (from, upstream) = self.split();
        let (node, plan) = draft.resolve(&mut typed, fused, from);
        let Typed { recovery, keys } = typed;
        Closed::new(node, move |assembly, from| {
            let input = upstream(assembly);
            let (name, fused_name) = assembly.names(&from.node);
            let plan = StationPlan {
                name,
                fused_name,
                ..plan
            };
            let parts = StationParts {
                plan,
                maker,
                recovery,
                keys,
                fuse,
            };
            let hub = Arc::clone(assembly.hub());
            launch_station(&hub, parts, &input, &mut assembly.preparations)
        })
    }
}

/// The options of a stage that speak of its items.
pub struct Typed<T> {
    pub(super) recovery: Recovery<T>,
    pub(super) keys: Option<Box<dyn Keys<T>>>,
}

impl<T> Default for Typed<T> {
    fn default() -> Self {
        Typed {
            recovery: Recovery::default(),
            keys: None,
        }
    }
}

impl<T> Typed<T> {
    fn is_set(&self) -> bool {
        self.recovery.is_set() || self.keys.is_some()
    }
}

/// A stage that takes options. Making a worker's value is rare, so only that call is dynamic.
pub struct Open<In, Out, S> {
    upstream: Closed<In>,
    draft: StageDraft,
    typed: Typed<In>,
    maker: Maker<Adapt<S, In, Out>>,
}

impl<In, Out, S> Open<In, Out, S> {
    pub(super) fn new(
        upstream: Closed<In>,
        draft: StageDraft,
        typed: Typed<In>,
        maker: Maker<Adapt<S, In, Out>>,
    ) -> Self {
        Open {
            upstream,
            draft,
            typed,
            maker,
        }
    }
}

/// A step with a function fused into it: no edge and no task of its own.
pub struct Fused<L, F> {
    inner: L,
    kind: &'static str,
    function: F,
}

impl<L, F> Fused<L, F> {
    pub(super) fn new(inner: L, kind: &'static str, function: F) -> Self {
        Fused {
            inner,
            kind,
            function,
        }
    }
}

/// A `map`: when closed, fused like the others, or a stage if an option was set.
pub struct Mapped<L: Tail, F> {
    inner: L,
    draft: StageDraft,
    typed: Typed<L::Item>,
    function: Map<F>,
}

impl<L: Tail, F> Mapped<L, F> {
    pub(super) fn new(inner: L, function: F) -> Self {
        Mapped {
            inner,
            draft: StageDraft::method("map"),
            typed: Typed::default(),
            function: Map::new(function),
        }
    }
}

/// A last step that gives `Item`. Sealed: the steps of this crate are all there are.
pub trait Tail: Sealed + Send + 'static {
    /// What it gives.
    type Item: Send + 'static;

    /// Takes no more options; what is in `after` runs inside its workers.
    #[doc(hidden)]
    fn close<P: After<Self::Item>>(self, after: P, fused: Vec<&'static str>) -> Closed<P::Out>;
}

pub(super) fn close<L: Tail>(tail: L) -> Closed<L::Item> {
    tail.close(Identity, Vec::new())
}

/// A last step that takes options. Sealed.
#[diagnostic::on_unimplemented(
    message = "options are set directly after the stage they are for",
    label = "the step before this takes no options",
    note = "`filter`, `filter_map` and `inspect` run inside the step before them: set its options first"
)]
pub trait StageTail: Sealed {
    /// What the stage takes.
    type In;
    /// What works on it.
    type Stage;

    #[doc(hidden)]
    fn draft(&mut self) -> &mut StageDraft;

    #[doc(hidden)]
    fn typed(&mut self) -> &mut Typed<Self::In>;
}

/// Keeps others from implementing [`Tail`] and [`StageTail`].
pub trait Sealed {}

impl<T> Sealed for Closed<T> {}
impl<In, Out, S> Sealed for Open<In, Out, S> {}
impl<L, F> Sealed for Fused<L, F> {}
impl<L: Tail, F> Sealed for Mapped<L, F> {}

#[diagnostic::do_not_recommend]
impl<In, Out, S> StageTail for Open<In, Out, S> {
    type In = In;
    type Stage = S;

    fn draft(&mut self) -> &mut StageDraft {
        &mut self.draft
    }

    fn typed(&mut self) -> &mut Typed<In> {
        &mut self.typed
    }
}

#[diagnostic::do_not_recommend]
impl<L: Tail, F> StageTail for Mapped<L, F> {
    type In = L::Item;
    type Stage = Map<F>;

    fn draft(&mut self) -> &mut StageDraft {
        &mut self.draft
    }

    fn typed(&mut self) -> &mut Typed<L::Item> {
        &mut self.typed
    }
}

impl<T: Send + 'static> Tail for Closed<T> {
    type Item = T;

    fn close<P: After<T>>(self, after: P, fused: Vec<&'static str>) -> Closed<P::Out> {
        after.behind(self, fused)
    }
}

impl<In, Out, S> Tail for Open<In, Out, S>
where
    In: Send + 'static,
    Out: Send + 'static,
    S: Stage<In, Out>,
{
    type Item = Out;

    fn close<P: After<Out>>(self, after: P, fused: Vec<&'static str>) -> Closed<P::Out> {
        self.upstream
            .followed_by(self.draft, self.typed, self.maker, after, fused)
    }
}

impl<L, T, F> Tail for Fused<L, F>
where
    L: Tail,
    T: Send + 'static,
    F: Fn(L::Item) -> Option<T> + Send + Sync + 'static,
{
    type Item = T;

    fn close<P: After<T>>(self, after: P, mut fused: Vec<&'static str>) -> Closed<P::Out> {
        fused.insert(0, self.kind);
        self.inner.close(Maybe(self.function, after), fused)
    }
}

impl<L, T, F> Tail for Mapped<L, F>
where
    L: Tail,
    T: Send + 'static,
    F: Fn(L::Item) -> T + Send + Sync + 'static,
{
    type Item = T;

    fn close<P: After<T>>(self, after: P, mut fused: Vec<&'static str>) -> Closed<P::Out> {
        if self.draft.is_set() || self.typed.is_set() {
            return close(self.inner).followed_by(
                self.draft,
                self.typed,
                by_cloning(self.function),
                after,
                fused,
            );
        }
        fused.insert(0, "map");
        self.inner.close(Always(self.function, after), fused)
    }
}

/// What is fused into the step before it, with the means to stand behind a step that takes nothing in.
pub trait After<T>: Fuse<T> + Sized {
    #[doc(hidden)]
    fn behind(self, closed: Closed<T>, fused: Vec<&'static str>) -> Closed<Self::Out>;
}

impl<T: Send + 'static> After<T> for Identity {
    fn behind(self, closed: Closed<T>, _: Vec<&'static str>) -> Closed<T> {
        closed
    }
}

/// A fused function that may leave an item out, and what comes after it.
#[derive(Debug)]
struct Maybe<F, P>(F, P);

impl<T, U, F, P> Fuse<T> for Maybe<F, P>
where
    F: Fn(T) -> Option<U> + Send + Sync + 'static,
    P: Fuse<U>,
{
    type Out = P::Out;

    #[inline]
    fn apply(&self, item: T) -> Option<P::Out> {
        self.1.apply((self.0)(item)?)
    }
}

impl<T, U, F, P> After<T> for Maybe<F, P>
where
    T: Send + 'static,
    F: Fn(T) -> Option<U> + Send + Sync + 'static,
    P: Fuse<U>,
{
    fn behind(self, closed: Closed<T>, fused: Vec<&'static str>) -> Closed<P::Out> {
        in_a_stage_of_its_own(closed, self, &fused)
    }
}

/// A fused `map`, and what comes after it.
#[derive(Debug)]
struct Always<F, P>(Map<F>, P);

impl<T, U, F, P> Fuse<T> for Always<F, P>
where
    F: Fn(T) -> U + Send + Sync + 'static,
    P: Fuse<U>,
{
    type Out = P::Out;

    #[inline]
    fn apply(&self, item: T) -> Option<P::Out> {
        self.1.apply(self.0.function()(item))
    }
}

impl<T, U, F, P> After<T> for Always<F, P>
where
    T: Send + 'static,
    F: Fn(T) -> U + Send + Sync + 'static,
    P: Fuse<U>,
{
    fn behind(self, closed: Closed<T>, fused: Vec<&'static str>) -> Closed<P::Out> {
        in_a_stage_of_its_own(closed, self, &fused)
    }
}

/// A source has no workers to fuse anything into, so there is a stage that does nothing else.
fn in_a_stage_of_its_own<T, P>(closed: Closed<T>, fuse: P, fused: &[&'static str]) -> Closed<P::Out>
where
    T: Send + 'static,
    P: Fuse<T>,
{
    let (kind, rest) = fused
        .split_first()
        .map_or(("map", fused), |(kind, rest)| (*kind, rest));
    closed.followed_by(
        StageDraft::method(kind),
        Typed::default(),
        by_cloning(Map::new(|item: T| item)),
        fuse,
        rest.to_vec(),
    )
}

macro_rules! debug_by_name {
    ($($name:ident<$($parameter:ident $(: $bound:path)?),*>)*) => {$(
        impl<$($parameter $(: $bound)?),*> fmt::Debug for $name<$($parameter),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}
debug_by_name!(Typed<T> Closed<T> Open<In, Out, S> Fused<L, F> Mapped<L: Tail, F>);
