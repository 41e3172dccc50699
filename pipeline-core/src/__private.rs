//! For what `#[stage]` writes, and for nothing else: it changes without notice.

use std::sync::Arc;

use crate::error::BoxError;

/// Reads the two types off what a function returns, through aliases such as `io::Result<T>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result`",
    label = "taken for a `Result`, by its name or by `fallible`",
    note = "write `#[stage(infallible)]` if this is the item that the stage gives"
)]
pub trait Fallible {
    /// The item.
    type Ok;
    /// What it fails with.
    type Err;
}

#[diagnostic::do_not_recommend]
impl<T, E> Fallible for Result<T, E> {
    type Ok = T;
    type Err = E;
}

/// The item in a result.
pub type Given<R> = <R as Fallible>::Ok;

/// The error in a result.
pub type Failed<R> = <R as Fallible>::Err;

/// A body that cannot fail.
#[inline]
pub async fn sure<F: Future, E>(body: F) -> Result<F::Output, E> {
    Ok(body.await)
}

/// What a function that makes state returns.
#[diagnostic::on_unimplemented(
    message = "`init` makes a `{T}`, and what it calls returns `{Self}`",
    label = "does not return a `Result<{T}, _>`",
    note = "it is an async function that returns a `Result`, with the reason why the state could not be made"
)]
pub trait Makes<T> {
    /// The state.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn made(self) -> Result<T, BoxError>;
}

impl<T, E: Into<BoxError>> Makes<T> for Result<T, E> {
    fn made(self) -> Result<T, BoxError> {
        self.map_err(Into::into)
    }
}

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

    /// It is made, or not.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn fill(&mut self, made: impl Makes<T>) -> Result<(), BoxError> {
        self.value = Some(made.made()?);
        Ok(())
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
