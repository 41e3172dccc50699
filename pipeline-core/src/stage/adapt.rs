//! A [`Stage`] as the engine sees it.

use std::marker::PhantomData;

use super::Stage;
use crate::{
    engine::{Maker, Work},
    error::BoxError,
};

pub(crate) struct Adapt<S, In, Out>(S, PhantomData<fn(In) -> Out>);

impl<S, In, Out> Adapt<S, In, Out> {
    fn new(stage: S) -> Self {
        Adapt(stage, PhantomData)
    }
}

impl<In: Send + 'static, Out: Send + 'static, S: Stage<In, Out>> Work for Adapt<S, In, Out> {
    type In = In;
    type Item = In;
    type Out = Out;
    type Error = S::Error;

    #[inline]
    fn copy(input: &In, copy: fn(&In) -> In) -> In {
        copy(input)
    }

    fn unpack(input: In) -> In {
        input
    }

    #[inline]
    fn process(&mut self, item: In) -> impl Future<Output = Result<Out, S::Error>> + Send {
        self.0.process(item)
    }

    fn close(self) -> impl Future<Output = Result<(), S::Error>> + Send {
        self.0.close()
    }
}

/// Each worker gets a clone of `stage`.
pub(crate) fn by_cloning<S, In, Out>(stage: S) -> Maker<Adapt<S, In, Out>>
where
    In: Send + 'static,
    Out: Send + 'static,
    S: Stage<In, Out> + Clone,
{
    Box::new(move || Box::pin(opened(stage.clone())))
}

/// Each worker gets what `factory` makes.
pub(crate) fn by_factory<F, Fut, S, E, In, Out>(factory: F) -> Maker<Adapt<S, In, Out>>
where
    In: Send + 'static,
    Out: Send + 'static,
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = Result<S, E>> + Send + 'static,
    S: Stage<In, Out>,
    E: Into<BoxError>,
{
    Box::new(move || {
        let making = factory();
        Box::pin(async move { opened(making.await.map_err(Into::into)?).await })
    })
}

async fn opened<S, In, Out>(mut stage: S) -> Result<Adapt<S, In, Out>, BoxError>
where
    S: Stage<In, Out>,
{
    stage.open().await?;
    Ok(Adapt::new(stage))
}
