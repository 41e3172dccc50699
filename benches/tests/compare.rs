//! The program `compare`, as it is run by hand.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn compare(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .args(arguments)
        .output();
    output.expect("it can be started")
}

fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_section_is_measured_and_written() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("comparison-of-a-section");
    let path = folder.to_str().expect("the path is UTF-8");
    let printed = stdout(&compare(&["--quick", "--only=yield", "--output", path]));
    assert!(printed.contains("## yield\n"), "{printed}");
    let page = fs::read_to_string(folder.join("comparison.md")).expect("the page is written");
    let plot = folder.join("comparison/yield.svg");
    let plot = fs::read_to_string(plot).expect("the plot is written");
    let rows: Vec<&str> = printed
        .lines()
        .filter(|line| line.ends_with(" |"))
        .collect();
    assert!(
        rows.iter().any(|row| row.starts_with("| **ours** |")),
        "{printed}"
    );
    for row in rows {
        assert!(page.contains(row), "{row} is not on the page");
        // name and median
        for cell in row
            .split('|')
            .skip(1)
            .take(2)
            .map(|cell| cell.trim().trim_matches('*'))
        {
            let shown = cell.is_empty() || cell.contains("--") || cell == "median";
            assert!(
                shown || plot.contains(&format!(">{cell}<")),
                "{cell} is not on the plot"
            );
        }
    }
}

#[test]
fn a_probe_is_run_in_a_process() {
    assert_eq!(stdout(&compare(&["--alone=Lock/ours"])), "fine\n");
    assert_eq!(stdout(&compare(&["--alone=Zero/ours"])), "an error\n");
    assert_eq!(
        stdout(&compare(&["--alone=Panic/futures buffered"])),
        "panics\n"
    );
}

#[test]
fn groups_are_listed_and_others_refused() {
    let list = stdout(&compare(&["--list"]));
    assert!(
        list.starts_with("no-op\n") && list.ends_with("trouble\n"),
        "{list}"
    );
    assert_eq!(compare(&["--only", "nonsense"]).status.code(), Some(2));
}
