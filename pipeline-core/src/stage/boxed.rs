//! A stage whose type is chosen at run time.

use std::fmt;

use async_trait::async_trait;

use super::Stage;
use crate::{config::StageConfig, error::BoxError};

/// Any [`Stage`] from `In` to `Out`, with its type erased. Made by [`Stage::boxed`].
///
/// It keeps the options that the stage brings. Each item costs one allocation more.
pub struct BoxStage<In, Out>(Box<dyn DynStage<In, Out>>);

impl<In: Send + 'static, Out: Send + 'static> BoxStage<In, Out> {
    /// Erases the type of `stage`.
    pub fn new(stage: impl Stage<In, Out> + Clone) -> Self {
        BoxStage(Box::new(stage))
    }
}

impl<In, Out> Clone for BoxStage<In, Out> {
    fn clone(&self) -> Self {
        self.0.duplicate()
    }
}

impl<In, Out> fmt::Debug for BoxStage<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxStage")
    }
}

/// The object-safe twin. Private: users implement `Stage`.
#[async_trait]
trait DynStage<In, Out>: Send {
    async fn open(&mut self) -> Result<(), BoxError>;
    async fn process(&mut self, item: In) -> Result<Out, BoxError>;
    async fn close(self: Box<Self>) -> Result<(), BoxError>;
    fn config(&self) -> StageConfig<In>;
    fn duplicate(&self) -> BoxStage<In, Out>;
}

#[async_trait]
impl<In, Out, S> DynStage<In, Out> for S
where
    In: Send + 'static,
    Out: Send + 'static,
    S: Stage<In, Out> + Clone,
{
    async fn open(&mut self) -> Result<(), BoxError> {
        Stage::open(self).await
    }

    async fn process(&mut self, item: In) -> Result<Out, BoxError> {
        Stage::process(self, item).await.map_err(Into::into)
    }

    async fn close(self: Box<Self>) -> Result<(), BoxError> {
        Stage::close(*self).await.map_err(Into::into)
    }

    fn config(&self) -> StageConfig<In> {
        let own = Stage::config(self);
        StageConfig {
            name: own
                .name
                .or_else(|| Some(short_name(std::any::type_name::<S>()))),
            ..own
        }
    }

    fn duplicate(&self) -> BoxStage<In, Out> {
        BoxStage::new(self.clone())
    }
}

#[diagnostic::do_not_recommend]
impl<In: Send + 'static, Out: Send + 'static> Stage<In, Out> for BoxStage<In, Out> {
    type Error = BoxError;

    async fn open(&mut self) -> Result<(), BoxError> {
        self.0.open().await
    }

    async fn process(&mut self, item: In) -> Result<Out, BoxError> {
        self.0.process(item).await
    }

    async fn close(self) -> Result<(), BoxError> {
        self.0.close().await
    }

    fn config(&self) -> StageConfig<In> {
        self.0.config()
    }
}

/// `Decode` for `my_crate::stages::Decode<alloc::string::String>`.
pub(crate) fn short_name(name: &'static str) -> &'static str {
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::short_name;

    #[test]
    fn type_names_are_cut_to_what_a_reader_knows() {
        assert_eq!(
            short_name("my_crate::stages::Decode<alloc::string::String>"),
            "Decode"
        );
        assert_eq!(short_name("Decode"), "Decode");
    }
}
