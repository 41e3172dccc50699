//! The options of a stage while they are being set, and what becomes of them.

use std::{sync::Arc, time::Duration};

use super::{
    graph::{Node, Port},
    tail::Typed,
};
use crate::{
    config::{Order, StageConfig},
    engine::{Recovery, StationPlan},
    plan::{Mistake, StepKind},
};

/// The default window, and the default buffer of a source, in items. Half of it costs twice as much
/// an item, twice of it half as much; 1024 is 8 to 16 KiB for small items.
pub(super) const WINDOW: usize = 1024;

/// What is known of a stage before it is closed.
#[derive(Debug, Clone, Default)]
pub struct StageDraft {
    /// What the stage itself brings.
    pub(super) own: StageConfig<()>,
    /// What the user has set; goes before.
    pub(super) set: StageConfig<()>,
    /// As a string of the user's, which need not be `'static`.
    pub(super) name: Option<String>,
    /// The method or the type, for a name.
    pub(super) kind: Kind,
    pub(super) blocking: bool,
    /// The first state is made before the source is asked for anything.
    pub(super) prepares: bool,
}

/// What a default name is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A source, an operator, an end: `batch`, or `batch-4` for a second one.
    Step(&'static str),
    /// A method that takes a closure: `map-2` is the one at place 2.
    Method(&'static str),
    /// A type: `Decode`.
    Type(&'static str),
}

impl Default for Kind {
    fn default() -> Self {
        Kind::Method("map")
    }
}

impl StageDraft {
    pub(super) fn method(name: &'static str) -> Self {
        StageDraft {
            kind: Kind::Method(name),
            ..StageDraft::default()
        }
    }

    /// For a stage that brings options: those that need its type of items are in the second part.
    pub(super) fn of<In>(stage: StageConfig<In>, name: &'static str) -> (Self, Typed<In>) {
        let keys = stage.keys.as_ref().map(|make| make());
        let recovery = Recovery {
            retry: stage.retry.map(|(retry, _)| retry),
            copy: stage.retry.map(|(_, copy)| copy),
            ..Recovery::default()
        };
        let draft = StageDraft {
            kind: Kind::Type(name),
            blocking: stage.blocking,
            prepares: stage.prepared,
            own: stage.untyped(),
            ..StageDraft::default()
        };
        let typed = Typed { recovery, keys };
        (draft, typed)
    }

    /// Whether any option was set: a `map` is a stage of its own then.
    pub(super) fn is_set(&self) -> bool {
        self.name.is_some() || self.set.is_set()
    }

    /// The step as it will run. Completes `typed` by what the stage brings, and takes out what is not used.
    pub(super) fn resolve<T>(
        self,
        typed: &mut Typed<T>,
        fused: Vec<&'static str>,
        input: Port,
    ) -> (Arc<Node>, StationPlan) {
        let StageDraft {
            own,
            set,
            name,
            kind,
            blocking,
            prepares,
        } = self;
        let Typed { recovery, keys } = typed;
        let parallelism = set.parallelism.or(own.parallelism).unwrap_or(1);
        let order = set.order.or(own.order).unwrap_or(Order::Ordered);
        let lot = input.node.lot;
        let window = set
            .window
            .or(own.window)
            .unwrap_or_else(|| parallelism.saturating_mul(4).max(WINDOW / lot.max(1)));
        let limited =
            |set: Option<Duration>, own| set.or(own).filter(|limit| *limit != Duration::MAX);
        recovery.timeout = limited(set.timeout, own.timeout);
        recovery.attempt_timeout = limited(set.attempt_timeout, own.attempt_timeout);
        let retries = recovery.retry.is_some_and(|retry| retry.retries() > 0);
        if !retries && recovery.dead_letters.is_none() {
            // nobody would use it
            recovery.copy = None;
        }
        let retry_if_alone = recovery.transient.is_some() && recovery.retry.is_none();
        let has_key = keys.is_some();
        if order != Order::Keyed {
            *keys = None;
        }
        let called = match (own.name, kind) {
            (Some(name), _) => Kind::Type(name),
            (None, kind) => kind,
        };
        let node = Node {
            name,
            called,
            kind: StepKind::Stage {
                parallelism,
                order,
                window,
                blocking,
                fused,
                timeout: recovery.timeout,
                attempt_timeout: recovery.attempt_timeout,
                retry: recovery.retry,
                dead_letters: recovery.dead_letters.is_some(),
                mistake: if retry_if_alone {
                    Some(Mistake::RetryIfAlone)
                } else {
                    (order == Order::Keyed && !has_key).then_some(Mistake::NoKey)
                },
            },
            inputs: vec![input],
            lot,
        };
        let plan = StationPlan {
            // known when the whole graph is
            name: Arc::default(),
            fused_name: Arc::default(),
            parallelism,
            ordered: order == Order::Ordered,
            window,
            blocking,
            prepares,
        };
        (Arc::new(node), plan)
    }
}
