//! Steps that change the shape of the flow: one file an operator.
//!
//! | file | has |
//! | --- | --- |
//! | `batch` | `batch`, `batch_weighted`, `batch_by` |
//! | `flatten` | `flatten`, `flat_map`, `flatten_stream`, `flat_map_stream` |
//! | `delay` | `delay`, `delay_until`, `delay_by` |
//! | `schedule` | the handle to what waits in a `delay_by` |
//! | `split` | `split`, `route` |
//! | `throttle` | `throttle` |
//! | `through` | `through` |

mod batch;
mod delay;
mod flatten;
mod schedule;
mod split;
mod throttle;
mod through;

pub use through::Upstream;

pub use schedule::Schedule;

use super::{
    Pipeline,
    assembly::Assembly,
    graph::{Node, Operator},
    tail::{Closed, Tail, close},
};
use crate::engine::{self, Filler, Inlet, Joint, Role, place_operator};

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
        let output = behind(assembly, &from.node);
        let filler = Filler::new(output.clone(), task.seat());
        let (name, _) = assembly.names(&from.node);
        let start = place_operator(task, name, make(Inlet::new(input), filler));
        assembly.at_start(move |_| start());
        output
    }))
}

/// The edge behind an operator, or behind one of its branches.
fn behind<T: Send + 'static>(assembly: &Assembly, node: &Node) -> Joint<T> {
    Joint::new(assembly.hub(), node.kind.capacity())
}
