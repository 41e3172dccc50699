#[allow(
    clippy::ptr_arg,
    clippy::trivially_copy_pass_by_ref,
    reason = "a stage is given its item, and lent its state"
)]
async fn fetch(connection: &mut Connection, id: u64) -> io::Result<Record> {
    connection.get(id).await
}

/// The stage that `fetch` is.
struct Fetch {
    connection: ::pipeline_core::__private::Made<Connection, Config>,
}

impl Fetch {
    /// The stage with its state: each worker has a `connection` that `connect` makes of it.
    #[must_use]
    fn new(connection: impl ::core::convert::Into<::std::sync::Arc<Config>>) -> Self {
        Fetch {
            connection: ::pipeline_core::__private::Made::new(connection),
        }
    }
}

#[automatically_derived]
impl ::core::fmt::Debug for Fetch {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.write_str("Fetch")
    }
}

#[automatically_derived]
impl ::core::clone::Clone for Fetch {
    fn clone(&self) -> Self {
        Fetch {
            connection: ::core::clone::Clone::clone(&self.connection),
        }
    }
}

#[automatically_derived]
impl ::pipeline_core::Stage<u64, ::pipeline_core::__private::Given<io::Result<Record>>>
for Fetch {
    type Error = ::pipeline_core::__private::Failed<io::Result<Record>>;

    async fn open(&mut self) -> ::core::result::Result<(), ::pipeline_core::BoxError> {
        let made = connect(self.connection.from()).await;
        self.connection.fill(made)?;
        ::core::result::Result::Ok(())
    }

    fn process(
        &mut self,
        item: u64,
    ) -> impl ::core::future::Future<
        Output = io::Result<Record>,
    > + ::core::marker::Send {
        fetch(self.connection.get(), item)
    }

    fn defaults() -> ::pipeline_core::config::StageConfig<u64> {
        ::pipeline_core::config::StageConfig::new()
            .name("fetch")
            .parallelism(4)
            .prepared()
    }
}
