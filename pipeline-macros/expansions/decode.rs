/// Reads an event.
#[stage(parallelism = 16, ordered, timeout = "2s", retry(max = 3, backoff = "50ms"))]
pub async fn decode(
    #[state] scratch: &mut Vec<u8>,
    #[state] names: &Names,
    raw: Raw,
) -> Result<Event, DecodeError> {
    names.lookup(scratch, raw).await
}
