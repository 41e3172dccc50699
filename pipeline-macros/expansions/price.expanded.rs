/// Looks up what an order costs: `"pear 2"`.
#[allow(
    clippy::ptr_arg,
    clippy::trivially_copy_pass_by_ref,
    reason = "a stage is given its item, and lent its state"
)]
async fn price(
    words: &mut Vec<String>,
    prices: &Prices,
    order: String,
) -> Result<u64, BoxError> {
    words.clear();

    words.extend(order.split(' ').map(str::to_owned));

    let count: u64 = words.get(1).ok_or("how many?")?.parse()?;

    Ok(prices.ask(&words[0]).await? * count)
}

/// Looks up what an order costs: `"pear 2"`.
///
/// The stage that `price` is.
struct Price {
    words: Vec<String>,
    prices: ::std::sync::Arc<Prices>,
}

impl Price {
    /// The stage with its state: each worker has a clone of `words`, all workers share `prices`.
    #[must_use]
    fn new(
        words: Vec<String>,
        prices: impl ::core::convert::Into<::std::sync::Arc<Prices>>,
    ) -> Self {
        Price {
            words,
            prices: ::core::convert::Into::into(prices),
        }
    }
}

#[automatically_derived]
impl ::core::fmt::Debug for Price {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.write_str("Price")
    }
}

#[automatically_derived]
impl ::core::clone::Clone for Price {
    fn clone(&self) -> Self {
        Price {
            words: ::pipeline_core::__private::Local::each(&self.words),
            prices: ::core::clone::Clone::clone(&self.prices),
        }
    }
}

#[automatically_derived]
impl ::pipeline_core::Stage<String, u64> for Price {
    type Error = BoxError;

    fn process(
        &mut self,
        item: String,
    ) -> impl ::core::future::Future<
        Output = Result<u64, BoxError>,
    > + ::core::marker::Send {
        price(&mut self.words, &*self.prices, item)
    }

    fn defaults() -> ::pipeline_core::config::StageConfig<String> {
        ::pipeline_core::config::StageConfig::new()
            .name("price")
            .parallelism(16)
            .timeout(::core::time::Duration::from_secs(2))
            .retry(
                ::pipeline_core::config::Retry::exponential(
                        ::core::time::Duration::from_millis(50),
                    )
                    .max_retries(5),
            )
    }
}
