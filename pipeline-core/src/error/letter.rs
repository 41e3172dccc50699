use super::StageError;

/// The input of an item that has failed for good, with its failure.
///
/// What [`dead_letters`](crate::Pipeline::dead_letters) sends. `#[non_exhaustive]`: it may carry more
/// one day.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// As the stage was given it.
    pub item: T,
    /// What its last attempt ended with.
    pub error: StageError,
}

impl<T> DeadLetter<T> {
    pub(crate) fn new(item: T, error: StageError) -> Self {
        DeadLetter { item, error }
    }
}
