//! The program `reorder`, run as a user runs it.
//!
//! That a run is exactly the schedule that was computed is tested beside its code, on the paused clock: `cargo test -p
//! examples --bin reorder`.

#![cfg(unix)]

mod program;

use std::{
    fs,
    process::{Command, Output},
};

use rustix::process::Signal;
use tempfile::TempDir;

use program::{Run, stderr, stdout};

#[test]
fn a_run_is_never_shorter_than_its_schedule() {
    let output = run(["--jobs", "100", "--workers", "10", "--max", "20"]);

    let lines = stdout(&output);
    assert!(
        lines.starts_with("100 jobs of 0 to 20 ms on 10 workers, in order, window 1024 (seed 1)\n"),
        "{lines}"
    );
    let time = |row| figure(&lines, row);
    assert!(time("this run") >= time("FIFO schedule"), "{lines}");
    assert!(time("FIFO schedule") >= time("lower bound"), "{lines}");
    assert!(time("workers at work") <= 10.0, "{lines}");
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn several_runs_have_a_median() {
    let output = run(["--jobs=20", "--workers=5", "--max=5", "--runs=3"]);

    let lines = stdout(&output);
    assert!(figure(&lines, "median of 3 runs") > 0.0, "{lines}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_small_window_costs_time() {
    let output = run([
        "--jobs=100",
        "--workers=10",
        "--max=20",
        "--window=10",
        "--report",
    ]);

    let lines = stdout(&output);
    let windowed = figure(&lines, "  with this window");
    assert!(windowed > figure(&lines, "FIFO schedule"), "{lines}");
    assert!(figure(&lines, "this run") >= windowed, "{lines}");
    assert!(
        stderr(&output).contains("100 taken = 100 delivered"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_picture_has_a_text_and_no_more_lanes_than_workers() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("picture.svg");
    let path = file.to_str().unwrap();
    for (order, waits) in [("--window=100", true), ("--unordered", false)] {
        let output = run(["--jobs=60", "--workers=6", "--max=10", "--svg", path, order]);

        assert_eq!(stderr(&output), "");
        assert_eq!(output.status.code(), Some(0));
        let svg = fs::read_to_string(&file).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("<title id=\"title\">60 jobs of 0 to 10 ms on 6 workers"));
        assert!(svg.contains("<desc id=\"desc\">A lane for each of "));
        assert!(svg.contains(">milliseconds from the start<"));
        assert!(svg.contains(">worker 1<") && !svg.contains(">worker 7<"));
        assert_eq!(svg.contains("waits for its turn"), waits);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}

#[test]
fn a_picture_that_cannot_be_written_is_named() {
    let output = run(["--jobs=1", "--max=0", "--svg", "no such folder/picture.svg"]);

    assert_eq!(
        stderr(&output),
        "reorder: no such folder/picture.svg: No such file or directory (os error 2)\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

// ----- wrong use -----

#[test]
fn wrong_options_are_refused_with_a_sentence() {
    for (arguments, sentence) in [
        (["--jobs", "0"], "--jobs must be 1 to 1000000"),
        (["--workers", "0"], "--workers must be 1 to 1000000"),
        (["--runs", "many"], "many"),
        (["--no-such-option", "1"], "--no-such-option"),
        (["--max", "3600001"], "--max must be 0 to 3600000"),
        // by the library
        (
            ["--window", "99"],
            "window 99 is smaller than parallelism 100",
        ),
    ] {
        let output = run(arguments);
        let said = stderr(&output);
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn help_names_every_option() {
    let output = run(["--help"]);

    for option in [
        "--jobs",
        "--workers",
        "--max",
        "--seed",
        "--window",
        "--unordered",
        "--runs",
        "--svg",
        "--report",
        "--help",
    ] {
        assert!(stdout(&output).contains(option), "{option}");
    }
    assert_eq!(output.status.code(), Some(0));
}

// ----- Ctrl-C -----

#[test]
fn the_first_signal_finishes_what_was_taken_and_takes_no_more() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut program = start(["--jobs=1000000", "--workers=2", "--max=1"]);
        program.line_of_stdout(); // it has started
        program.send(signal);

        assert!(program.line_of_stderr().contains("finishing"));
        let output = program.output();
        let said = stderr(&output);
        assert!(said.contains("of 1000000 jobs done"), "{said}");
        assert_eq!(output.status.code(), Some(130));
    }
}

#[test]
fn the_second_signal_leaves_jobs_that_take_an_hour() {
    let mut program = start(["--jobs=10", "--workers=10", "--max=3600000"]);
    program.line_of_stdout();
    program.send(Signal::INT);
    assert!(program.line_of_stderr().contains("finishing"));
    program.send(Signal::INT);

    let output = program.output();
    let said = stderr(&output);
    assert!(said.contains("0 of 10 jobs done"), "{said}");
    assert_eq!(output.status.code(), Some(130));
}

// ----- tools -----

/// The number in the row of the table that begins with `row`.
fn figure(lines: &str, row: &str) -> f64 {
    let line = lines.lines().find_map(|line| line.strip_prefix(row));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.unwrap().parse().unwrap()
}

fn start<const N: usize>(arguments: [&str; N]) -> Run {
    Run::new(Command::new(env!("CARGO_BIN_EXE_reorder")).args(arguments))
}

fn run<const N: usize>(arguments: [&str; N]) -> Output {
    start(arguments).output()
}
