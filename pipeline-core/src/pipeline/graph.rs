//! The steps of a pipeline while it is being described: each knows those before it.
//!
//! A step is shared by its branches, and found once however many ways lead to it. It gets its name and
//! its place when the whole graph is known, so two pipelines that are merged later need not know of
//! each other.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::draft::Kind;
use crate::{
    engine::LOT,
    error::BuildError,
    plan::{Mistake, Plan, Step, StepKind},
};

/// Items that wait behind an operator, or behind each of its branches, if nothing is said of it.
pub(crate) const BUFFER: usize = if cfg!(shuttle) { 2 } else { 128 };

/// A step, with what it takes from.
#[derive(Debug)]
pub(crate) struct Node {
    /// As a string of the user's; goes before what the step is called by itself.
    pub(super) name: Option<String>,
    /// What a default name is made of.
    pub(super) called: Kind,
    pub(super) kind: StepKind,
    pub(super) inputs: Vec<Port>,
    /// The most items that one of its items has in it, as a batch has.
    pub(super) lot: usize,
}

/// Where a node gives its items: one of several branches, or the only one.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(super) node: Arc<Node>,
    pub(super) branch: usize,
}

impl Node {
    /// One that is called by a method, after `inputs`.
    pub(super) fn new(method: &'static str, kind: StepKind, inputs: Vec<Port>) -> Arc<Self> {
        let input = inputs.iter().map(|input| input.node.lot).max();
        let lot = match kind {
            StepKind::Operator {
                gathers, scatters, ..
            } if !scatters => gathers.saturating_mul(input.unwrap_or(1)),
            StepKind::Stage { .. } => input.unwrap_or(1),
            _ => 1,
        };
        Arc::new(Node {
            name: None,
            called: Kind::Step(method),
            kind,
            inputs,
            lot,
        })
    }
}

/// What there is to know of an operator.
#[derive(Debug)]
pub(super) struct Operator {
    /// What it was set to, for people.
    pub(super) options: String,
    /// Items that it keeps, beside those that it has just taken from its inputs.
    pub(super) holds: usize,
    /// How many inputs it has.
    pub(super) inputs: usize,
    /// Items that wait behind each of its branches.
    pub(super) buffer: usize,
    pub(super) branches: usize,
    /// Most items of an input that become one.
    pub(super) gathers: usize,
    /// It takes its items apart.
    pub(super) scatters: bool,
    /// It makes one item of one of each input.
    pub(super) joins: bool,
    /// It numbers its items anew.
    pub(super) renumbers: bool,
    /// The setting for which it needs timers.
    pub(super) timed: Option<&'static str>,
    pub(super) mistake: Option<Mistake>,
}

impl Default for Operator {
    fn default() -> Self {
        Operator {
            options: String::new(),
            holds: 0,
            inputs: 1,
            buffer: BUFFER,
            branches: 1,
            gathers: 1,
            scatters: false,
            joins: false,
            renumbers: false,
            timed: None,
            mistake: None,
        }
    }
}

impl From<Operator> for StepKind {
    fn from(operator: Operator) -> Self {
        let Operator {
            options,
            holds,
            inputs,
            buffer,
            branches,
            gathers,
            scatters,
            joins,
            renumbers,
            timed,
            mistake,
        } = operator;
        StepKind::Operator {
            options,
            holds: holds.saturating_add(inputs.saturating_mul(LOT)),
            buffer,
            branches,
            gathers,
            scatters,
            joins,
            renumbers,
            timed,
            mistake,
        }
    }
}

impl From<Arc<Node>> for Port {
    fn from(node: Arc<Node>) -> Self {
        Port { node, branch: 0 }
    }
}

/// Everything that leads to some ends, each step after those that it takes from.
#[derive(Debug)]
pub(crate) struct Graph {
    nodes: Vec<Arc<Node>>,
    places: HashMap<*const Node, usize>,
    steps: Vec<Step>,
}

impl Graph {
    pub(crate) fn new(ends: &[Arc<Node>]) -> Self {
        let mut graph = Graph {
            nodes: Vec::new(),
            places: HashMap::new(),
            steps: Vec::new(),
        };
        ends.iter().for_each(|end| graph.visit(end));
        let mut taken = HashSet::new();
        for (place, node) in graph.nodes.iter().enumerate() {
            let numbered = |name: &str| format!("{name}-{place}");
            let name = match (&node.name, node.called) {
                (Some(name), _) => name.clone(),
                (None, Kind::Method(method)) => numbered(method),
                // the same one twice is told apart by its place
                (None, Kind::Type(name) | Kind::Step(name)) if taken.contains(name) => {
                    numbered(name)
                }
                (None, Kind::Type(name) | Kind::Step(name)) => name.to_owned(),
            };
            taken.insert(name.clone());
            graph.steps.push(Step {
                name: name.into(),
                kind: node.kind.clone(),
                inputs: node
                    .inputs
                    .iter()
                    .filter_map(|input| graph.place(&input.node))
                    .collect(),
            });
        }
        graph
    }

    /// Without recursion: a chain may be long.
    fn visit(&mut self, end: &Arc<Node>) {
        let mut path = vec![(Arc::clone(end), 0)];
        while let Some((node, next)) = path.last_mut() {
            if let Some(input) = node.inputs.get(*next) {
                *next += 1;
                let input = Arc::clone(&input.node);
                if self.place(&input).is_none() {
                    path.push((input, 0));
                }
            } else if let Some((node, _)) = path.pop() {
                self.places.insert(Arc::as_ptr(&node), self.nodes.len());
                self.nodes.push(node);
            }
        }
    }

    fn place(&self, node: &Arc<Node>) -> Option<usize> {
        self.places.get(&Arc::as_ptr(node)).copied()
    }

    /// The step as it will be told of.
    pub(super) fn step(&self, node: &Arc<Node>) -> Option<&Step> {
        self.steps.get(self.place(node)?)
    }

    /// The number of a source among the sources.
    pub(super) fn source(&self, node: &Arc<Node>) -> u32 {
        let before = self.steps.iter().take(self.place(node).unwrap_or(0));
        let sources = before.filter(|step| step.kind.is_source()).count();
        u32::try_from(sources).unwrap_or(u32::MAX)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether steps branch and come together again, so that two ways lead from one step to another.
    pub(crate) fn has_loops(&self) -> bool {
        // in each part that hangs together a tree has one link less than steps
        let mut parts: Vec<usize> = (0..self.steps.len()).collect();
        let root = |parts: &[usize], mut step: usize| {
            while parts[step] != step {
                step = parts[step];
            }
            step
        };
        for (place, step) in self.steps.iter().enumerate() {
            for input in &step.inputs {
                let (one, other) = (root(&parts, place), root(&parts, *input));
                if one == other {
                    return true;
                }
                parts[one] = other;
            }
        }
        false
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan::new(self.steps.clone())
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        self.steps.iter().try_for_each(Step::check)?;
        let used: HashSet<_> = self
            .nodes
            .iter()
            .flat_map(|node| &node.inputs)
            .map(|input| (Arc::as_ptr(&input.node), input.branch))
            .collect();
        for (node, step) in self.nodes.iter().zip(&self.steps) {
            let unused = |branch: &usize| !used.contains(&(Arc::as_ptr(node), *branch));
            if let Some(branch) = (0..node.kind.branches()).find(unused) {
                return Err(BuildError::Unconnected(Arc::clone(&step.name), branch));
            }
        }
        Ok(())
    }
}
