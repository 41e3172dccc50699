/// Packs a page.
#[cfg(feature = "pack")]
#[allow(dead_code)]
#[tracing::instrument(skip_all)]
#[deprecated(note = "use `zip`")]
#[stage(blocking, parallelism = "cores", retry = AGAIN)]
pub(crate) fn pack(page: Page) -> Packed {
    zip(page)
}
