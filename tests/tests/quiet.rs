//! K7: the library has no voice of its own. What it has to say goes through its results and through `tracing`.

use std::process::Command;

/// A program that brings pipelines to every kind of end prints nothing, and keeps its panic hook.
#[test]
fn the_library_prints_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_quiet")).output();
    let output = output.expect("the program was built with this test");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&output.stdout), "");
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success(), "{}", output.status);
}
