//! The life of a value that the library owns and has to close: a worker's state, a source, a sink.
//!
//! The rule: closed once on every way out, but for a worker's state whose body panicked or was dropped half-way: that is
//! only dropped. When the owner of a run is dropped, or its runtime, `Drop` takes the place of `close`.

use std::future::pending;

use tokio::time::sleep;

use crate::flow::Flow;
use crate::tally::{Class, Fault, Token};
use crate::time::ms;

/// What a test value does when it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Closing {
    /// Nothing.
    #[default]
    Quiet,
    /// Fails with the text `close failed`.
    Fails,
    /// Panics with the text `close panicked`.
    Panics,
    /// Takes a second.
    Dawdles,
    /// Never ends.
    Hangs,
}

/// Which kind of value it is: they differ in what spoils them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A worker's value of a stage. One that never saw an item may be a prototype, which nobody closes.
    State,
    /// A source.
    Source,
    /// A sink.
    Sink,
}

/// Goes with a value and watches that it is closed as it should be.
#[derive(Debug)]
pub struct Ticket {
    flow: Flow,
    kind: Kind,
    closing: Closing,
    used: bool,
    spoiled: bool,
    closed: bool,
    _token: Token,
}

impl Ticket {
    /// Of a new value.
    pub fn new(flow: &Flow, kind: Kind, closing: Closing) -> Self {
        Ticket {
            flow: flow.clone(),
            kind,
            closing,
            used: false,
            spoiled: false,
            closed: false,
            _token: flow.tally().token(Class::State),
        }
    }

    /// Of a clone of the value.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Ticket::new(&self.flow, self.kind, self.closing)
    }

    /// Sets what closing does.
    pub fn set_closing(&mut self, closing: Closing) {
        self.closing = closing;
    }

    /// The value is at work until the turn is over.
    pub fn turn(&mut self) -> Turn<'_> {
        self.used = true;
        Turn {
            ticket: self,
            over: false,
        }
    }

    /// The value is closed.
    ///
    /// # Errors
    ///
    /// If it is to fail.
    ///
    /// # Panics
    ///
    /// If it is to panic.
    pub async fn close(mut self) -> Result<(), Fault> {
        self.closed = true;
        self.flow.called(&format!("close of a {:?}", self.kind));
        self.flow.closed(self.kind);
        if self.spoiled {
            self.flow.blame(format!(
                "a {:?} was closed that should only be dropped",
                self.kind
            ));
        }
        match self.closing {
            Closing::Quiet => Ok(()),
            Closing::Fails => Err(Fault::new(self.flow.tally(), "close failed")),
            Closing::Panics => panic!("close panicked"),
            Closing::Dawdles => {
                sleep(ms(1_000)).await;
                Ok(())
            }
            Closing::Hangs => pending().await,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let owed = match self.kind {
            Kind::State => self.used,
            Kind::Source | Kind::Sink => true,
        };
        if owed && !self.closed && !self.spoiled && self.flow.closes() {
            self.flow
                .blame(format!("a {:?} was dropped and not closed", self.kind));
        }
    }
}

/// A value at work.
#[derive(Debug)]
pub struct Turn<'a> {
    ticket: &'a mut Ticket,
    over: bool,
}

impl Turn<'_> {
    /// It has done its work, well or not.
    pub fn over(mut self) {
        self.over = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over && self.ticket.kind == Kind::State {
            self.ticket.spoiled = true;
        }
    }
}
