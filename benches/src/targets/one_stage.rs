//! One piece of work, given to every contender alike: the items `0..n` through one stage.

use std::time::Duration;

use futures_util::stream;
use pipeline_core::prelude::*;

use crate::measure::runtime::checked;
use crate::options::Options;
use crate::ours;
use crate::peers::idioms;
use crate::tally::{Indexed, Tally, Wrong};

/// The function of the stage, and how it is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneStage<F> {
    pub(super) options: Options,
    pub(super) function: F,
}

/// Defines a method of `OneStage` that gives that peer's samples.
macro_rules! peer {
    ($name:ident, $run:path) => {
        pub(super) fn $name(&self) -> impl Fn(u64) -> Result<Duration, Wrong> + 'static {
            let OneStage { options, function } = self.clone();
            move |items| {
                let run = $run(
                    stream::iter(0..items),
                    options,
                    function.clone(),
                    Tally::default(),
                );
                checked(items, options.ordered, async { Ok(run.await) })
            }
        }
    };
}

impl<F, Fut, T> OneStage<F>
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Indexed,
{
    pub(super) fn ours(&self) -> impl Fn(u64) -> Result<Duration, Wrong> + 'static {
        let OneStage { options, function } = self.clone();
        move |items| {
            let function = function.clone();
            // the pipeline is built within the time, as the peers' streams are
            checked(items, options.ordered, async move {
                ours::then(
                    Pipeline::from_iter(0..items),
                    options,
                    function,
                    Tally::default(),
                )
                .await
            })
        }
    }

    peer!(buffered, idioms::buffered);
    peer!(spawn_buffered, idioms::spawn_buffered);
    peer!(semaphore_spawn_mpsc, idioms::semaphore_spawn_mpsc);
    #[cfg(feature = "peers")]
    peer!(futures_buffered, crate::peers::crates::futures_buffered);
    #[cfg(feature = "peers")]
    peer!(tokio_par_util, crate::peers::crates::tokio_par_util);
    #[cfg(feature = "peers")]
    peer!(par_stream, crate::peers::crates::par_stream);
    #[cfg(feature = "peers")]
    peer!(pumps, crate::peers::crates::pumps);
}
