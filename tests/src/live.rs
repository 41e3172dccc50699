//! A run in progress, under watch.

use std::fmt;
use std::pin::Pin;

use pipeline_core::error::RunError;
use pipeline_core::report::Report;
use pipeline_core::run::{Control, Items, Running};
use tokio_stream::StreamExt;

use crate::flow::Flow;
use crate::tally::Item;

/// [`Running`], with the standing checks made at its end.
pub struct Live<R: Send + 'static = ()> {
    running: Option<Running<R>>,
    flow: Flow,
}

impl<R: Send + 'static> Live<R> {
    /// A run that has just been started.
    pub fn new(running: Running<R>, flow: Flow) -> Self {
        Live {
            running: Some(running),
            flow,
        }
    }

    fn running(&mut self) -> &mut Running<R> {
        self.running.as_mut().expect("only a drop takes it")
    }

    /// For others than the owner.
    pub fn control(&self) -> Control {
        let running = self.running.as_ref().expect("only a drop takes it");
        running.control()
    }

    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// Those of [`Running::wait`].
    pub async fn wait(&mut self) -> Result<Report<R>, RunError> {
        let result = self.running().wait().await;
        self.flow.ended(result.as_ref());
        result
    }
}

impl Live<Items<Item>> {
    /// The next item, which then counts as received.
    ///
    /// # Errors
    ///
    /// Why the run ended, if it did not finish.
    pub async fn next(&mut self) -> Option<Result<u64, RunError>> {
        self.flow.hears_end();
        let next = Pin::new(self.running()).next().await;
        match next {
            Some(Ok(item)) => {
                let index = item.index;
                self.flow.hand(item);
                Some(Ok(index))
            }
            Some(Err(error)) => {
                self.flow.ended::<()>(Err(&error));
                Some(Err(error))
            }
            None => {
                self.flow.over();
                None
            }
        }
    }
}

impl<R: Send + 'static> Drop for Live<R> {
    fn drop(&mut self) {
        self.flow.let_go();
        self.running = None;
        self.flow.gone();
    }
}

impl<R: Send + 'static> fmt::Debug for Live<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("flow", &self.flow).finish()
    }
}
