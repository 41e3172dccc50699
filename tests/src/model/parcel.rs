//! What flows in a case: counted, copied and dropped under watch.

use std::cell::Cell;
use std::fmt;

use super::book::Book;
use super::case::Bombs;
use super::seen::Fault;
use crate::tally::{Class, Token};

/// An item. It can be sent and cloned; it is not `Sync`.
pub struct Parcel {
    /// Its number at the source.
    pub index: u64,
    /// In which step it is, or next.
    pub step: Cell<usize>,
    /// Panics when it is dropped.
    bomb: Cell<bool>,
    book: Book,
    _token: Token,
}

impl Parcel {
    /// As the source gives it.
    pub fn new(book: &Book, index: u64) -> Self {
        let bomb = book.case().bombs == Bombs::Originals && index.is_multiple_of(3);
        Parcel::with(book, index, 0, bomb)
    }

    fn with(book: &Book, index: u64, step: usize, bomb: bool) -> Self {
        Parcel {
            index,
            step: Cell::new(step),
            bomb: Cell::new(bomb),
            book: book.clone(),
            _token: book.flow().tally().token(Class::Item),
        }
    }

    /// Whoever drops it now means to.
    pub fn defuse(&self) {
        self.bomb.set(false);
    }
}

impl Clone for Parcel {
    fn clone(&self) -> Self {
        let (book, step) = (&self.book, self.step.get());
        book.flow().called("clone of an item");
        let attempt = book.calls(step, self.index) + 1;
        if book.case().steps[step].act(self.index).breaks_copy(attempt) {
            book.inject(Fault::PanicInCopy);
            if attempt == 1 {
                book.is_gone(self.index);
            }
            panic_quietly();
        }
        let bomb = book.case().bombs == Bombs::Copies && self.index.is_multiple_of(3);
        Parcel::with(book, self.index, step, bomb)
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if self.bomb.get() && !std::thread::panicking() {
            self.book.inject(Fault::PanicInItem);
            panic_quietly();
        }
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel")
            .field("index", &self.index)
            .finish()
    }
}

/// A panic that passes the hook by, so that nothing is printed.
pub fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("part of the case"))
}
