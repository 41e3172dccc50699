//! Large items travel in boxes.
//!
//! Items are moved into a ring and out of it by value, under its lock. For small ones that is the
//! cheapest there is. Items of 16 KiB cost 20 to 40 us each that way, and 2 us in a box (no-op
//! stage, 2 cores). So an edge of a large type is an edge of boxes, filled and emptied outside of
//! the lock by the adapters here; the rest of the engine knows nothing of it. Which of the two a type
//! needs is known when it is compiled, and only that one is.

use std::sync::Arc;

use super::{
    edge::Edge,
    hub::Hub,
    keys::in_boxes,
    limits::LARGE,
    station::{Fuse, StationParts, Work},
};

/// An edge of items, or of boxes of them if they are [large](is_large).
#[derive(Debug)]
pub(crate) enum Joint<T> {
    Plain(Arc<Edge<T>>),
    Boxed(Arc<Edge<Box<T>>>),
}

impl<T> Clone for Joint<T> {
    fn clone(&self) -> Self {
        match self {
            Joint::Plain(edge) => Joint::Plain(Arc::clone(edge)),
            Joint::Boxed(edge) => Joint::Boxed(Arc::clone(edge)),
        }
    }
}

/// Whether items of this type travel in boxes. Asked in constant conditions, so that the branch that
/// is never taken is not compiled.
pub(super) const fn is_large<T>() -> bool {
    size_of::<T>() > LARGE
}

impl<T: Send + 'static> Joint<T> {
    pub(crate) fn new(hub: &Arc<Hub>, capacity: usize) -> Self {
        if const { is_large::<T>() } {
            Joint::Boxed(Edge::new(hub, capacity))
        } else {
            Joint::Plain(Edge::new(hub, capacity))
        }
    }
}

/// A stage that takes its items out of boxes.
pub(super) struct Unboxing<W>(W);

impl<W: Work> Work for Unboxing<W> {
    type In = Box<W::In>;
    type Item = W::Item;
    type Out = W::Out;
    type Error = W::Error;

    fn copy(input: &Box<W::In>, copy: fn(&W::Item) -> W::Item) -> Box<W::In> {
        Box::new(W::copy(input, copy))
    }

    fn unpack(input: Box<W::In>) -> W::Item {
        W::unpack(*input)
    }

    fn process(
        &mut self,
        item: Box<W::In>,
    ) -> impl Future<Output = Result<W::Out, W::Error>> + Send {
        self.0.process(*item)
    }

    fn close(self) -> impl Future<Output = Result<(), W::Error>> + Send {
        self.0.close()
    }
}

pub(super) fn unboxing<W: Work, P>(parts: StationParts<W, P>) -> StationParts<Unboxing<W>, P> {
    let StationParts {
        plan,
        mut maker,
        recovery,
        keys,
        fuse,
    } = parts;
    StationParts {
        plan,
        maker: Box::new(move || {
            let making = maker();
            Box::pin(async move { making.await.map(Unboxing) })
        }),
        recovery,
        keys: keys.map(in_boxes),
        fuse,
    }
}

/// Fused steps whose results go into boxes.
pub(super) struct Boxing<P>(P);

impl<T, P: Fuse<T>> Fuse<T> for Boxing<P> {
    type Out = Box<P::Out>;

    fn apply(&self, item: T) -> Option<Box<P::Out>> {
        self.0.apply(item).map(Box::new)
    }
}

pub(super) fn boxing<W: Work, P>(parts: StationParts<W, P>) -> StationParts<W, Boxing<P>> {
    let StationParts {
        plan,
        maker,
        recovery,
        keys,
        fuse,
    } = parts;
    StationParts {
        plan,
        maker,
        recovery,
        keys,
        fuse: Boxing(fuse),
    }
}
