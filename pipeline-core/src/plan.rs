//! What a pipeline is going to do, before it does it.

use std::{
    fmt::{self, Write},
    sync::Arc,
    time::Duration,
};

use crate::{
    config::{Order, Retry},
    error::BuildError,
};

/// The steps of a pipeline with their options as they will be used, and the most items that can be
/// between the source and the end.
///
/// `Display` prints a line a step, then the bound with its factors; [`mermaid`](Plan::mermaid) draws
/// it. Both are for people: their form may change.
///
/// ```
/// use pipeline_core::prelude::*;
///
/// let job = Pipeline::from_iter(0..9).buffer(16)
///     .map(|n| n * 2).parallelism(8).window(64).name("double")
///     .filter(|n| n % 3 == 0)
///     .count();
/// assert_eq!(job.plan().to_string(), "\
/// from_iter       buffer 16
/// double+filter   ordered, parallelism 8, window 64
/// count           takes up to 64 at once
/// at most 144 items inside = buffer 16 + window 64 + 64 at the end
/// ");
/// assert_eq!(job.plan().max_inside, 144);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// From the sources to the ends: each step after those that it takes from.
    pub steps: Vec<Step>,
    /// `F`: the most source items that can have been taken from the source and not be over yet. For
    /// a channel it includes what waits in the channel.
    pub max_inside: usize,
    /// What works, but may not be what is meant.
    pub notes: Vec<String>,
}

/// A step of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// As in errors and reports.
    pub name: Arc<str>,
    /// What it is, with its options.
    pub kind: StepKind,
    /// The steps that it takes from, by their places in [`Plan::steps`]: none for a source, several
    /// where pipelines come together.
    pub inputs: Vec<usize>,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepKind {
    /// Where items come from.
    Source {
        /// Items that wait in the channel before it, if it is one.
        channel: Option<usize>,
        /// Items that are read ahead of the next step.
        buffer: usize,
    },
    /// A function of one item.
    Stage {
        /// Items in work at once.
        parallelism: usize,
        /// How results leave.
        order: Order,
        /// Items inside at once.
        window: usize,
        /// Whether it runs on blocking threads.
        blocking: bool,
        /// Steps that run inside its workers, after it.
        fused: Vec<&'static str>,
        /// The longest stay of an item, if it is limited.
        timeout: Option<Duration>,
        /// The longest time of one attempt, if it is limited.
        attempt_timeout: Option<Duration>,
        /// When an item is tried again, if it is.
        retry: Option<Retry>,
        /// Whether failed items go to a channel of the stage's own.
        dead_letters: bool,
        /// What is to be refused at the start.
        #[doc(hidden)]
        mistake: Option<Mistake>,
    },
    /// A structural step: it batches, expands, branches, joins or waits.
    Operator {
        /// What it was set to, for people.
        options: String,
        /// Items that it can hold inside, what it has taken at once and not worked on among them.
        holds: usize,
        /// Items that wait behind each of its branches for the next step.
        buffer: usize,
        /// How many branches it gives to; 1 for most.
        branches: usize,
        /// Most items of an input that become one.
        gathers: usize,
        /// Whether it takes its items apart.
        scatters: bool,
        /// Whether it makes one item of one of each input.
        joins: bool,
        /// Whether it numbers its items anew, as a source does.
        renumbers: bool,
        /// The setting for which it needs timers, if there is one.
        timed: Option<&'static str>,
        /// What is to be refused at the start.
        #[doc(hidden)]
        mistake: Option<Mistake>,
    },
    /// Where items end.
    End {
        /// Items that it takes at once.
        batch: usize,
    },
}

/// A wrong use that can only be told at the start.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mistake {
    /// A [`buffer`](crate::Pipeline::buffer) was asked for behind a stage, where none is.
    MisplacedBuffer,
    /// [`retry_if`](crate::Pipeline::retry_if) without [`retry`](crate::Pipeline::retry).
    RetryIfAlone,
    /// An order by key, without one.
    NoKey,
    /// A number that has to be 1 at least.
    Zero(&'static str),
    /// A time that has to be longer than zero.
    ZeroTime(&'static str),
    /// A rate of so many items in no time.
    ZeroPeriod,
    /// A handle that is another step's.
    InUse(&'static str),
}

impl Step {
    /// The name under which a panic of a fused step is reported.
    pub(crate) fn full_name(&self) -> Arc<str> {
        match &self.kind {
            StepKind::Stage { fused, .. } if !fused.is_empty() => {
                format!("{}+{}", self.name, fused.join("+")).into()
            }
            _ => Arc::clone(&self.name),
        }
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let name = || Arc::clone(&self.name);
        let zero = |setting| Err(BuildError::Zero(name(), setting));
        let zero_time = |setting| Err(BuildError::ZeroTime(name(), setting));
        match self.kind {
            StepKind::Source {
                channel: Some(0), ..
            } => zero("capacity"),
            StepKind::Source { buffer: 0, .. } => zero("buffer"),
            StepKind::Stage { parallelism: 0, .. } => zero("parallelism"),
            StepKind::Stage { window: 0, .. } => zero("window"),
            StepKind::Stage {
                window,
                parallelism,
                ..
            } if window < parallelism => {
                Err(BuildError::WindowTooSmall(name(), window, parallelism))
            }
            StepKind::Stage {
                timeout: Some(Duration::ZERO),
                ..
            } => zero_time("timeout"),
            StepKind::Stage {
                attempt_timeout: Some(Duration::ZERO),
                ..
            } => zero_time("attempt_timeout"),
            StepKind::Stage {
                mistake: Some(Mistake::MisplacedBuffer),
                ..
            }
            | StepKind::Operator {
                mistake: Some(Mistake::MisplacedBuffer),
                ..
            } => Err(BuildError::MisplacedBuffer(name())),
            StepKind::Stage {
                mistake: Some(Mistake::RetryIfAlone),
                ..
            } => Err(BuildError::Without(name(), "retry_if", "retry")),
            StepKind::Stage {
                mistake: Some(Mistake::NoKey),
                ..
            } => Err(BuildError::Without(name(), "Order::Keyed", "keyed")),
            StepKind::Operator {
                mistake: Some(Mistake::Zero(setting)),
                ..
            } => zero(setting),
            StepKind::Operator {
                mistake: Some(Mistake::ZeroTime(setting)),
                ..
            } => zero_time(setting),
            StepKind::Operator {
                mistake: Some(Mistake::ZeroPeriod),
                ..
            } => Err(BuildError::ZeroPeriod(name())),
            StepKind::Operator {
                mistake: Some(Mistake::InUse(setting)),
                ..
            } => Err(BuildError::InUse(name(), setting)),
            _ => Ok(()),
        }
    }

    /// The option for which it needs timers, if there is one.
    pub(crate) fn timed_option(&self) -> Option<&'static str> {
        match self.kind {
            StepKind::Stage {
                timeout: Some(_), ..
            } => Some("timeout"),
            StepKind::Stage {
                attempt_timeout: Some(_),
                ..
            } => Some("attempt_timeout"),
            StepKind::Stage { retry: Some(_), .. } => Some("retry"),
            StepKind::Operator { timed, .. } => timed,
            _ => None,
        }
    }

    fn options(&self) -> String {
        match &self.kind {
            StepKind::Source {
                channel: None,
                buffer,
            } => format!("buffer {buffer}"),
            StepKind::Source {
                channel: Some(channel),
                buffer,
            } => format!("capacity {channel}, buffer {buffer}"),
            StepKind::Stage {
                parallelism,
                order,
                window,
                blocking,
                timeout,
                attempt_timeout,
                retry,
                dead_letters,
                ..
            } => {
                let order = match order {
                    Order::Ordered => "ordered",
                    Order::Unordered => "unordered",
                    Order::Keyed => "keyed",
                };
                let threads = if *blocking {
                    ", on blocking threads"
                } else {
                    ""
                };
                let mut text =
                    format!("{order}, parallelism {parallelism}, window {window}{threads}");
                if let Some(time) = timeout {
                    let _ = write!(text, ", timeout {time:?}");
                }
                if let Some(time) = attempt_timeout {
                    let _ = write!(text, ", attempt_timeout {time:?}");
                }
                if let Some(retry) = retry {
                    let _ = write!(text, ", {retry}");
                }
                if *dead_letters {
                    text.push_str(", dead letters");
                }
                text
            }
            StepKind::Operator {
                options, buffer, ..
            } if options.is_empty() => format!("buffer {buffer}"),
            StepKind::Operator {
                options, buffer, ..
            } => format!("{options}, buffer {buffer}"),
            StepKind::End { batch } => format!("takes up to {batch} at once"),
        }
    }

    /// What it adds to the bound, as a sum of products: so many, of what stands for so many items, and
    /// where. `inputs` and `output` are the most source items that one of its inputs or outputs can stand for.
    fn factors(&self, input: usize, output: usize) -> Vec<(usize, usize, String)> {
        match &self.kind {
            StepKind::Source { channel, buffer } => {
                let channel = channel.map(|channel| (channel, 1, format!("capacity {channel}")));
                let buffer = (*buffer, 1, format!("buffer {buffer}"));
                channel.into_iter().chain([buffer]).collect()
            }
            StepKind::Stage { window, .. } => vec![(*window, output, format!("window {window}"))],
            StepKind::Operator {
                holds,
                buffer,
                branches,
                ..
            } => {
                let buffers = buffer.saturating_mul(*branches);
                let name = if *branches == 1 {
                    format!("buffer {buffer}")
                } else {
                    format!("{branches} buffers of {buffer}")
                };
                vec![
                    (*holds, input, format!("{holds} in {}", self.name)),
                    (buffers, output, name),
                ]
            }
            StepKind::End { batch } => vec![(*batch, input, format!("{batch} at the end"))],
        }
    }
}

impl StepKind {
    /// Items that wait behind it, or behind each of its branches, for the next step.
    pub(crate) fn capacity(&self) -> usize {
        match *self {
            StepKind::Source { buffer, .. } | StepKind::Operator { buffer, .. } => buffer,
            StepKind::Stage { window, .. } => window,
            StepKind::End { batch } => batch,
        }
    }

    /// Whether items are numbered there.
    pub(crate) fn is_source(&self) -> bool {
        matches!(
            self,
            StepKind::Source { .. }
                | StepKind::Operator {
                    renumbers: true,
                    ..
                }
        )
    }

    /// How many next steps it has.
    pub(crate) fn branches(&self) -> usize {
        match *self {
            StepKind::Operator { branches, .. } => branches,
            StepKind::Source { .. } | StepKind::Stage { .. } => 1,
            StepKind::End { .. } => 0,
        }
    }
}

impl Plan {
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        let mut plan = Plan {
            steps,
            max_inside: 0,
            notes: Vec::new(),
        };
        plan.notes = plan.lost_orders();
        let inside = plan.factors().into_iter();
        let inside = inside.map(|(count, weight, _)| count.saturating_mul(weight));
        plan.max_inside = inside.fold(0, usize::saturating_add);
        plan
    }

    /// Orders by key that a later stage does not keep.
    fn lost_orders(&self) -> Vec<String> {
        let order = |step: &Step| match step.kind {
            StepKind::Stage {
                order, parallelism, ..
            } => Some((order, parallelism)),
            _ => None,
        };
        // of each step, the keyed stage whose order its items are in
        let mut keyed: Vec<Option<usize>> = Vec::new();
        let mut notes = Vec::new();
        for (place, step) in self.steps.iter().enumerate() {
            let mut inputs = step.inputs.iter().filter_map(|input| keyed.get(*input));
            let before = inputs.find_map(|keyed| *keyed);
            keyed.push(match (order(step), before) {
                (Some((Order::Keyed, _)), _) => Some(place),
                (Some((Order::Unordered, parallelism)), Some(before)) if parallelism > 1 => {
                    notes.push(format!(
                        "`{}` is unordered, and loses the order by key of `{}`",
                        step.name, self.steps[before].name
                    ));
                    None
                }
                _ => before,
            });
        }
        notes
    }

    /// The sum that the bound is.
    fn factors(&self) -> Vec<(usize, usize, String)> {
        let mut outputs: Vec<usize> = Vec::new();
        let mut factors = Vec::new();
        for step in &self.steps {
            let inputs = step.inputs.iter().filter_map(|input| outputs.get(*input));
            let input = inputs.clone().copied().max().unwrap_or(1);
            let output = match step.kind {
                StepKind::Operator {
                    renumbers: true, ..
                } => 1,
                StepKind::Operator { gathers, joins, .. } => {
                    let joined = if joins {
                        inputs.copied().fold(0, usize::saturating_add)
                    } else {
                        input
                    };
                    joined.saturating_mul(gathers)
                }
                _ => input,
            };
            outputs.push(output);
            factors.extend(step.factors(input, output));
        }
        factors
    }

    /// The plan as a [Mermaid](https://mermaid.js.org) flowchart, for a page or a README.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for (index, step) in self.steps.iter().enumerate() {
            let name = step.full_name().replace('"', "#quot;");
            let (open, close) = match step.kind {
                StepKind::Stage { .. } => ("[", "]"),
                _ => ("([", "])"),
            };
            let options = step.options().replace(", ", "<br>");
            let _ = writeln!(text, "    s{index}{open}\"{name}<br>{options}\"{close}");
        }
        for (index, step) in self.steps.iter().enumerate() {
            for input in &step.inputs {
                let _ = writeln!(text, "    s{input} --> s{index}");
            }
        }
        text
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.steps.iter().map(Step::full_name).collect();
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0);
        for (place, (step, name)) in self.steps.iter().zip(&names).enumerate() {
            write!(f, "{name:width$}   {}", step.options())?;
            // a step after the one in the line above needs no arrow
            let after_the_last = place
                .checked_sub(1)
                .is_some_and(|last| step.inputs == [last]);
            if !after_the_last && !step.inputs.is_empty() {
                let inputs = step.inputs.iter().filter_map(|input| names.get(*input));
                let inputs: Vec<_> = inputs.map(|name| &**name).collect();
                write!(f, "   <- {}", inputs.join(", "))?;
            }
            writeln!(f)?;
        }
        let factors = self.factors().into_iter();
        let factors = factors.map(|(_, weight, name)| match weight {
            1 => name,
            weight => format!("{name} x {weight}"),
        });
        let factors: Vec<_> = factors.collect();
        writeln!(
            f,
            "at most {} items inside = {}",
            self.max_inside,
            factors.join(" + ")
        )?;
        let mut notes = self.notes.iter();
        notes.try_for_each(|note| writeln!(f, "note: {note}"))
    }
}
