//! The source and the sink of the tests.

use std::fmt;

use pipeline_core::sink::Sink;
use pipeline_core::source::Source;

use crate::flow::Flow;
use crate::tally::{Fault, Item};
use crate::ticket::{Closing, Kind, Ticket};

impl Flow {
    /// A source that asks `next` before each item: `true` gives the item, `false` ends it.
    pub fn source<F, Fut>(&self, next: F) -> TestSource<F>
    where
        F: FnMut(u64) -> Fut + Send + 'static,
        Fut: Future<Output = Result<bool, Fault>> + Send + 'static,
    {
        TestSource {
            next,
            index: 0,
            flow: self.clone(),
            ticket: Ticket::new(self, Kind::Source, Closing::Quiet),
        }
    }

    /// A sink that calls `write` for each item, and counts it as written when that succeeds.
    pub fn sink<F, Fut>(&self, write: F) -> TestSink<F>
    where
        F: FnMut(u64) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        self.hears_end();
        TestSink {
            write,
            flow: self.clone(),
            ticket: Ticket::new(self, Kind::Sink, Closing::Quiet),
        }
    }

    /// An error that is counted.
    pub fn fault(&self, text: &str) -> Fault {
        Fault::new(self.tally(), text)
    }
}

/// A source under watch.
pub struct TestSource<F> {
    next: F,
    index: u64,
    flow: Flow,
    ticket: Ticket,
}

impl<F> TestSource<F> {
    /// Sets what closing does.
    #[must_use]
    pub fn closing(mut self, closing: Closing) -> Self {
        self.ticket.set_closing(closing);
        self
    }
}

impl<F> fmt::Debug for TestSource<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSource")
            .field("index", &self.index)
            .finish()
    }
}

impl<F, Fut> Source for TestSource<F>
where
    F: FnMut(u64) -> Fut + Send + 'static,
    Fut: Future<Output = Result<bool, Fault>> + Send + 'static,
{
    type Item = Item;
    type Error = Fault;

    async fn next(&mut self) -> Result<Option<Item>, Fault> {
        self.flow.called("source");
        let turn = self.ticket.turn();
        let more = (self.next)(self.index).await;
        turn.over();
        if !more? {
            return Ok(None);
        }
        let item = self.flow.pull(self.index);
        self.index += 1;
        Ok(Some(item))
    }

    async fn close(self) -> Result<(), Fault> {
        self.ticket.close().await
    }
}

/// A sink under watch.
pub struct TestSink<F> {
    write: F,
    flow: Flow,
    ticket: Ticket,
}

impl<F> TestSink<F> {
    /// Sets what closing does.
    #[must_use]
    pub fn closing(mut self, closing: Closing) -> Self {
        self.ticket.set_closing(closing);
        self
    }
}

impl<F> fmt::Debug for TestSink<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSink").finish_non_exhaustive()
    }
}

impl<F, Fut> Sink<Item> for TestSink<F>
where
    F: FnMut(u64) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), Fault>> + Send + 'static,
{
    type Error = Fault;

    async fn write(&mut self, items: &mut Vec<Item>) -> Result<(), Fault> {
        let turn = self.ticket.turn();
        let result = async {
            while let Some(first) = items.first() {
                self.flow.called("sink");
                (self.write)(first.index).await?;
                self.flow.hand(items.remove(0));
            }
            Ok(())
        };
        let result = result.await;
        turn.over();
        result
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        self.flow.called("flush");
        Ok(())
    }

    async fn close(self) -> Result<(), Fault> {
        self.ticket.close().await
    }
}
