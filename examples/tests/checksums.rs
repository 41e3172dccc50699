//! The program `checksums`, run as a user runs it.
//!
//! Where a test needs to know how far the program is, it hands it a named pipe: the program stops
//! in it until the test writes.

#![cfg(unix)]

mod program;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};
use tempfile::TempDir;

use program::{Run, stderr, stdout, within_a_minute};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const MILLION_A: &str = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

// ----- what is printed -----

#[test]
fn known_digests_in_walk_order_and_nothing_on_stderr() {
    let tree = Tree::new();
    tree.file("b/abc", "abc");
    tree.file("b/a-million", &"a".repeat(1_000_000));
    tree.file("a/empty", "");
    tree.file("c", "abc");

    let output = tree.run(["."]);

    assert_eq!(stderr(&output), "");
    assert_eq!(
        stdout(&output),
        format!("{EMPTY}  ./a/empty\n{MILLION_A}  ./b/a-million\n{ABC}  ./b/abc\n{ABC}  ./c\n")
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_current_folder_is_the_default() {
    let tree = Tree::new();
    tree.file("abc", "abc");

    let output = tree.run([]);

    assert_eq!(stdout(&output), format!("{ABC}  ./abc\n"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn paths_are_read_in_the_order_given_and_as_often_as_given() {
    let tree = Tree::new();
    tree.file("a", "abc");
    tree.file("z", "");

    let output = tree.run(["z", "a", "z"]);

    assert_eq!(
        stdout(&output),
        format!("{EMPTY}  z\n{ABC}  a\n{EMPTY}  z\n")
    );
}

#[test]
fn a_folder_without_files_prints_nothing() {
    let output = Tree::new().run(["."]);

    assert_eq!(
        (stdout(&output).as_str(), stderr(&output).as_str()),
        ("", "")
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn order_is_kept_when_a_later_file_is_done_first() {
    let tree = Tree::new();
    tree.pipe("first");
    tree.pipe("second");
    let run = tree.start(["--jobs", "2", "first", "second"]);

    tree.feed("second", "");
    tree.feed("first", "abc");

    let output = run.output();
    assert_eq!(stdout(&output), format!("{ABC}  first\n{EMPTY}  second\n"));
}

#[test]
fn unordered_prints_a_line_while_an_earlier_file_is_still_being_read() {
    let tree = Tree::new();
    tree.pipe("first");
    tree.pipe("second");
    let mut run = tree.start(["--unordered", "--jobs", "2", "first", "second"]);

    tree.feed("second", "");
    assert_eq!(run.line_of_stdout(), format!("{EMPTY}  second"));
    tree.feed("first", "abc");

    let output = run.output();
    assert_eq!(stdout(&output), format!("{ABC}  first\n"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn unordered_and_any_number_of_jobs_print_the_same_lines() {
    let tree = Tree::new();
    for n in 0..400 {
        tree.file(format!("{}/{n}", n % 7), &"x".repeat(n * 50));
    }
    let expected = tree.run(["--jobs", "1", "."]);
    assert_eq!(stdout(&expected).lines().count(), 400);

    assert_eq!(stdout(&tree.run(["-j8", "."])), stdout(&expected));
    let lines = |output: &Output| {
        stdout(output)
            .lines()
            .map(String::from)
            .collect::<BTreeSet<_>>()
    };
    for jobs in ["--jobs=1", "--jobs=8"] {
        assert_eq!(
            lines(&tree.run([jobs, "--unordered", "."])),
            lines(&expected)
        );
    }
}

#[test]
fn odd_names_are_written_as_sha256sum_writes_them() {
    let tree = Tree::new();
    for name in ODD_NAMES {
        tree.file(OsStr::from_bytes(name), "abc");
    }

    let output = tree.run(["."]);

    let mut expected = Vec::new();
    for (start, name) in [
        ("", &b"./ two  spaces "[..]),
        ("", b"./--jobs"),
        ("\\", b"./back\\\\slash"),
        ("\\", b"./carriage\\rreturn"),
        ("\\", b"./new\\nline"),
        ("", b"./not\xffutf8"),
        ("", "./\u{fc}".as_bytes()),
    ] {
        expected.extend(format!("{start}{ABC}  ").bytes());
        expected.extend(name);
        expected.push(b'\n');
    }
    assert_eq!(
        output.stdout.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

#[test]
fn sha256sum_accepts_the_lines() {
    let tree = Tree::new();
    for name in ODD_NAMES {
        tree.file(OsStr::from_bytes(name), "some text");
    }
    tree.file("folder/empty", "");
    tree.file("folder/more", &"0123456789".repeat(100_000));
    let output = tree.run(["."]);
    tree.file("sums", "");
    fs::write(tree.path("sums"), &output.stdout).unwrap();

    let check = Command::new("sha256sum")
        .args(["--check", "--strict", "sums"])
        .current_dir(&tree.folder)
        .output();

    let Ok(check) = check else {
        eprintln!("not checked: there is no `sha256sum` here");
        return;
    };
    assert_eq!(stderr(&check), "");
    assert_eq!(check.status.code(), Some(0));
    assert_eq!(
        check
            .stdout
            .escape_ascii()
            .to_string()
            .matches(": OK")
            .count(),
        ODD_NAMES.len() + 2
    );
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_run_quietly() {
    let tree = Tree::new();
    tree.pipe("first");
    tree.file("second", "");
    let mut run = tree.start(["first", "second"]);

    run.close_stdout();
    tree.feed("first", "abc"); // only now is there something to write

    let output = run.output();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_report_counts_what_was_done() {
    let tree = Tree::new();
    tree.file("a", "");
    tree.file("b", "abc");
    symlink("nowhere", tree.path("c")).unwrap();

    let output = tree.run(["--report", "."]);

    assert_eq!(stdout(&output).lines().count(), 2);
    let report = stderr(&output);
    assert!(
        report.contains("3 taken = 2 delivered + 1 failed"),
        "{report}"
    );
    let stage = report
        .lines()
        .find(|line| line.starts_with("hash "))
        .unwrap();
    let counts: Vec<_> = stage.split_whitespace().skip(1).take(3).collect();
    assert_eq!(counts, ["3", "2", "1"], "taken, given, failed: {report}");
}

// ----- what cannot be read -----

#[test]
fn broken_links_are_named_and_the_rest_goes_on() {
    let tree = Tree::new();
    tree.file("folder/abc", "abc");
    symlink("nowhere", tree.path("folder/a-broken-link")).unwrap();
    symlink("abc", tree.path("folder/link-to-a-file")).unwrap();
    symlink(".", tree.path("folder/link-to-a-folder")).unwrap();

    let output = tree.run(["folder"]);

    assert_eq!(stdout(&output), format!("{ABC}  folder/abc\n"));
    assert_eq!(
        stderr(&output),
        "checksums: folder/a-broken-link: No such file or directory (os error 2)\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn links_given_as_arguments_are_followed() {
    let tree = Tree::new();
    tree.file("folder/abc", "abc");
    symlink("folder", tree.path("to-a-folder")).unwrap();
    symlink("folder/abc", tree.path("to-a-file")).unwrap();
    symlink("nowhere", tree.path("to-nothing")).unwrap();

    let output = tree.run(["to-a-folder", "to-nothing", "to-a-file"]);

    assert_eq!(
        stdout(&output),
        format!("{ABC}  to-a-folder/abc\n{ABC}  to-a-file\n")
    );
    assert_eq!(
        stderr(&output),
        "checksums: to-nothing: No such file or directory (os error 2)\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_file_that_vanishes_is_named_and_the_rest_goes_on() {
    let tree = Tree::new();
    tree.pipe("first");
    tree.file("second", "");
    tree.file("third", "abc");
    let run = tree.start(["--jobs", "1", "first", "second", "third"]);

    let mut first = tree.open("first"); // so the arguments have been checked, and `second` was there
    fs::remove_file(tree.path("second")).unwrap();
    first.write_all(b"abc").unwrap();
    drop(first);

    let output = run.output();
    assert_eq!(stdout(&output), format!("{ABC}  first\n{ABC}  third\n"));
    assert_eq!(
        stderr(&output),
        "checksums: second: No such file or directory (os error 2)\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_opens_and_cannot_be_read_is_named() {
    let tree = Tree::new();
    tree.file("abc", "abc");

    let output = tree.run(["/proc/self/mem", "abc"]);

    assert_eq!(stdout(&output), format!("{ABC}  abc\n"));
    assert_eq!(
        stderr(&output),
        "checksums: /proc/self/mem: Input/output error (os error 5)\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn every_failure_is_named_however_many_there_are() {
    let tree = Tree::new();
    for n in 0..1000 {
        symlink("nowhere", tree.path(format!("{n:04}"))).unwrap();
    }
    tree.file("last", "abc");

    let output = tree.run(["."]);

    let named: BTreeSet<_> = stderr(&output).lines().map(String::from).collect();
    let expected =
        (0..1000).map(|n| format!("checksums: ./{n:04}: No such file or directory (os error 2)"));
    assert_eq!(named, expected.collect());
    assert_eq!(stdout(&output), format!("{ABC}  ./last\n"));
}

#[test]
fn an_error_stays_on_one_line_whatever_the_name() {
    let tree = Tree::new();
    symlink("nowhere", tree.path("new\nline\u{1b}[31m")).unwrap();

    let output = tree.run(["."]);

    assert_eq!(
        stderr(&output),
        "checksums: ./new\\nline\\u{1b}[31m: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_named_pipe_inside_a_folder_is_not_read() {
    let tree = Tree::new();
    tree.pipe("folder/pipe");
    tree.file("folder/abc", "abc");

    let output = tree.start(["folder"]).output();

    assert_eq!(stdout(&output), format!("{ABC}  folder/abc\n"));
    assert_eq!(output.status.code(), Some(0));
}

// ----- wrong use -----

#[test]
fn a_path_that_does_not_exist_is_refused_before_anything_is_read() {
    let tree = Tree::new();
    tree.file("abc", "abc");

    let output = tree.run(["abc", "missing", "abc/below-a-file"]);

    assert_eq!(stdout(&output), "");
    assert_eq!(
        stderr(&output),
        "checksums: missing: No such file or directory (os error 2)\n\
         checksums: abc/below-a-file: Not a directory (os error 20)\n"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn wrong_options_are_refused_with_a_sentence() {
    let tree = Tree::new();
    for (arguments, sentence) in [
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--jobs", "many"], "many"),
        (["--no-such-option", "."], "--no-such-option"),
        ([".", "--jobs"], "--jobs"),
    ] {
        let output = tree.run(arguments);
        assert!(
            stderr(&output).contains(sentence),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn help_names_every_option() {
    let output = Tree::new().run(["--help"]);

    for option in ["--jobs", "--unordered", "--report", "--help", "PATH"] {
        assert!(stdout(&output).contains(option), "{option}");
    }
    assert_eq!(output.status.code(), Some(0));
}

// ----- Ctrl-C -----

/// More files than the program may take while it is stopped in the first one.
const MANY: usize = 6000;

#[test]
fn the_first_ctrl_c_finishes_what_was_taken_and_takes_no_more() {
    let tree = Tree::new();
    tree.pipe("first");
    for n in 0..MANY {
        tree.file(format!("many/{n}"), "");
    }
    let mut run = tree.start(["--jobs", "1", "first", "many"]);

    let mut first = tree.open("first");
    run.send(Signal::INT);
    assert!(run.line_of_stderr().contains("finishing"));
    first.write_all(b"abc").unwrap();
    drop(first);

    let output = run.output();
    let lines = stdout(&output);
    assert!(lines.starts_with(&format!("{ABC}  first\n")), "{lines}");
    assert!(
        lines.lines().count() < MANY,
        "all files were read after Ctrl-C"
    );
    let taken = format!("interrupted: {} files", lines.lines().count());
    assert!(stderr(&output).contains(&taken), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(130));
}

#[test]
fn the_second_ctrl_c_leaves_even_a_file_that_hangs() {
    let tree = Tree::new();
    tree.file("abc", "abc");
    tree.pipe("hangs");
    let mut run = tree.start(["--jobs", "1", "abc", "hangs"]);
    assert_eq!(run.line_of_stdout(), format!("{ABC}  abc"));

    let _never_written = tree.open("hangs");
    run.send(Signal::INT);
    assert!(run.line_of_stderr().contains("finishing"));
    run.send(Signal::INT);

    let output = run.output();
    let said = stderr(&output);
    assert!(said.contains("interrupted: 1 file, "), "{said}");
    assert!(said.contains("1 taken but not finished"), "{said}");
    assert_eq!(output.status.code(), Some(130));
}

// ----- tools -----

const ODD_NAMES: [&[u8]; 7] = [
    b" two  spaces ",
    b"--jobs",
    b"back\\slash",
    b"carriage\rreturn",
    b"new\nline",
    b"not\xffutf8",
    "\u{fc}".as_bytes(),
];

/// A folder of its own for each test, and the program run in it.
struct Tree {
    folder: TempDir,
}

impl Tree {
    fn new() -> Self {
        Tree {
            folder: TempDir::new().unwrap(),
        }
    }

    fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        let path = self.folder.path().join(Path::new(name.as_ref()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn file(&self, name: impl AsRef<OsStr>, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn pipe(&self, name: &str) {
        mknodat(
            CWD,
            self.path(name),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
    }

    /// Opens a named pipe: waits until the program reads it.
    fn open(&self, pipe: &str) -> File {
        let path = self.path(pipe);
        within_a_minute("opening a pipe", || {
            OpenOptions::new().write(true).open(path)
        })
        .unwrap()
    }

    fn feed(&self, pipe: &str, content: &str) {
        self.open(pipe).write_all(content.as_bytes()).unwrap();
    }

    fn start<const N: usize>(&self, arguments: [&str; N]) -> Run {
        let program = env!("CARGO_BIN_EXE_checksums");
        Run::new(
            Command::new(program)
                .args(arguments)
                .current_dir(&self.folder),
        )
    }

    fn run<const N: usize>(&self, arguments: [&str; N]) -> Output {
        self.start(arguments).output()
    }
}
