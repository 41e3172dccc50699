impl Count {
    async fn open(&mut self) -> io::Result<()> {
        self.log = Some(Log::create().await?);
        Ok(())
    }

    async fn process(&mut self, event: Event) -> u64 {
        self.seen += 1;
        event.id
    }

    async fn close(self) -> io::Result<()> {
        self.log.flush().await
    }
}

#[automatically_derived]
impl ::pipeline_core::Stage<Event, u64> for Count {
    type Error = ::pipeline_core::__private::Failed<io::Result<()>>;

    async fn open(&mut self) -> ::core::result::Result<(), ::pipeline_core::BoxError> {
        Self::open(self).await?;
        ::core::result::Result::Ok(())
    }

    fn process(
        &mut self,
        item: Event,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<
            u64,
            ::pipeline_core::__private::Failed<io::Result<()>>,
        >,
    > + ::core::marker::Send {
        ::pipeline_core::__private::sure(Self::process(self, item))
    }

    fn close(
        self,
    ) -> impl ::core::future::Future<Output = io::Result<()>> + ::core::marker::Send {
        Self::close(self)
    }

    fn defaults() -> ::pipeline_core::config::StageConfig<Event> {
        ::pipeline_core::config::StageConfig::new().parallelism(4).unordered().prepared()
    }
}
