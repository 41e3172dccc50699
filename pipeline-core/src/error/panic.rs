use std::any::Any;

use thiserror::Error;

/// A panic of the user's code, with its message. It is the [`source`](std::error::Error::source)
/// of the error that names where it happened.
///
/// The message is the text given to `panic!`; for a payload of another type it says only that.
/// The process's panic hook has run before, and by default has printed: the library leaves it alone.
#[derive(Debug, Error)]
#[error("panic: {message}")]
pub struct Panicked {
    message: Box<str>,
}

impl Panicked {
    /// The text given to `panic!`.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Panicked {
            message: text.unwrap_or("(its payload is not text)").into(),
        }
    }
}
