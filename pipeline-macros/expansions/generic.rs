#[stage(name = "read", window = WINDOW, attempt_timeout = "1500us", infallible)]
async fn r#type<T>(#[state] buffer: &mut Vec<T>, #[state] root: &'static Path, item: Raw) -> ParseResult<T>
where
    T: DeserializeOwned + Clone,
{
    parse(buffer, root, item).await
}
