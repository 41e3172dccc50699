//! For what `#[stage]` writes, and for nothing else: it changes without notice.

use std::sync::Arc;

use crate::error::BoxError;

/// Reads the two types off what a function returns, through aliases such as `io::Result<T>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is called a `Result`, and is none",
    label = "this is taken for a `Result` by its name",
    note = "write `#[stage(infallible)]` if this is the item that the stage gives"
)]
pub trait Fallible {
    /// The item.
    type Ok;
    /// What it fails with.
    type Err: Failure;
}

#[diagnostic::do_not_recommend]
impl<T, E: Failure> Fallible for Result<T, E> {
    type Ok = T;
    type Err = E;
}

/// The item in a result.
pub type Given<R> = <R as Fallible>::Ok;

/// The error in a result.
pub type Failed<R> = <R as Fallible>::Err;

/// What a stage may fail with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error that a stage can fail with",
    label = "not an error",
    note = "an error implements `std::error::Error`, is `Send` and `Sync` and borrows nothing; `BoxError`, `String` and \
            `&'static str` are errors, too"
)]
pub trait Failure: Into<BoxError> + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError> + Send + 'static> Failure for E {}

/// State of which each worker has a clone.
#[diagnostic::on_unimplemented(
    message = "each worker has a clone of this state, and `{Self}` is not `Clone`",
    label = "not `Clone`",
    note = "write `&{Self}` for state that all workers share, or `#[state(init = ..)]` with an async function that \
            makes one for each worker"
)]
pub trait Local {
    /// One more.
    #[must_use]
    fn each(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Local for T {
    #[inline]
    fn each(&self) -> Self {
        self.clone()
    }
}

/// State that each worker makes for itself, and what it is made of.
#[derive(Debug)]
pub struct Made<T, From: ?Sized = ()> {
    value: Option<T>,
    from: Arc<From>,
}

impl<T, From: ?Sized> Made<T, From> {
    /// Not made yet.
    pub fn new(from: impl Into<Arc<From>>) -> Self {
        Made {
            value: None,
            from: from.into(),
        }
    }

    /// What it is made of.
    pub fn from(&self) -> &From {
        &self.from
    }

    /// It is made.
    pub fn set(&mut self, value: T) {
        self.value = Some(value);
    }

    /// For the item in work.
    ///
    /// # Panics
    ///
    /// If it has not been made.
    #[inline]
    #[track_caller]
    pub fn get(&mut self) -> &mut T {
        match &mut self.value {
            Some(value) => value,
            None => panic!("a stage with `init` is opened before its first item: call `open`"),
        }
    }
}

/// Each worker makes its own.
impl<T, From: ?Sized> Clone for Made<T, From> {
    fn clone(&self) -> Self {
        Made {
            value: None,
            from: Arc::clone(&self.from),
        }
    }
}
