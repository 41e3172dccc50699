//! The home of `#[stage]`, the attribute that will make a stage of a function.
//!
//! It is empty for now: a stage is written as an implementation of `pipeline_core::Stage`, or as a
//! closure for `map`, `then`, `try_map` and `and_then`. The crate exists already so that
//! `pipeline-core` and its feature `macros` keep their shape when the attribute arrives.
