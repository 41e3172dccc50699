//! Benchmarks of `pipeline-core`.
//!
//! The program `targets` measures every target of the library against what a user would write or
//! pick instead, and prints one table. The program `compare` sets the library beside published crates, and
//! writes a page of the book. The folder `benches/` asks criterion the finer questions.
//! How to run and read them: the README of this crate. Here is what they share.

pub mod alloc;
pub mod command;
pub mod json;
pub mod measure;
pub mod one_stage;
pub mod options;
pub mod ours;
pub mod peers;
pub mod schedule;
pub mod table;
pub mod tally;
pub mod work;
