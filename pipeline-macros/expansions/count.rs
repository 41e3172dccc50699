#[stage(parallelism = 4, unordered)]
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
