#[allow(
    clippy::ptr_arg,
    clippy::trivially_copy_pass_by_ref,
    reason = "a stage is given its item, and lent its state"
)]
async fn r#type<T>(buffer: &mut Vec<T>, root: &'static Path, item: Raw) -> ParseResult<T>
where
    T: DeserializeOwned + Clone,
{
    parse(buffer, root, item).await
}

/// The stage that `type` is.
struct Type<T>
where
    T: DeserializeOwned + Clone,
{
    buffer: Vec<T>,
    root: &'static Path,
    __types: ::core::marker::PhantomData<fn(&T)>,
}

impl<T> Type<T>
where
    T: DeserializeOwned + Clone,
{
    /// The stage with its state: each worker has a clone of `buffer`, all workers share `root`.
    #[must_use]
    fn new(buffer: Vec<T>, root: &'static Path) -> Self {
        Type {
            buffer,
            root,
            __types: ::core::marker::PhantomData,
        }
    }
}

#[automatically_derived]
impl<T> ::core::fmt::Debug for Type<T>
where
    T: DeserializeOwned + Clone,
{
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.write_str("Type")
    }
}

#[automatically_derived]
impl<T> ::core::clone::Clone for Type<T>
where
    T: DeserializeOwned + Clone,
    Vec<T>: ::core::clone::Clone,
{
    fn clone(&self) -> Self {
        Type {
            buffer: ::pipeline_core::__private::Local::each(&self.buffer),
            root: ::core::clone::Clone::clone(&self.root),
            __types: ::core::marker::PhantomData,
        }
    }
}

#[automatically_derived]
impl<T> ::pipeline_core::Stage<Raw, ParseResult<T>> for Type<T>
where
    T: DeserializeOwned + Clone,
    T: ::core::marker::Send + 'static,
{
    type Error = ::core::convert::Infallible;

    fn process(
        &mut self,
        item: Raw,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<ParseResult<T>, ::core::convert::Infallible>,
    > + ::core::marker::Send {
        ::pipeline_core::__private::sure(r#type::<T>(&mut self.buffer, self.root, item))
    }

    fn defaults() -> ::pipeline_core::config::StageConfig<Raw> {
        ::pipeline_core::config::StageConfig::new()
            .name("read")
            .window(WINDOW)
            .attempt_timeout(::core::time::Duration::from_micros(1500))
    }
}
