//! The only way in which the engine runs code of the user's: a panic comes back as a value.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::error::{BoxError, Panicked};

/// What a panic carried.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs `code`. What it was working on when it panicked must not be used again.
#[inline]
pub(crate) fn call<R>(code: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(code))
}

/// Drops something of the user's where a panic of its destructor has no item to be the error of.
pub(crate) fn discard<T>(value: T) {
    if let Err(payload) = call(move || drop(value)) {
        panic_error(payload);
    }
}

/// The error that stands for a panic.
pub(crate) fn panic_error(payload: Payload) -> BoxError {
    let error = Panicked::new(payload.as_ref());
    // a payload is the user's as well, and its destructor may panic in turn: that is where it ends
    if let Err(next) = call(move || drop(payload)) {
        std::mem::forget(next);
    }
    Box::new(error)
}
