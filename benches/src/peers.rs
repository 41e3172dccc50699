//! What a user would write or pick instead: the idioms of tokio, rayon, published crates.

#[cfg(feature = "peers")]
pub mod crates;
pub mod idioms;
pub mod threads;
