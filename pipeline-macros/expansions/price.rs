/// Looks up what an order costs: `"pear 2"`.
#[stage(parallelism = 16, timeout = "2s", retry(backoff = "50ms", max = 5))]
async fn price(
    #[state] words: &mut Vec<String>,
    #[state] prices: &Prices,
    order: String,
) -> Result<u64, BoxError> {
    words.clear();
    words.extend(order.split(' ').map(str::to_owned));
    let count: u64 = words.get(1).ok_or("how many?")?.parse()?;
    Ok(prices.ask(&words[0]).await? * count)
}
