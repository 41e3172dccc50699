#[stage(parallelism = 4)]
async fn fetch(#[state(init = connect(&Config))] connection: &mut Connection, id: u64) -> io::Result<Record> {
    connection.get(id).await
}
