//! Any stream adaptor between two steps.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::behind;
use crate::{
    engine::{Filler, Inlet, Intake, Role, Supply, Through, place_operator},
    pipeline::{
        Pipeline, Tail,
        graph::{Node, Operator},
        tail::{Closed, close},
    },
};

/// What the ecosystem has.
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// Any stream adaptor between two steps: `adaptor` is given the items as a stream, and the items of the
    /// stream that it makes of them go on. It is called when the run starts, and its stream is polled by one
    /// task.
    ///
    /// **Numbers its items anew**, as a source does, because nobody can know which ones an adaptor made of
    /// which: [origins](crate::error::Origin) behind it name another source, and the
    /// [report](crate::report::Report::items) counts what goes in and what comes out. An item that the
    /// adaptor was given counts as delivered when the adaptor asks for the next one or ends; what it gives
    /// counts as taken. So `taken` is the number of items of all sources and adaptors, and still everything
    /// that was taken is delivered, failed, filtered or cancelled.
    ///
    /// **Order** is the adaptor's. **Backpressure**: it is polled while the next step has room. What it holds
    /// itself is its own, and not in the bound of [`Job::plan`](crate::Job::plan).
    ///
    /// **An adaptor that ends early**, or drops its items, has had enough: the steps before it end, the
    /// source is closed, what was not read counts as cancelled, and the run goes on and finishes.
    /// **A drain** is the end of its items; one that never ends by itself is ended by the deadline. **A cancel**
    /// drops it. **A panic** of it ends the run ([`Cause::Stage`](crate::error::Cause::Stage)), because there is
    /// no item to be the error of.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    /// use tokio_stream::StreamExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let report = Pipeline::from_iter(0..)
    ///     .through(|numbers| numbers.skip_while(|n| *n < 3).take(4))
    ///     .map(|n| n * 10)
    ///     .collect()
    ///     .run()
    ///     .await?;
    /// assert_eq!(report.value, [30, 40, 50, 60]);
    /// # Ok(()) }
    /// ```
    pub fn through<F, S>(self, adaptor: F) -> Pipeline<S::Item>
    where
        F: FnOnce(Upstream<T>) -> S + Send + 'static,
        S: Stream<Item: Send + 'static> + Send + 'static,
    {
        let traits = Operator {
            // the item that the adaptor has
            holds: 1,
            renumbers: true,
            // nobody knows what it makes of them
            scatters: true,
            ..Operator::default()
        };
        let (from, upstream) = close(self.tail).split();
        let node = Node::new("through", traits.into(), vec![from]);
        Pipeline::new(Closed::new(node, move |assembly, from| {
            let input = upstream(assembly);
            let task = assembly.hub().task(Role::Operator);
            let bench = assembly.bench(&from.node);
            let output = behind(assembly, &from.node);
            let filler = Filler::new(output.clone(), task.seat());
            // of its own, as the adaptor may take the items to another task
            let own = assembly.hub().task(Role::Operator);
            let inlet = Inlet::new(input, own.seat());
            let (intake, supply) = Intake::new(own, inlet);
            let items = Upstream(supply);
            let source = assembly.source(&from.node);
            let make = move || adaptor(items);
            let start = place_operator(task, bench, Through::new(intake, filler, source, make));
            assembly.at_start(move |_| start());
            output
        }))
    }
}

/// The items that come to an adaptor: what [`through`](Pipeline::through) gives to its function.
///
/// It ends when nothing more comes. Dropped before that, the steps before it end. It may be moved to another
/// task; when the adaptor has ended it is at its end, too. It takes up to 64 items at once from the step before
/// it: those not asked for when the adaptor ends or the run is stopped count as cancelled at once, and are
/// dropped when it is asked again or dropped.
pub struct Upstream<T: Send + 'static>(Supply<T>);

impl<T: Send + 'static> Stream for Upstream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().0.poll_next(context)
    }
}

impl<T: Send + 'static> fmt::Debug for Upstream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}
