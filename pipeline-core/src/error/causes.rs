//! An error in one line with all that it was caused by.

use std::{error::Error, fmt};

/// Writes `the run did not finish: an item failed: ...`, down to the last [`source`](Error::source).
pub(super) fn write_with_causes(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Each as `{}`: with `{:#}` it might bring its own causes along, which would then be told twice.
    write!(f, "{error}")?;
    let mut next = error.source();
    while let Some(cause) = next {
        write!(f, ": {cause}")?;
        next = cause.source();
    }
    Ok(())
}
