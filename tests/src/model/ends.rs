//! The source and the sink of a case.

use pipeline_core::prelude::*;
use tokio::spawn;
use tokio::task::JoinHandle;

use super::book::Book;
use super::case::{Break, Origin, Wait};
use super::parcel::{Parcel, panic_quietly};
use super::seen;
use super::steps::pass;
use crate::tally::Fault;
use crate::ticket::{Closing, Kind, Ticket};

/// The source, and who sends if it is a channel.
pub fn begin(book: &Book) -> (Pipeline<Parcel>, Option<JoinHandle<()>>) {
    let case = book.case();
    let items = case.items;
    match case.source {
        Origin::Iterator => {
            let book_ = book.clone();
            let until = match case.source_breaks {
                Some((at, _)) if at <= items => at + 1,
                _ => items,
            };
            let parcels = (0..until).map(move |index| {
                // an iterator can only panic
                if book_
                    .case()
                    .source_breaks
                    .is_some_and(|(at, _)| at == index)
                {
                    book_.inject(seen::Fault::Source);
                    panic_quietly();
                }
                book_.pull(index)
            });
            (Pipeline::from_iter(parcels).buffer(case.buffer), None)
        }
        Origin::Source(wait) => {
            let ticket = Ticket::new(book.flow(), Kind::Source, Closing::Quiet);
            let source = CaseSource {
                book: book.clone(),
                wait,
                index: 0,
                ticket,
            };
            (Pipeline::from_source(source).buffer(case.buffer), None)
        }
        Origin::Channel(capacity, wait) => {
            let (sender, pipeline) = Pipeline::channel(capacity);
            let book = book.clone();
            let buffer = case.buffer;
            let sending = spawn(async move {
                for index in 0..items {
                    pass(book.case(), wait).await;
                    let Ok(permit) = sender.reserve().await else {
                        break;
                    };
                    permit.send(Parcel::new(&book, index));
                    book.happen();
                }
            });
            (pipeline.buffer(buffer), Some(sending))
        }
    }
}

struct CaseSource {
    book: Book,
    wait: Wait,
    index: u64,
    ticket: Ticket,
}

impl Source for CaseSource {
    type Item = Parcel;
    type Error = Fault;

    async fn next(&mut self) -> Result<Option<Parcel>, Fault> {
        let (book, index) = (&self.book, self.index);
        book.flow().called("source");
        pass(book.case(), self.wait).await;
        match book.case().source_breaks {
            Some((at, how)) if at == index => {
                book.inject(seen::Fault::Source);
                if how == Break::Panics {
                    panic_quietly();
                }
                return Err(book.flow().fault("the source is broken"));
            }
            _ => {}
        }
        if index == book.case().items {
            return Ok(None);
        }
        self.index += 1;
        Ok(Some(book.pull(index)))
    }

    async fn close(self) -> Result<(), Fault> {
        self.ticket.close().await
    }
}

/// Hands an item to the end, unless the end breaks at it.
pub fn hand(book: &Book, parcel: &Parcel) -> Result<(), Fault> {
    book.happen();
    if book.case().end_breaks == Some(parcel.index) {
        parcel.defuse();
        book.inject(seen::Fault::End);
        return Err(book.flow().fault("the end is broken"));
    }
    book.hand(parcel);
    Ok(())
}

/// The same with a panic instead of an error.
pub fn hand_or_panic(book: &Book, parcel: &Parcel) {
    if hand(book, parcel).is_err() {
        panic_quietly();
    }
}

/// The sink of a case.
pub struct CaseSink {
    book: Book,
    wait: Wait,
    ticket: Ticket,
}

impl CaseSink {
    /// Waits before each item.
    pub fn new(book: &Book, wait: Wait) -> Self {
        let ticket = Ticket::new(book.flow(), Kind::Sink, Closing::Quiet);
        CaseSink {
            book: book.clone(),
            wait,
            ticket,
        }
    }
}

impl std::fmt::Debug for CaseSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaseSink").finish_non_exhaustive()
    }
}

impl Sink<Parcel> for CaseSink {
    type Error = Fault;

    async fn write(&mut self, items: &mut Vec<Parcel>) -> Result<(), Fault> {
        let mut safe = 0;
        let mut result = Ok(());
        if self.wait == Wait::Not {
            // all in one go: taking them off the front one by one is slow for many
            for parcel in items.iter() {
                result = hand(&self.book, parcel);
                if result.is_err() {
                    break;
                }
                safe += 1;
            }
            items.drain(..safe);
            return result;
        }
        while !items.is_empty() {
            pass(self.book.case(), self.wait).await;
            self.book.flow().called("sink");
            hand(&self.book, &items[0])?;
            drop(items.remove(0));
        }
        result
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        self.book.flow().called("flush");
        Ok(())
    }

    async fn close(self) -> Result<(), Fault> {
        self.ticket.close().await
    }
}
