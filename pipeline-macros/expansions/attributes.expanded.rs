/// Packs a page.
#[cfg(feature = "pack")]
#[allow(dead_code)]
#[tracing::instrument(skip_all)]
#[deprecated(note = "use `zip`")]
#[allow(
    clippy::needless_pass_by_value,
    reason = "a stage is given its item, and lent its state"
)]
pub(crate) fn pack(page: Page) -> Packed {
    zip(page)
}

/// Packs a page.
///
/// The stage that `pack` is.
#[deprecated(note = "use `zip`")]
#[cfg(feature = "pack")]
#[allow(dead_code)]
#[allow(deprecated, reason = "a use is what it warns of")]
#[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::default::Default)]
pub(crate) struct Pack;

#[cfg(feature = "pack")]
#[allow(dead_code)]
#[allow(deprecated, reason = "a use is what it warns of")]
#[automatically_derived]
impl ::pipeline_core::Stage<Page, Packed> for Pack {
    type Error = ::core::convert::Infallible;

    fn process(
        &mut self,
        item: Page,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<Packed, ::core::convert::Infallible>,
    > + ::core::marker::Send {
        ::core::future::ready(::core::result::Result::Ok(pack(item)))
    }

    fn defaults() -> ::pipeline_core::config::StageConfig<Page> {
        ::pipeline_core::config::StageConfig::new()
            .name("pack")
            .cores()
            .blocking()
            .retry(AGAIN)
    }
}
