//! The stage of the tests: a function in a frame that watches.

use std::fmt;
use std::future::{Ready, poll_fn, ready};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use pipeline_core::config::Order;
use pipeline_core::pipeline::{Pipeline, StageTail};
use pipeline_core::stage::Stage;
use tokio::time::sleep;

use crate::flow::Flow;
use crate::gate::Gates;
use crate::gauge::{Gauge, Inside};
use crate::tally::{Fault, Item};
use crate::ticket::{Closing, Kind, Ticket};

/// Options by value.
pub trait InOrder {
    /// `ordered()` or `unordered()`.
    #[must_use]
    fn in_order(self, order: Order) -> Self;
}

impl<T, L: StageTail> InOrder for Pipeline<T, L> {
    fn in_order(self, order: Order) -> Self {
        match order {
            Order::Unordered => self.unordered(),
            _ => self.ordered(),
        }
    }
}

impl Flow {
    /// A stage that calls `function` for each item. No more than `limit` may run at once.
    pub fn body<F, Fut>(&self, limit: usize, function: F) -> Body<F>
    where
        F: Fn(Item) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Item, Fault>> + Send + 'static,
    {
        Body {
            function: Arc::new(function),
            flow: self.clone(),
            gauge: self.gauge(limit),
            ticket: Ticket::new(self, Kind::State, Closing::Quiet),
        }
    }

    /// [`Flow::body`] with something that each call gets a clone of.
    pub fn body_with<C, F, Fut>(
        &self,
        limit: usize,
        context: C,
        function: F,
    ) -> Body<impl Fn(Item) -> Fut + Send + Sync + 'static>
    where
        C: Clone + Send + Sync + 'static,
        F: Fn(Item, C) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Item, Fault>> + Send + 'static,
    {
        self.body(limit, move |item| function(item, context.clone()))
    }

    /// A stage that does nothing.
    pub fn pass(
        &self,
        limit: usize,
    ) -> Body<impl Fn(Item) -> Ready<Result<Item, Fault>> + 'static> {
        self.body(limit, |item| ready(Ok(item)))
    }

    /// A stage whose items wait, each at its gate.
    pub fn gated(
        &self,
        limit: usize,
        gates: &Gates,
    ) -> Body<impl Fn(Item) -> BoxFuture<'static, Result<Item, Fault>> + 'static> {
        self.body_with(limit, gates.clone(), |item, gates| {
            async move {
                gates.pass(item.index).await;
                Ok(item)
            }
            .boxed()
        })
    }

    /// A stage that takes `duration(index)` for each item.
    pub fn sleeps(
        &self,
        limit: usize,
        duration: impl Fn(u64) -> Duration + Send + Sync + 'static,
    ) -> Body<impl Fn(Item) -> BoxFuture<'static, Result<Item, Fault>> + 'static> {
        self.body(limit, move |item| {
            let duration = duration(item.index);
            async move {
                sleep(duration).await;
                Ok(item)
            }
            .boxed()
        })
    }

    /// A stage that fails where `fails` says so, with the text `broken`.
    pub fn breaks(
        &self,
        limit: usize,
        fails: impl Fn(u64) -> bool + Send + Sync + 'static,
    ) -> Body<impl Fn(Item) -> Ready<Result<Item, Fault>> + 'static> {
        self.body(limit, move |item| {
            ready(if fails(item.index) {
                Err(item.fault("broken"))
            } else {
                Ok(item)
            })
        })
    }
}

/// A stage under watch: who is inside, which items failed, what is polled or closed when it should not be.
pub struct Body<F> {
    function: Arc<F>,
    flow: Flow,
    gauge: Gauge,
    ticket: Ticket,
}

impl<F> Body<F> {
    /// Its gauge, shared by all workers.
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// Sets what closing a worker's state does.
    #[must_use]
    pub fn closing(mut self, closing: Closing) -> Self {
        self.ticket.set_closing(closing);
        self
    }
}

impl<F> Clone for Body<F> {
    fn clone(&self) -> Self {
        self.flow.called("clone of a stage");
        Body {
            function: self.function.clone(),
            flow: self.flow.clone(),
            gauge: self.gauge.clone(),
            ticket: self.ticket.duplicate(),
        }
    }
}

impl<F> fmt::Debug for Body<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("gauge", &self.gauge).finish()
    }
}

impl<F, Fut> Stage<Item, Item> for Body<F>
where
    F: Fn(Item) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Item, Fault>> + Send + 'static,
{
    type Error = Fault;

    fn process(&mut self, item: Item) -> impl Future<Output = Result<Item, Fault>> + Send {
        let turn = self.ticket.turn();
        let visit = Visit::new(&self.flow, &self.gauge, item.index);
        // called here and not in the future below, so that a panic of the call is one
        let work = (self.function)(item);
        async move {
            let result = {
                let mut work = pin!(work);
                poll_fn(|context| {
                    visit.polled();
                    work.as_mut().poll(context)
                })
                .await
            };
            visit.over(result.is_err());
            turn.over();
            result.map(Item::output)
        }
    }

    async fn close(self) -> Result<(), Fault> {
        self.ticket.close().await
    }
}

/// One item in a body.
struct Visit {
    flow: Flow,
    index: u64,
    over: bool,
    _inside: Inside,
}

impl Visit {
    fn new(flow: &Flow, gauge: &Gauge, index: u64) -> Self {
        flow.called("body");
        Visit {
            flow: flow.clone(),
            index,
            over: false,
            _inside: gauge.enter(index),
        }
    }

    fn polled(&self) {
        self.flow.called("poll of a body");
    }

    fn over(mut self, failed: bool) {
        self.over = true;
        if failed {
            self.flow.failed(self.index);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.over && thread::panicking() {
            self.flow.failed(self.index);
        }
    }
}
