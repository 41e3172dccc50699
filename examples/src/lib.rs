//! What several of the programs share: everything else of a program is in its own folder in `bin`.

pub mod signals;
