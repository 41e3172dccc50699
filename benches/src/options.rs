//! The options that every contender is given.

/// How one stage is run, by us and by the peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Items in work at once.
    pub parallelism: usize,
    /// Whether results leave in the order of the input.
    pub ordered: bool,
    /// Items inside the stage; `None` leaves the choice to the contender.
    pub window: Option<usize>,
}

impl Options {
    /// Ordered, so many items at once, the window left alone.
    pub const fn parallelism(items: usize) -> Self {
        Options {
            parallelism: items,
            ordered: true,
            window: None,
        }
    }

    /// The same, unordered.
    pub const fn unordered(self) -> Self {
        Options {
            ordered: false,
            ..self
        }
    }

    /// The same, with a window.
    pub const fn window(self, items: usize) -> Self {
        Options {
            window: Some(items),
            ..self
        }
    }

    /// The window in items: the library's default unless one was set.
    pub fn window_or_default(self) -> usize {
        self.window
            .unwrap_or_else(|| (4 * self.parallelism).max(1024))
    }
}
