//! Prints the table of targets: `cargo run --release -p benches --bin targets -- [--quick] [--only TEXT]`.

use std::process::ExitCode;

use benches::alloc::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    benches::targets::main()
}
