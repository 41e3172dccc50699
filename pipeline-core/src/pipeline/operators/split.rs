//! Each item to one of several branches.

use std::sync::Arc;

use super::behind;
use crate::{
    engine::{self, Broadcast, Filler, Inlet, Joint, Role, Split, place_operator},
    pipeline::{
        Assembly, Pipeline, Tail,
        graph::{Node, Operator, Port},
        tail::{Closed, close},
    },
    rt::Mutex,
};

/// One pipeline to several. Each branch is a pipeline of its own; all of them have to lead to an end, in
/// one job: by [`merge`](Pipeline::merge) or [`zip`](Pipeline::zip), or by
/// [`Job::join`](crate::Job::join). Else the start is refused
/// ([`BuildError::Unconnected`](crate::BuildError::Unconnected)).
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// The items for which `pick` is true, and the others.
    ///
    /// Both keep their order. 128 items wait in front of each branch; an item for a branch that is
    /// full waits, and so do those behind it, whichever branch they are for. If `pick` panics, its item
    /// fails, under the name of this step. A branch that takes nothing more (behind it a
    /// [`zip`](Pipeline::zip) has ended) drops its items as cancelled, and the other one goes on.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let (even, odd) = Pipeline::from_iter(0..10).split(|n| n % 2 == 0);
    /// let (even, odd) = even.collect().join(odd.count()).run().await?.value;
    /// assert_eq!((even, odd), (vec![0, 2, 4, 6, 8], 5));
    /// # Ok(()) }
    /// ```
    pub fn split<F>(self, pick: F) -> (Pipeline<T>, Pipeline<T>)
    where
        F: Fn(&T) -> bool + Send + Sync + 'static,
    {
        let pick = move |item: &T| usize::from(!pick(item));
        let [picked, others] = branches(self, "split", |inlet, branches| {
            Split::new(inlet, branches, pick)
        });
        (picked, others)
    }

    /// Each item to the branch that `pick` names, counted from 0.
    ///
    /// Order, what waits and what a branch does that takes nothing more are as with
    /// [`split`](Pipeline::split). An item for which `pick` gives `N` or more fails, and so does one for
    /// which it panics, under the name of this step.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let [zero, one, two] = Pipeline::from_iter(0..10usize).route(|n| n % 3);
    /// let ones = one.map(|n| n * 10).parallelism(2);
    /// let counts = Job::join_all([zero.count(), ones.count(), two.count()]).run().await?.value;
    /// assert_eq!(counts, [4, 3, 3]);
    /// # Ok(()) }
    /// ```
    pub fn route<const N: usize>(
        self,
        pick: impl Fn(&T) -> usize + Send + Sync + 'static,
    ) -> [Pipeline<T>; N] {
        const { assert!(N > 0, "a route has at least one branch") }
        branches(self, "route", |inlet, branches| {
            Split::new(inlet, branches, pick)
        })
    }

    /// Each item to all branches, as clones; the last one gets the item itself.
    ///
    /// All keep their order. 128 items wait in front of each branch, and the next item goes out when all
    /// of them have room: the slowest branch holds up all. A branch that takes nothing more (behind it a
    /// [`zip`](Pipeline::zip) has ended) is passed over. For large items let `T` be an `Arc`.
    ///
    /// In the report an item is one item, however many branches it goes to, and ends when the last
    /// of them has ended it: it has failed if any has failed, else it was delivered if any delivered it. A
    /// panic of `Clone` fails it, under the name of this step, before any branch has got it.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let [numbers, more] = Pipeline::from_iter(1..=4).broadcast();
    /// let sum = numbers.fold(0, |sum, n| sum + n);
    /// let product = more.fold(1, |product, n| product * n);
    /// let report = sum.join(product).run().await?;
    /// assert_eq!((report.value, report.items.delivered), ((10, 24), 4));
    /// # Ok(()) }
    /// ```
    pub fn broadcast<const N: usize>(self) -> [Pipeline<T>; N]
    where
        T: Clone,
    {
        const { assert!(N > 0, "a broadcast has at least one branch") }
        branches(self, "broadcast", Broadcast::new)
    }
}

type Make<T> = Box<dyn FnOnce(&mut Assembly, &Arc<Node>) -> Vec<Option<Joint<T>>> + Send>;

/// What makes the edges of all branches, once.
struct Fork<T: Send + 'static> {
    make: Option<Make<T>>,
    edges: Vec<Option<Joint<T>>>,
}

/// An operator with one input and `N` outputs of the same kind.
pub(super) fn branches<T, U, L, O, const N: usize>(
    upstream: Pipeline<T, L>,
    method: &'static str,
    make: impl FnOnce(Inlet<T>, Vec<Filler<U>>) -> O + Send + 'static,
) -> [Pipeline<U>; N]
where
    T: Send + 'static,
    U: Send + 'static,
    L: Tail<Item = T>,
    O: engine::Operator,
{
    let traits = Operator {
        options: format!("{N} branches"),
        branches: N,
        ..Operator::default()
    };
    let (from, upstream) = close(upstream.tail).split();
    let node = Node::new(method, traits.into(), vec![from]);
    let make = move |assembly: &mut Assembly, node: &Arc<Node>| {
        let input = upstream(assembly);
        let task = assembly.hub().task(Role::Operator);
        let bench = assembly.bench(node);
        let edges: Vec<Joint<U>> = (0..N).map(|_| behind(assembly, node)).collect();
        let fillers = edges.iter().cloned();
        let fillers = fillers.map(|edge| Filler::new(edge, task.seat())).collect();
        let inlet = Inlet::new(input, task.seat());
        let start = place_operator(task, bench, make(inlet, fillers));
        assembly.at_start(move |_| start());
        edges.into_iter().map(Some).collect()
    };
    let fork = Arc::new(Mutex::new(Fork {
        make: Some(Box::new(make)),
        edges: Vec::new(),
    }));
    std::array::from_fn(|branch| {
        let fork = Arc::clone(&fork);
        let port = Port {
            node: Arc::clone(&node),
            branch,
        };
        Pipeline::new(Closed::new(port, move |assembly, from| {
            let mut fork = fork.lock();
            if let Some(make) = fork.make.take() {
                fork.edges = make(assembly, &from.node);
            }
            // each branch is built once
            fork.edges[from.branch]
                .take()
                .unwrap_or_else(|| behind(assembly, &from.node))
        }))
    })
}
