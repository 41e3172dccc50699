#[allow(
    clippy::needless_pass_by_value,
    reason = "a stage is given its item, and lent its state"
)]
pub fn parse(line: String) -> Result<u64, ParseIntError> {
    line.trim().parse()
}

/// The stage that `parse` is.
#[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::default::Default)]
pub struct Parse;

#[automatically_derived]
impl ::pipeline_core::Stage<String, u64> for Parse {
    type Error = ParseIntError;

    fn process(
        &mut self,
        item: String,
    ) -> impl ::core::future::Future<
        Output = Result<u64, ParseIntError>,
    > + ::core::marker::Send {
        ::core::future::ready(parse(item))
    }

    fn defaults() -> ::pipeline_core::config::StageConfig<String> {
        ::pipeline_core::config::StageConfig::new().name("parse")
    }
}
