//! Settings that are values.

mod retry;

use std::time::Duration;

pub(crate) use retry::Pauses;
pub use retry::Retry;

/// Options of a stage, as the stage itself brings them ([`Stage::defaults`](crate::Stage::defaults)).
///
/// `None` leaves the choice to the library; the methods of the builder
/// ([`Pipeline::parallelism`](crate::Pipeline::parallelism) and its neighbours) override each one.
/// They are checked when the job is started, wherever they came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageConfig {
    /// Shown in errors, reports and events. Default: the name of the stage's type.
    pub name: Option<&'static str>,
    /// Items in work at once, at least 1. Default 1.
    pub parallelism: Option<usize>,
    /// How results leave. Default [`Order::Ordered`].
    pub order: Option<Order>,
    /// Items inside: in work, or finished and waiting for their turn. At least `parallelism`.
    /// Default `max(4 * parallelism, 1024)`.
    pub window: Option<usize>,
    /// The longest stay of an item, with all its attempts. Default: no limit, which is also what
    /// [`Duration::MAX`] means.
    pub timeout: Option<Duration>,
    /// The longest time of one attempt. Default: no limit, which is also what [`Duration::MAX`]
    /// means.
    pub attempt_timeout: Option<Duration>,
}

/// How the results of a stage leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// In the order of the input.
    Ordered,
    /// As they are ready.
    Unordered,
    /// Those of one key in the order of the input, and otherwise as they are ready: see
    /// [`Pipeline::keyed`](crate::Pipeline::keyed).
    Keyed,
}

impl StageConfig {
    /// Sets the name.
    #[must_use]
    pub fn name(self, name: &'static str) -> Self {
        StageConfig {
            name: Some(name),
            ..self
        }
    }

    /// Sets how many items are in work at once.
    #[must_use]
    pub fn parallelism(self, n: usize) -> Self {
        StageConfig {
            parallelism: Some(n),
            ..self
        }
    }

    /// Results leave in the order of the input.
    #[must_use]
    pub fn ordered(self) -> Self {
        StageConfig {
            order: Some(Order::Ordered),
            ..self
        }
    }

    /// Results leave as they are ready.
    #[must_use]
    pub fn unordered(self) -> Self {
        StageConfig {
            order: Some(Order::Unordered),
            ..self
        }
    }

    /// Sets how many items are inside at once.
    #[must_use]
    pub fn window(self, items: usize) -> Self {
        StageConfig {
            window: Some(items),
            ..self
        }
    }

    /// Sets how long an item may stay, with all its attempts.
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        StageConfig {
            timeout: Some(limit),
            ..self
        }
    }

    /// Sets how long one attempt may take.
    #[must_use]
    pub fn attempt_timeout(self, limit: Duration) -> Self {
        StageConfig {
            attempt_timeout: Some(limit),
            ..self
        }
    }
}
