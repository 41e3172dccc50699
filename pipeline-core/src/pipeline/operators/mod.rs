//! Steps that change the shape of the flow: one file an operator.
//!
//! | file | has |
//! | --- | --- |
//! | `batch` | `batch`, `batch_weighted`, `batch_by` |
//! | `flatten` | `flatten`, `flat_map`, `flatten_stream`, `flat_map_stream` |
//! | `delay` | `delay`, `delay_until`, `delay_by` |
//! | `merge` | `merge`, `merge_all`, `merge_ordered`, `merge_all_ordered` |
//! | `schedule` | the handle to what waits in a `delay_by` |
//! | `split` | `split`, `route`, `broadcast` |
//! | `throttle` | `throttle` |
//! | `through` | `through` |
//! | `zip` | `zip` |

mod batch;
mod delay;
mod flatten;
mod merge;
mod schedule;
mod split;
mod throttle;
mod through;
mod zip;

use std::sync::Arc;

pub use schedule::Schedule;
pub use through::Upstream;

use super::{
    Pipeline,
    assembly::Assembly,
    graph::{Node, Operator, Port},
    tail::{Closed, Tail, close},
};
use crate::engine::{self, Brim, Filler, Inlet, Join, Joint, Role, Seat, place_operator};

/// An operator with one input and one output.
fn after<T, L, U, O>(
    upstream: Pipeline<T, L>,
    method: &'static str,
    traits: Operator,
    make: impl FnOnce(Inlet<T>, Filler<U>) -> O + Send + 'static,
) -> Pipeline<U>
where
    T: Send + 'static,
    L: Tail<Item = T>,
    U: Send + 'static,
    O: engine::Operator,
{
    let (from, upstream) = close(upstream.tail).split();
    let node = Node::new(method, traits.into(), vec![from]);
    Pipeline::new(Closed::new(node, move |assembly, from| {
        let input = upstream(assembly);
        let task = assembly.hub().task(Role::Operator);
        let bench = assembly.bench(&from.node);
        let output = behind(assembly, &from.node);
        let filler = Filler::new(output.clone(), task.seat());
        let inlet = Inlet::new(input, task.seat());
        let start = place_operator(task, bench, make(inlet, filler));
        assembly.at_start(move |_| start());
        output
    }))
}

/// Where the inputs of an operator with several come in: they share a task.
struct Entrance<'a> {
    assembly: &'a Assembly,
    node: &'a Node,
    seat: &'a Arc<Seat>,
    brims: Vec<Arc<dyn Brim>>,
}

impl Entrance<'_> {
    /// In the order of the node's inputs.
    fn inlet<T: Send + 'static>(&mut self, edge: Joint<T>) -> Inlet<T> {
        let inlet = Inlet::new(edge, self.seat);
        self.brims.push(inlet.brim());
        inlet
    }

    /// For a step that may wait for one of them while others fill up.
    fn join(self) -> Arc<Join> {
        let names = self.assembly.input_names(self.node);
        let join = Join::new(names.zip(self.brims).collect());
        self.assembly.hub().add(join.clone());
        join
    }
}

/// An operator with several inputs, whose edges are made by `open`, and one output.
fn behind_several<I, U, O>(
    method: &'static str,
    traits: Operator,
    inputs: Vec<Port>,
    open: impl FnOnce(&mut Assembly) -> I + Send + 'static,
    make: impl FnOnce(I, Entrance<'_>, Filler<U>) -> O + Send + 'static,
) -> Pipeline<U>
where
    U: Send + 'static,
    O: engine::Operator,
{
    let node = Node::new(method, traits.into(), inputs);
    Pipeline::new(Closed::new(node, move |assembly, from| {
        let inputs = open(assembly);
        let task = assembly.hub().task(Role::Operator);
        let bench = assembly.bench(&from.node);
        let output = behind(assembly, &from.node);
        let filler = Filler::new(output.clone(), task.seat());
        let entrance = Entrance {
            assembly,
            node: &from.node,
            seat: task.seat(),
            brims: Vec::new(),
        };
        let operator = make(inputs, entrance, filler);
        let start = place_operator(task, bench, operator);
        assembly.at_start(move |_| start());
        output
    }))
}

/// The edge behind an operator, or behind one of its branches.
fn behind<T: Send + 'static>(assembly: &Assembly, node: &Node) -> Joint<T> {
    Joint::new(assembly.hub(), node.kind.capacity())
}
