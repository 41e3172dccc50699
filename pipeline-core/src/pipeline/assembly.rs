//! Puts the parts of a run together, before any of them is started.

use std::sync::Arc;

use crate::engine::{Hub, Preparation};

/// What the steps add to, from the source to the end.
pub(crate) struct Assembly {
    hub: Arc<Hub>,
    pub(super) preparations: Vec<Preparation>,
    starts: Vec<Start>,
}

/// Starts a source, which takes the preparations to wait for them, or an end.
type Start = Box<dyn FnOnce(&mut Vec<Preparation>)>;

impl Assembly {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Assembly {
            hub,
            preparations: Vec::new(),
            starts: Vec::new(),
        }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// To be done when everything is in its place.
    pub(super) fn at_start(&mut self, start: impl FnOnce(&mut Vec<Preparation>) + 'static) {
        self.starts.push(Box::new(start));
    }

    pub(crate) fn start(self) {
        let Assembly {
            mut preparations,
            starts,
            ..
        } = self;
        for start in starts {
            start(&mut preparations);
        }
    }
}
