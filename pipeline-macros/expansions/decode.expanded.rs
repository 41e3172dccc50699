/// Reads an event.
#[allow(
    clippy::ptr_arg,
    clippy::trivially_copy_pass_by_ref,
    reason = "a stage is given its item, and lent its state"
)]
pub async fn decode(
    scratch: &mut Vec<u8>,
    names: &Names,
    raw: Raw,
) -> Result<Event, DecodeError> {
    names.lookup(scratch, raw).await
}

/// Reads an event.
///
/// The stage that `decode` is.
pub struct Decode {
    scratch: Vec<u8>,
    names: ::std::sync::Arc<Names>,
}

impl Decode {
    /// The stage with its state: each worker has a clone of `scratch`, all workers share `names`.
    #[must_use]
    pub fn new(
        scratch: Vec<u8>,
        names: impl ::core::convert::Into<::std::sync::Arc<Names>>,
    ) -> Self {
        Decode {
            scratch,
            names: ::core::convert::Into::into(names),
        }
    }
}

#[automatically_derived]
impl ::core::fmt::Debug for Decode {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.write_str("Decode")
    }
}

#[automatically_derived]
impl ::core::clone::Clone for Decode {
    fn clone(&self) -> Self {
        Decode {
            scratch: ::pipeline_core::__private::Local::each(&self.scratch),
            names: ::core::clone::Clone::clone(&self.names),
        }
    }
}

#[automatically_derived]
impl ::pipeline_core::Stage<Raw, Event> for Decode {
    type Error = DecodeError;

    fn process(
        &mut self,
        item: Raw,
    ) -> impl ::core::future::Future<
        Output = Result<Event, DecodeError>,
    > + ::core::marker::Send {
        decode(&mut self.scratch, &*self.names, item)
    }

    fn defaults() -> ::pipeline_core::config::StageConfig<Raw> {
        ::pipeline_core::config::StageConfig::new()
            .name("decode")
            .parallelism(16)
            .ordered()
            .timeout(::core::time::Duration::from_secs(2))
            .retry(
                ::pipeline_core::config::Retry::exponential(
                        ::core::time::Duration::from_millis(50),
                    )
                    .max_retries(3),
            )
    }
}
