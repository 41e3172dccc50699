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
    /// From the source to the end.
    pub steps: Vec<Step>,
    /// `F`: the most source items that can have been taken from the source and not be over yet. For
    /// a channel it includes what waits in the channel.
    pub max_inside: usize,
}

/// A step of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// As in errors and reports.
    pub name: Arc<str>,
    /// What it is, with its options.
    pub kind: StepKind,
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

    /// Remembers what is to be refused at the start.
    pub(crate) fn misplace_buffer(&mut self) {
        if let StepKind::Stage { mistake, .. } = &mut self.kind {
            *mistake = Some(Mistake::MisplacedBuffer);
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
            } => Err(BuildError::MisplacedBuffer(name())),
            StepKind::Stage {
                mistake: Some(Mistake::RetryIfAlone),
                ..
            } => Err(BuildError::Without(name(), "retry_if", "retry")),
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
            _ => None,
        }
    }

    /// Items that it can hold back from the next step.
    pub(crate) fn capacity(&self) -> usize {
        match self.kind {
            StepKind::Source { buffer, .. } => buffer,
            StepKind::Stage { window, .. } => window,
            StepKind::End { batch } => batch,
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
            StepKind::End { batch } => format!("takes up to {batch} at once"),
        }
    }

    fn factor(&self) -> String {
        match &self.kind {
            StepKind::Source {
                channel: None,
                buffer,
            } => format!("buffer {buffer}"),
            StepKind::Source {
                channel: Some(channel),
                buffer,
            } => format!("capacity {channel} + buffer {buffer}"),
            StepKind::Stage { window, .. } => format!("window {window}"),
            StepKind::End { batch } => format!("{batch} at the end"),
        }
    }
}

impl Plan {
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        let inside = steps.iter().map(|step| match step.kind {
            StepKind::Source { channel, buffer } => channel.unwrap_or(0).saturating_add(buffer),
            _ => step.capacity(),
        });
        let max_inside = inside.fold(0, usize::saturating_add);
        Plan { steps, max_inside }
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
        for index in 1..self.steps.len() {
            let _ = writeln!(text, "    s{} --> s{index}", index - 1);
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
        for (step, name) in self.steps.iter().zip(&names) {
            writeln!(f, "{name:width$}   {}", step.options())?;
        }
        let factors: Vec<_> = self.steps.iter().map(Step::factor).collect();
        writeln!(
            f,
            "at most {} items inside = {}",
            self.max_inside,
            factors.join(" + ")
        )
    }
}
