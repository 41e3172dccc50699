//! What the compiler says to wrong uses: a file a mistake under `ui`, those of `#[stage]` in `ui/stage`, and what is
//! said beside it.
//!
//! The wording between our words is the compiler's and changes with its versions, so it is compared
//! on the version that the workspace names (`rust-version`) and on no other. To accept what it says
//! now: `TRYBUILD=overwrite cargo test -p tests --test messages`, and read the difference. A closure is
//! named by its path, which may be long: functions are the safer mistakes.

use std::process::Command;

/// Each mistake is answered as it was.
#[test]
fn wrong_uses_are_answered_with_what_to_write_instead() {
    let pinned = env!("CARGO_PKG_RUST_VERSION");
    let version = Command::new(option_env!("RUSTC").unwrap_or("rustc"))
        .arg("--version")
        .output();
    let version = String::from_utf8(version.expect("the compiler runs").stdout).expect("text");
    if !version.starts_with(&format!("rustc {pinned}")) {
        println!("not compared: the messages are those of rustc {pinned}, and this is {version}");
        return;
    }
    let mistakes = trybuild::TestCases::new();
    mistakes.compile_fail("tests/ui/*.rs");
    mistakes.compile_fail("tests/ui/stage/*.rs");
}
