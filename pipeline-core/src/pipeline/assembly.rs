//! Puts the parts of a run together, before any of them is started.

use std::sync::Arc;

use super::graph::{Graph, Node, Port};
use crate::engine::{Bench, Hub, Preparation};

/// What the steps add to, from the source to the end.
pub(crate) struct Assembly {
    hub: Arc<Hub>,
    graph: Graph,
    pub(super) preparations: Vec<Preparation>,
    starts: Vec<Start>,
}

/// Starts a source, which takes the preparations to wait for them, or an end.
type Start = Box<dyn FnOnce(&mut Option<Vec<Preparation>>)>;

impl Assembly {
    pub(crate) fn new(hub: Arc<Hub>, graph: Graph) -> Self {
        Assembly {
            hub,
            graph,
            preparations: Vec::new(),
            starts: Vec::new(),
        }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The name of a step, and the one under which a panic of what is fused to it is reported.
    pub(super) fn names(&self, node: &Arc<Node>) -> (Arc<str>, Arc<str>) {
        let step = self.graph.step(node);
        step.map_or_else(Default::default, |step| {
            (Arc::clone(&step.name), step.full_name())
        })
    }

    /// What an operator counts with; to be made before its output is.
    pub(super) fn bench(&self, node: &Arc<Node>) -> Bench {
        let (name, _) = self.names(node);
        Bench::new(&self.hub, name)
    }

    /// What a step takes from, by name, and by branch if that has several.
    pub(super) fn input_names<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = Arc<str>> + 'a {
        node.inputs.iter().map(|Port { node, branch }| {
            let (name, _) = self.names(node);
            if node.kind.branches() > 1 {
                format!("{name}[{branch}]").into()
            } else {
                name
            }
        })
    }

    /// The number of a source among the sources.
    pub(super) fn source(&self, node: &Arc<Node>) -> u32 {
        self.graph.source(node)
    }

    /// To be done when everything is in its place.
    pub(super) fn at_start(&mut self, start: impl FnOnce(&mut Option<Vec<Preparation>>) + 'static) {
        self.starts.push(Box::new(start));
    }

    pub(crate) fn start(self) {
        let Assembly {
            preparations,
            starts,
            ..
        } = self;
        let mut preparations = Some(preparations);
        for start in starts {
            start(&mut preparations);
        }
    }
}
