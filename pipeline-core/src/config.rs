//! Settings that are values.

mod rate;
mod retry;

use std::{fmt, hash::Hash, num::NonZero, sync::Arc, thread, time::Duration};

pub use rate::Rate;
pub(crate) use rate::Schedule;
pub(crate) use retry::Pauses;
pub use retry::Retry;

use crate::engine::{Keys, keys};

/// Options of a stage for items of type `In`, as the stage itself brings them
/// ([`Stage::defaults`](crate::Stage::defaults)).
///
/// `None` leaves the choice to the library; the methods of the builder
/// ([`Pipeline::parallelism`](crate::Pipeline::parallelism) and its neighbours) override each one.
/// They are checked when the job is started, wherever they came from.
#[non_exhaustive]
pub struct StageConfig<In> {
    /// Shown in errors, reports and events. Default: the name of the stage's type.
    pub name: Option<&'static str>,
    /// Items in work at once, at least 1. Default 1.
    pub parallelism: Option<usize>,
    /// How results leave. Default [`Order::Ordered`].
    pub order: Option<Order>,
    /// Items inside: in work, or finished and waiting for their turn. At least `parallelism`.
    /// Default `max(4 * parallelism, 1024)`, and of batches of up to `n` items `max(4 * parallelism, 1024 / n)`.
    pub window: Option<usize>,
    /// The longest stay of an item, with all its attempts. Default: no limit, which is also what
    /// [`Duration::MAX`] means.
    pub timeout: Option<Duration>,
    /// The longest time of one attempt. Default: no limit, which is also what [`Duration::MAX`]
    /// means.
    pub attempt_timeout: Option<Duration>,
    /// Whether its workers run on threads of the runtime's blocking pool. Default no.
    pub blocking: bool,
    /// Whether the first worker's value is made before the source is asked for anything. Default no;
    /// always so for [`stage_with`](crate::Pipeline::stage_with).
    pub prepared: bool,
    /// With how an item is copied for another attempt, so that only who asks for one needs `Clone`.
    pub(crate) retry: Option<Again<In>>,
    /// Makes the table of the keys that are inside.
    pub(crate) keys: Option<MakeKeys<In>>,
}

/// How a keyed stage that is used again comes by a table of its own.
type MakeKeys<In> = Arc<dyn Fn() -> Box<dyn Keys<In>> + Send + Sync>;

/// When an item is tried again, and how it is copied for that.
type Again<In> = (Retry, fn(&In) -> In);

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

impl<In> StageConfig<In> {
    /// Nothing is set.
    #[must_use]
    pub const fn new() -> Self {
        StageConfig {
            name: None,
            parallelism: None,
            order: None,
            window: None,
            timeout: None,
            attempt_timeout: None,
            blocking: false,
            prepared: false,
            retry: None,
            keys: None,
        }
    }

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

    /// As many items are in work at once as there are cores for this program
    /// ([`available_parallelism`](thread::available_parallelism)); one if that is not known. For
    /// stages that compute.
    #[must_use]
    pub fn cores(self) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        self.parallelism(cores)
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

    /// One item of a key at a time, and in order, as [`Pipeline::keyed`](crate::Pipeline::keyed) does.
    #[must_use]
    pub fn keyed<F, K>(self, key: F) -> Self
    where
        In: 'static,
        F: Fn(&In) -> K + Send + Sync + 'static,
        K: Hash + Eq + Send + 'static,
    {
        let key = Arc::new(key);
        let make = move || {
            let key = Arc::clone(&key);
            keys(move |item: &In| key(item))
        };
        StageConfig {
            order: Some(Order::Keyed),
            keys: Some(Arc::new(make)),
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

    /// Sets when an item that has failed is tried again, as [`Pipeline::retry`](crate::Pipeline::retry)
    /// does.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self
    where
        In: Clone,
    {
        StageConfig {
            retry: Some((retry, In::clone)),
            ..self
        }
    }

    /// Its workers run on threads of the runtime's blocking pool, as those of
    /// [`Pipeline::blocking`](crate::Pipeline::blocking). A future that waits there holds its thread.
    #[must_use]
    pub fn blocking(self) -> Self {
        StageConfig {
            blocking: true,
            ..self
        }
    }

    /// The first worker's value is made, and [opened](crate::Stage::open), before the source is asked
    /// for anything.
    #[must_use]
    pub fn prepared(self) -> Self {
        StageConfig {
            prepared: true,
            ..self
        }
    }

    /// Whether there is anything in it.
    pub(crate) fn is_set(&self) -> bool {
        !matches!(
            self,
            StageConfig {
                name: None,
                parallelism: None,
                order: None,
                window: None,
                timeout: None,
                attempt_timeout: None,
                blocking: false,
                prepared: false,
                retry: None,
                keys: None,
            }
        )
    }

    /// Without the type of the items, and without what needs it.
    pub(crate) fn untyped(self) -> StageConfig<()> {
        StageConfig {
            name: self.name,
            parallelism: self.parallelism,
            order: self.order,
            window: self.window,
            timeout: self.timeout,
            attempt_timeout: self.attempt_timeout,
            blocking: self.blocking,
            prepared: self.prepared,
            retry: None,
            keys: None,
        }
    }
}

// Not derived: nothing is asked of `In`.

impl<In> Default for StageConfig<In> {
    fn default() -> Self {
        StageConfig::new()
    }
}

impl<In> Clone for StageConfig<In> {
    fn clone(&self) -> Self {
        StageConfig {
            keys: self.keys.clone(),
            ..*self
        }
    }
}

impl<In> fmt::Debug for StageConfig<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageConfig")
            .field("name", &self.name)
            .field("parallelism", &self.parallelism)
            .field("order", &self.order)
            .field("window", &self.window)
            .field("timeout", &self.timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("blocking", &self.blocking)
            .field("prepared", &self.prepared)
            .field("retry", &self.retry.map(|(retry, _)| retry))
            .finish()
    }
}
