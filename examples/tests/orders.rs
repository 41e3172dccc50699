//! The program `orders`, run as a user runs it, against a reference that reads the same lines one
//! after another.
//!
//! Where a test needs to know how far the program is, it feeds it line by line, and reads what
//! `--progress` says.
//!
//! A million lines with 20 kills, and the measurement that the book shows:
//!
//! ```text
//! cargo test --release -p examples --test orders -- --ignored --nocapture --test-threads 1
//! ```

#![cfg(unix)]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const LONGEST_LINE: usize = 16384;

// ----- what is booked -----

#[test]
fn orders_and_cancellations_are_booked() {
    let folder = Folder::new();
    folder.write(
        "events",
        r#"{"event":"order","order":1,"customer":4,"amount":1999}
{"event":"order","order":1,"customer":7,"amount":1999}
{"event":"cancel","order":1,"customer":4}
{"event":"order","order":2,"customer":4,"amount":0}"#,
    );

    let ended = folder.run(["events"]);

    assert_eq!(ended.status(), 0, "{ended:?}");
    assert!(ended.stdout.starts_with("4 lines in "), "{ended:?}");
    assert!(
        ended
            .stdout
            .ends_with(": 3 orders, 1 cancellations, 0 rejected\n"),
        "{ended:?}"
    );
    assert_eq!(ended.stderr, "");
    let row = |name: &str, amount, discount, to_pay, line, cancelled| Row {
        name: name.to_owned(),
        amount,
        discount,
        to_pay,
        line,
        cancelled,
    };
    // customer 4 has no discount, 7 has 15 %; rounded down
    let expected = BTreeMap::from([
        ((4, 1), row("Customer 4", 1999, 0, 1999, 1, Some(3))),
        ((4, 2), row("Customer 4", 0, 0, 0, 4, None)),
        ((7, 1), row("Customer 7", 1999, 15, 1699, 2, None)),
    ]);
    assert_eq!(folder.table(), expected);
}

#[test]
fn both_orders_give_the_table_that_one_thread_gives() {
    let folder = Folder::new();
    let lines = made_up(5, 6000);
    folder.write("events", &lines);
    let reference = Reference::of(&lines);
    assert!(reference.cancelled() > 400, "the input is not worth it");
    assert!(reference.rejected.len() > 3);

    for by in ["line", "customer"] {
        let database = format!("{by}.db");
        let rejects = format!("{by}.rejects");
        let ended = folder.run([
            "events",
            "--by",
            by,
            "--db",
            &database,
            "--rejects",
            &rejects,
            "--batch",
            "64",
        ]);

        assert_eq!(ended.status(), 3, "{ended:?}");
        assert_eq!(folder.table_of(&database), reference.orders, "by {by}");
        let mut rejected = folder.rejected(&rejects);
        if by == "customer" {
            rejected.sort_unstable();
        }
        assert_eq!(rejected, reference.rejected, "by {by}");
    }
    assert!(folder.lines_as_booked("line.db").is_sorted());
}

#[test]
fn a_customers_events_do_not_overtake_each_other() {
    let folder = Folder::new();
    let mut lines = String::new();
    for number in 1..=500 {
        let customer = number % 3 + 1;
        for event in [
            format!(r#"{{"event":"order","order":{number},"customer":{customer},"amount":5}}"#),
            format!(r#"{{"event":"cancel","order":{number},"customer":{customer}}}"#),
        ] {
            lines += &event;
            lines += "\n";
        }
    }
    folder.write("events", &lines);

    let arguments = [
        "events",
        "--by",
        "customer",
        "--batch",
        "1",
        "--readers",
        "8",
    ];
    let ended = folder.run(arguments);

    assert_eq!(ended.status(), 0, "{ended:?}");
    let table = folder.table();
    assert_eq!(table.len(), 500);
    assert!(
        table
            .values()
            .all(|row| row.cancelled == Some(row.line + 1))
    );
}

#[test]
fn made_up_lines_depend_on_seed_and_number_alone() {
    let lines = made_up(9, 3000);
    assert_eq!(lines, made_up(9, 3000));
    assert_eq!(lines, made_up(9, 5000)[..lines.len()]);
    assert_ne!(lines, made_up(10, 3000));

    let folder = Folder::new();
    let arguments = ["--generate", "3000", "--seed", "9"];
    folder.run(arguments);
    assert_eq!(folder.table(), Reference::of(&lines).orders);
}

// ----- lines that are wrong -----

#[test]
fn a_line_that_is_wrong_is_named_and_the_rest_goes_on() {
    let long = format!(r#"{{"event":"order","x":"{}"}}"#, "x".repeat(LONGEST_LINE));
    let longer = "y".repeat(1_000_000);
    let wrong: &[(&[u8], &str)] = &[
        (
            b"{\"event\":\"order\",\"order\":3",
            "column 26: EOF while parsing an object",
        ),
        (
            b"{\"event\":\"order\" \"order\":3}",
            "column 18: expected `,` or `}`",
        ),
        (b"null", "column 4: invalid type: null, expected an event"),
        (b"[]", "column 2: invalid length 0"),
        (b"", "empty"),
        (b" \r", "empty"),
        (b"{}", "column 2: missing field `event`"),
        (
            br#"{"event":"refund","order":3,"customer":1}"#,
            "unknown variant `refund`",
        ),
        (
            br#"{"event":"order","order":3,"customer":1}"#,
            "an order without an amount",
        ),
        (
            br#"{"event":"order","order":3,"customer":1,"amount":null}"#,
            "an order without an amount",
        ),
        (
            br#"{"event":"order","order":3,"customer":1,"amount":-5}"#,
            "the amount -5 is negative",
        ),
        (
            br#"{"event":"order","order":3,"customer":1,"amount":"5"}"#,
            "column 52: invalid type: string",
        ),
        (
            br#"{"event":"order","order":3,"customer":1,"amount":1e3}"#,
            "invalid type: floating point",
        ),
        (
            br#"{"event":"order","order":9223372036854775808,"customer":1,"amount":5}"#,
            "invalid value: integer",
        ),
        (
            br#"{"event":"order","order":-3,"customer":1,"amount":5}"#,
            "the order -3 is negative",
        ),
        (
            br#"{"event":"order","order":3,"customer":1,"amount":5} {}"#,
            "column 53: trailing characters",
        ),
        (
            br#"{"event":"order","order":3,"customer":1,"ammount":5}"#,
            "column 49: unknown field `ammount`",
        ),
        (
            br#"{"event":"order","order":3,"order":3,"customer":1,"amount":5}"#,
            "duplicate field `order`",
        ),
        (
            br#"{"event":"cancel","order":1,"customer":1,"amount":5}"#,
            "a cancellation with an amount",
        ),
        (
            br#"{"event":"order","order":3,"customer":5000,"amount":5}"#,
            "there is no customer 5000",
        ),
        (
            br#"{"event":"order","order":1,"customer":1,"amount":6}"#,
            "order 1 of customer 1 is there already",
        ),
        (
            br#"{"event":"cancel","order":1,"customer":2}"#,
            "there is no order 1 of customer 2",
        ),
        (
            br#"{"event":"cancel","order":2,"customer":1}"#,
            "was cancelled before, by line 3",
        ),
        (b"{\"event\":\"\xff\"}", "column 11: not UTF-8"),
        (long.as_bytes(), "longer than 16384 bytes"),
        (longer.as_bytes(), "longer than 16384 bytes"),
        (b"\x1b[31m\x00", "column 1: expected value"),
    ];
    let mut input = br#"{"event":"order","order":1,"customer":1,"amount":5}
{"event":"order","order":2,"customer":1,"amount":5}
{"event":"cancel","order":2,"customer":1}
"#
    .to_vec();
    for (line, _) in wrong {
        input.extend(*line);
        input.push(b'\n');
    }
    input.extend(br#"{"event":"order","order":99,"customer":1,"amount":5}"#);
    input.extend(b"\r\n");

    for by in ["line", "customer"] {
        let folder = Folder::new();
        folder.write("events", &input);
        let ended = folder.run(["events", "--rejects", "rejects", "--by", by]);

        assert_eq!(ended.status(), 3, "{ended:?}");
        assert!(
            !ended.stderr.contains('\u{1b}'),
            "it speaks to the terminal"
        );
        let mut records = folder.records("rejects");
        let mut named: Vec<_> = ended.stderr.lines().collect();
        if by == "customer" {
            records.sort_by_key(|record| record["line"].as_u64());
            named.sort_by_key(|line| {
                line.split([' ', ':'])
                    .find_map(|word| word.parse::<u64>().ok())
            });
        }
        assert_eq!(
            (named.len(), records.len()),
            (wrong.len(), wrong.len()),
            "{ended:?}"
        );
        for (at, (line, reason)) in wrong.iter().enumerate() {
            let (record, named) = (&records[at], named[at]);
            let start = format!("orders: line {}: ", at + 4);
            assert!(
                named.starts_with(&start) && named.contains(reason),
                "{named}\n{reason}"
            );
            assert_eq!(record["line"], at + 4);
            assert!(
                record["reason"].as_str().unwrap().contains(reason),
                "{record}"
            );
            let text = record["text"].as_str().unwrap();
            if line.len() > LONGEST_LINE {
                assert_eq!(text.as_bytes(), &line[..200]);
            } else {
                assert_eq!(text, String::from_utf8_lossy(line));
            }
        }
        let orders: Vec<_> = folder.table().into_keys().collect();
        assert_eq!(orders, [(1, 1), (1, 2), (1, 99)]);
    }
}

#[test]
fn unknown_fields_may_be_ignored() {
    let folder = Folder::new();
    folder.write(
        "events",
        r#"{"event":"order","order":1,"customer":1,"amount":5,"note":{"a":[1,null]}}"#,
    );
    let ended = folder.run(["events", "--ignore-unknown"]);
    assert_eq!(ended.status(), 0, "{ended:?}");
    assert_eq!(folder.table().len(), 1);
}

#[test]
fn lines_may_be_as_long_as_one_likes_if_they_may() {
    let folder = Folder::new();
    let spaces = " ".repeat(500_000);
    folder.write(
        "events",
        format!(
            "{spaces}{{\"event\":\"order\",{spaces}\"order\":1,\"customer\":1,\"amount\":5}}\n"
        ),
    );
    let ended = folder.run(["events", "--max-line", "1000100"]);
    assert_eq!(ended.status(), 0, "{ended:?}");
}

// ----- going on -----

#[test]
fn what_is_done_is_not_done_again() {
    let folder = Folder::new();
    let lines = made_up(1, 2000);
    let (first, _) = after_line(&lines, 700);
    folder.write("events", first);
    folder.run(["events", "--rejects", "rejects"]);
    assert_eq!(folder.table(), Reference::of(first).orders);

    let again = folder.run(["events", "--rejects", "rejects"]);
    assert_eq!(again.status(), 0);
    assert!(again.stdout.starts_with("0 lines in "), "{again:?}");
    assert!(
        again
            .stdout
            .ends_with("\nresumed behind 700 lines that were done\n"),
        "{again:?}"
    );

    folder.write("events", &lines); // it has grown
    let grown = folder.run(["events", "--rejects", "rejects", "--by", "customer"]);
    assert!(grown.stdout.starts_with("1300 lines in "), "{grown:?}");
    let reference = Reference::of(&lines);
    assert_eq!(folder.table(), reference.orders);
    let mut rejected = folder.rejected("rejects");
    rejected.sort_unstable();
    assert_eq!(rejected, reference.rejected);
}

#[test]
fn a_pipe_comes_again_from_its_begin() {
    let folder = Folder::new();
    let lines = made_up(1, 300);
    for (upto, new) in [(100, 100), (100, 0), (300, 200)] {
        let mut run = folder.start(["-", "--as", "shop"]);
        run.feed(after_line(&lines, upto).0);
        let ended = run.end();
        assert!(
            ended.stdout.starts_with(&format!("{new} lines in ")),
            "{ended:?}"
        );
    }
    assert_eq!(folder.table(), Reference::of(&lines).orders);
}

#[test]
fn another_file_under_the_same_name_is_refused() {
    let folder = Folder::new();
    let lines = made_up(1, 100);
    folder.write("events", &lines);
    folder.run(["events"]);

    folder.write("events", &lines[..lines.len() / 2]);
    let shorter = folder.run(["events"]);
    assert_eq!(shorter.status(), 1);
    assert!(
        shorter
            .stderr
            .contains("events: shorter than what was read of it"),
        "{shorter:?}"
    );

    folder.write("events", [b"x", &lines[..], b"y\n"].concat());
    let other = folder.run(["events"]);
    assert_eq!(other.status(), 1);
    assert!(
        other
            .stderr
            .contains("events: line 101 does not begin where it should"),
        "{other:?}"
    );
    assert_eq!(folder.table(), Reference::of(&lines).orders);
}

#[test]
fn a_file_of_others_is_no_file_for_rejects() {
    let folder = Folder::new();
    folder.write("events", "null\n");
    folder.write("mine", "precious");
    let ended = folder.run(["events", "--rejects", "mine"]);
    assert_eq!(ended.status(), 1);
    assert!(ended.stderr.contains("mine: not empty"), "{ended:?}");
    assert_eq!(fs::read(folder.path("mine")).unwrap(), b"precious");

    // nor is that of another input
    folder.run(["events", "--rejects", "rejects"]);
    let other = folder.run(["--generate", "10", "--rejects", "rejects"]);
    assert_eq!(other.status(), 1, "{other:?}");
    assert_eq!(folder.rejected("rejects"), [1]);
}

#[test]
fn rejected_lines_that_were_not_committed_are_cut_off() {
    let folder = Folder::new();
    folder.write("events", "null\n");
    folder.run(["events", "--rejects", "rejects"]);

    // a kill between the file and the commit leaves this
    let mut rejects = fs::read(folder.path("rejects")).unwrap();
    rejects.extend(b"{\"line\":2,\"reason\":\"empty\",\"te".repeat(20));
    folder.write("rejects", rejects);
    folder.write("events", "null\n\n[]\n");
    folder.run(["events", "--rejects", "rejects"]);
    assert_eq!(folder.rejected("rejects"), [1, 2, 3]);

    // and a file that was taken away begins anew
    fs::remove_file(folder.path("rejects")).unwrap();
    folder.write("events", "null\n\n[]\n{}\n");
    folder.run(["events", "--rejects", "rejects"]);
    assert_eq!(folder.rejected("rejects"), [4]);
}

#[test]
fn a_kill_loses_nothing_and_doubles_nothing() {
    for by in ["line", "customer"] {
        let folder = Folder::new();
        let lines = made_up(3, 6000);
        let arguments = [
            "-",
            "--as",
            "it",
            "--by",
            by,
            "--batch",
            "50",
            "--progress",
            "--rejects",
            "rejects",
        ];
        // what is fed is not all, so it cannot be done before it is killed
        for (fed, kill_at) in [(1500, 300), (4000, 2000), (5500, 4500)] {
            let mut run = folder.start(arguments);
            run.feed_on(after_line(&lines, fed).0);
            run.wait_for_lines(kill_at);
            run.kill();
        }
        let mut run = folder.start(arguments);
        run.feed(&lines);
        let ended = run.end();

        assert!(ended.stdout.contains("resumed behind "), "{ended:?}");
        folder.holds(&Reference::of(&lines), by);
    }
}

#[test]
fn a_file_goes_on_where_a_kill_stopped_it() {
    let folder = Folder::new();
    let lines = made_up(4, 6000);
    folder.write("events", &lines);
    let arguments = [
        "events",
        "--batch",
        "20",
        "--progress",
        "--rejects",
        "rejects",
    ];
    for kill_at in [500, 1500, 3000] {
        let mut run = folder.start(arguments);
        run.wait_for_lines(kill_at);
        run.kill();
    }
    folder.run(arguments);
    folder.holds(&Reference::of(&lines), "line");
}

// ----- a database in trouble -----

#[test]
fn a_database_that_is_locked_is_waited_for() {
    let folder = Folder::new();
    let lines = made_up(1, 400);
    let mut run = folder.start(["-", "--as", "it", "--progress", "--batch", "100"]);
    run.feed_on(after_line(&lines, 100).0);
    run.wait_for_lines(100);

    let other = folder.open("orders.db");
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    run.feed_on(after_line(&lines, 100).1);
    run.wait_for("database is locked");
    other.execute_batch("COMMIT").unwrap();

    let ended = run.end();
    assert!(matches!(ended.status(), 0 | 3), "{ended:?}");
    assert_eq!(folder.table(), Reference::of(&lines).orders);
}

#[test]
fn a_database_that_stays_locked_ends_the_run_and_nothing_is_lost() {
    for by in ["line", "customer"] {
        let folder = Folder::new();
        let lines = made_up(1, 400);
        let arguments = [
            "-",
            "--as",
            "it",
            "--by",
            by,
            "--progress",
            "--batch",
            "100",
            "--retries",
            "2",
            "--rejects",
            "rejects",
        ];
        let mut run = folder.start(arguments);
        run.feed_on(after_line(&lines, 100).0);
        run.wait_for_lines(100);
        let other = folder.open("orders.db");
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        run.feed_on(after_line(&lines, 100).1);

        let ended = run.end_by_itself();
        assert_eq!(ended.status(), 1);
        assert!(
            ended.stderr.contains("stage `write` failed on "),
            "{ended:?}"
        );
        assert!(
            ended
                .stderr
                .contains("after 3 attempt(s): database is locked"),
            "{ended:?}"
        );
        assert!(
            ended
                .stderr
                .ends_with("stopped: 100 lines are done, the same command goes on\n"),
            "{ended:?}"
        );
        other.execute_batch("COMMIT").unwrap();

        let mut run = folder.start(arguments);
        run.feed(&lines);
        run.end();
        folder.holds(&Reference::of(&lines), by);
    }
}

#[test]
fn a_run_that_was_taken_over_writes_no_more() {
    let folder = Folder::new();
    let lines = made_up(1, 200);
    let arguments = ["-", "--as", "it", "--progress", "--batch", "50"];
    let mut old = folder.start(arguments);
    old.feed_on(after_line(&lines, 50).0);
    old.wait_for_lines(50);

    let mut new = folder.start(arguments);
    new.feed_on(after_line(&lines, 100).0);
    new.wait_for_lines(100);
    old.feed_on(after_line(&lines, 50).1);
    let ended = old.end_by_itself();
    assert_eq!(ended.status(), 1);
    assert!(
        ended
            .stderr
            .contains("another run has taken over this input"),
        "{ended:?}"
    );

    new.feed_on(after_line(&lines, 100).1);
    new.end();
    assert_eq!(folder.table(), Reference::of(&lines).orders);
}

#[test]
fn a_database_that_is_none_is_refused() {
    let folder = Folder::new();
    folder.write(
        "orders.db",
        "this is a text file, and has been one for a long time".repeat(20),
    );
    let ended = folder.run(["--generate", "10"]);
    assert_eq!(ended.status(), 1);
    assert!(
        ended.stderr.contains("orders.db: file is not a database"),
        "{ended:?}"
    );
}

// ----- Ctrl-C -----

#[test]
fn ctrl_c_and_sigterm_write_what_was_taken() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = Folder::new();
        let lines = made_up(1, 1000);
        let arguments = [
            "-",
            "--as",
            "it",
            "--progress",
            "--batch",
            "100",
            "--by",
            "customer",
            "--rejects",
            "rejects",
        ];
        let mut run = folder.start(arguments);
        run.feed_on(after_line(&lines, 450).0);
        run.wait_for_lines(400);
        run.signal(signal);

        let ended = run.end_by_itself();
        assert_eq!(ended.status(), 130, "{ended:?}");
        assert!(ended.stderr.contains("interrupted: 4"), "{ended:?}");

        let mut run = folder.start(arguments);
        run.feed(&lines);
        run.end();
        folder.holds(&Reference::of(&lines), "customer");
    }
}

#[test]
fn the_second_ctrl_c_does_not_wait_for_a_locked_database() {
    let folder = Folder::new();
    let lines = made_up(1, 200);
    let mut run = folder.start([
        "-",
        "--as",
        "it",
        "--progress",
        "--batch",
        "100",
        "--retries",
        "1000000",
    ]);
    run.feed_on(after_line(&lines, 100).0);
    run.wait_for_lines(100);
    let other = folder.open("orders.db");
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    run.feed_on(after_line(&lines, 100).1);
    run.wait_for("database is locked");
    run.signal(Signal::INT);
    run.wait_for("again to stop at once");
    run.signal(Signal::INT);

    let ended = run.end_by_itself();
    assert_eq!(ended.status(), 130, "{ended:?}");
    assert!(
        ended
            .stderr
            .ends_with("interrupted: 100 lines are done, the same command goes on\n"),
        "{ended:?}"
    );
    drop(other);
    assert_eq!(
        folder.table(),
        Reference::of(after_line(&lines, 100).0).orders
    );
}

// ----- wrong use -----

#[test]
fn wrong_use_is_refused_with_a_sentence() {
    let folder = Folder::new();
    for (arguments, sentence) in [
        (&[][..], "which FILE?"),
        (&["-"], "`-` needs --as NAME"),
        (&["a", "b"], "unexpected argument"),
        (&["a", "--generate", "5"], "a FILE or --generate, not both"),
        (&["a", "--print"], "--print goes with --generate"),
        (&["a", "--by", "weekday"], "--by takes `line` or `customer`"),
        (&["a", "--batch", "0"], "--batch must be at least 1"),
        (&["--generate", "many"], "many"),
        (&["a", "--no-such-option"], "--no-such-option"),
    ] {
        let ended = folder.run_all(arguments);
        assert!(ended.stderr.contains(sentence), "{arguments:?}: {ended:?}");
        assert_eq!(ended.status(), 2, "{arguments:?}");
    }
    assert!(!folder.path("orders.db").exists());

    let missing = folder.run(["missing"]);
    assert_eq!(missing.status(), 1);
    assert!(
        missing.stderr.contains("missing: No such file"),
        "{missing:?}"
    );
}

#[test]
fn help_names_every_option() {
    let help = Folder::new().run(["--help"]).stdout;
    for option in [
        "--generate",
        "--seed",
        "--print",
        "--as",
        "--max-line",
        "--ignore-unknown",
        "--db",
        "--rejects",
        "--by",
        "--jobs",
        "--readers",
        "--batch",
        "--retries",
        "--progress",
        "--report",
        "--help",
    ] {
        assert!(help.contains(option), "{option}");
    }
}

// ----- heavy -----

#[test]
#[ignore = "a million lines: build with --release"]
fn twenty_kills_with_a_million_lines() {
    const LINES: u64 = 1_000_000;
    let lines = made_up(7, LINES);
    let reference = Reference::of(&lines);
    for by in ["line", "customer"] {
        let folder = Folder::new();
        folder.write("events", &lines);
        let arguments = ["events", "--by", by, "--progress", "--rejects", "rejects"];
        let begun = Instant::now();
        let mut kills = 0;
        for kill in 1..=20 {
            let mut run = folder.start(arguments);
            run.wait_for_lines(kill * LINES / 22);
            kills += u32::from(run.kill());
        }
        let ended = folder.run(arguments);
        println!(
            "by {by}: {kills} kills, {:.1} s; {}",
            begun.elapsed().as_secs_f64(),
            ended.stdout
        );
        assert_eq!(kills, 20, "it was faster than the kill");
        folder.holds(&reference, by);
    }
}

#[test]
#[ignore = "many lines: build with --release"]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_input() {
    for by in ["line", "customer"] {
        let folder = Folder::new();
        let mut run = folder.start(["--generate", "300000", "--by", by, "--progress"]);
        run.wait_for_lines(290_000);
        let most = run.most_kilobytes();
        run.end();
        println!("by {by}: {most} kB");
        assert!(most < 50_000, "by {by}: {most} kB");
    }
}

#[test]
#[ignore = "a measurement: build with --release"]
fn a_million_lines_against_one_thread() {
    const LINES: u64 = 1_000_000;
    let lines = made_up(1, LINES);
    for round in 1..=3 {
        let folder = Folder::new();
        folder.write("events", &lines);
        let begun = Instant::now();
        let booked = one_after_another(&folder.path("events"), &folder.path("one.db"));
        let one = begun.elapsed();
        println!(
            "round {round}: one thread {:.2} s, {:.0} a second",
            one.as_secs_f64(),
            LINES as f64 / one.as_secs_f64()
        );
        for by in ["line", "customer"] {
            let database = format!("{by}.db");
            let ended = folder.run([
                "events",
                "--by",
                by,
                "--db",
                &database,
                "--rejects",
                &format!("{by}.rejects"),
            ]);
            print!("round {round}: by {by}: {}", ended.stdout);
        }
        if round == 1 {
            let table = folder.table_of("one.db");
            assert_eq!(table.len(), booked);
            assert_eq!(folder.table_of("line.db"), table);
            assert_eq!(folder.table_of("customer.db"), table);
        }
    }
}

// ----- the reference -----

/// A row of the table, without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    amount: i64,
    discount: i64,
    to_pay: i64,
    line: i64,
    cancelled: Option<i64>,
}

/// By customer and number.
type Table = BTreeMap<(i64, i64), Row>;

/// What lines come to, read one after another.
#[derive(Debug, Default)]
struct Reference {
    orders: Table,
    rejected: Vec<u64>,
}

enum Event {
    Order(i64, i64, i64),
    Cancel(i64, i64),
}

impl Reference {
    fn of(lines: &[u8]) -> Self {
        let mut reference = Reference::default();
        for (line, text) in (1..).zip(lines.split_inclusive(|byte| *byte == b'\n')) {
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            if event(text)
                .and_then(|event| reference.book(line, &event))
                .is_none()
            {
                reference.rejected.push(line.try_into().unwrap());
            }
        }
        reference
    }

    fn book(&mut self, line: i64, event: &Event) -> Option<()> {
        match *event {
            Event::Order(customer, number, amount) => {
                if customer > 1000 || self.orders.contains_key(&(customer, number)) {
                    return None;
                }
                let row = Row {
                    name: format!("Customer {customer}"),
                    amount,
                    discount: customer % 4 * 5,
                    to_pay: amount * (100 - customer % 4 * 5) / 100,
                    line,
                    cancelled: None,
                };
                self.orders.insert((customer, number), row);
            }
            Event::Cancel(customer, number) => {
                let row = self.orders.get_mut(&(customer, number))?;
                if row.cancelled.is_some() {
                    return None;
                }
                row.cancelled = Some(line);
            }
        }
        Some(())
    }

    fn cancelled(&self) -> usize {
        self.orders
            .values()
            .filter(|row| row.cancelled.is_some())
            .count()
    }
}

/// What a line says, if it is right.
fn event(text: &[u8]) -> Option<Event> {
    if text.len() > LONGEST_LINE {
        return None;
    }
    let value: Value = serde_json::from_slice(text).ok()?;
    let fields = value.as_object()?;
    let number = |name: &str| fields.get(name)?.as_i64().filter(|number| *number >= 0);
    let (customer, order) = (number("customer")?, number("order")?);
    match (fields.get("event")?.as_str()?, fields.len()) {
        ("order", 4) => Some(Event::Order(customer, order, number("amount")?)),
        ("cancel", 3) => Some(Event::Cancel(customer, order)),
        _ => None,
    }
}

/// The usual loop: a line, a look-up, a statement; a commit each thousand lines. Gives the number of orders.
fn one_after_another(events: &Path, database: &Path) -> usize {
    let mut database = Connection::open(database).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    database
        .pragma_update(None, "synchronous", "NORMAL")
        .unwrap();
    database
        .execute_batch(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, discount INTEGER NOT NULL);
             CREATE TABLE inputs (id INTEGER PRIMARY KEY, position INTEGER NOT NULL);
             INSERT INTO inputs VALUES (1, 0);
             CREATE TABLE orders (
                customer INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, amount INTEGER NOT NULL,
                discount INTEGER NOT NULL, to_pay INTEGER NOT NULL, input INTEGER NOT NULL REFERENCES inputs,
                line INTEGER NOT NULL, cancelled INTEGER, PRIMARY KEY (number, customer)
             );",
        )
        .unwrap();
    for id in 1..=1000_i64 {
        let insert = "INSERT INTO customers VALUES (?, ?, ?)";
        database
            .execute(insert, params![id, format!("Customer {id}"), id % 4 * 5])
            .unwrap();
    }
    let mut booked = 0;
    let mut lines =
        BufReader::with_capacity(128 * 1024, fs::File::open(events).unwrap()).split(b'\n');
    let mut line = 0_i64;
    loop {
        let transaction = database.transaction().unwrap();
        let before = line;
        for text in lines.by_ref().take(1000) {
            line += 1;
            match event_as_the_program_reads_it(&text.unwrap()) {
                Some(Event::Order(customer, number, amount)) => {
                    let found = transaction
                        .prepare_cached("SELECT name, discount FROM customers WHERE id = ?")
                        .unwrap()
                        .query_row([customer], |row| {
                            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
                        });
                    let Ok((name, discount)) = found else {
                        continue;
                    };
                    let to_pay = amount * (100 - discount) / 100;
                    booked += transaction
                        .prepare_cached("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, 1, ?, NULL) ON CONFLICT DO NOTHING")
                        .unwrap()
                        .execute(params![customer, number, name, amount, discount, to_pay, line])
                        .unwrap();
                }
                Some(Event::Cancel(customer, number)) => {
                    transaction
                        .prepare_cached(
                            "UPDATE orders SET cancelled = ? WHERE customer = ? AND number = ? AND cancelled IS NULL",
                        )
                        .unwrap()
                        .execute([line, customer, number])
                        .unwrap();
                }
                None => {}
            }
        }
        transaction
            .execute("UPDATE inputs SET position = ?", [line])
            .unwrap();
        transaction.commit().unwrap();
        if line == before {
            return booked;
        }
    }
}

/// As fast as it is there, so that the measurement compares the pipeline and not the parser.
fn event_as_the_program_reads_it(text: &[u8]) -> Option<Event> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        event: Kind,
        order: i64,
        customer: i64,
        amount: Option<i64>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Order,
        Cancel,
    }
    if text.len() > LONGEST_LINE {
        return None;
    }
    let fields: Fields = serde_json::from_str(std::str::from_utf8(text).ok()?).ok()?;
    match (fields.event, fields.amount) {
        (Kind::Order, Some(amount)) if amount >= 0 => {
            Some(Event::Order(fields.customer, fields.order, amount))
        }
        (Kind::Cancel, None) => Some(Event::Cancel(fields.customer, fields.order)),
        _ => None,
    }
}

// ----- tools -----

/// The first lines of a seed.
fn made_up(seed: u64, lines: u64) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_orders"))
        .args([
            "--print",
            "--generate",
            &lines.to_string(),
            "--seed",
            &seed.to_string(),
        ])
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

/// The first `count` lines, and the rest.
fn after_line(lines: &[u8], count: usize) -> (&[u8], &[u8]) {
    let ends = lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let at = ends
        .map(|(at, _)| at + 1)
        .nth(count - 1)
        .unwrap_or(lines.len());
    lines.split_at(at)
}

/// A wait that ends the test instead of hanging it. Only a failing test ever gets there.
fn within_a_minute<R>(what: &str, from: &mpsc::Receiver<R>) -> Option<R> {
    match from.recv_timeout(Duration::from_secs(60)) {
        Ok(result) => Some(result),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} takes for ever"),
    }
}

/// A folder of its own for each test, and the program run in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Folder(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn open(&self, database: &str) -> Connection {
        let database = Connection::open(self.path(database)).unwrap();
        database.busy_timeout(Duration::from_secs(60)).unwrap();
        database
    }

    fn table(&self) -> Table {
        self.table_of("orders.db")
    }

    fn table_of(&self, database: &str) -> Table {
        let database = self.open(database);
        let mut select = database
            .prepare("SELECT customer, number, name, amount, discount, to_pay, line, cancelled FROM orders")
            .unwrap();
        let rows = select.query_map([], |row| {
            let content = Row {
                name: row.get(2)?,
                amount: row.get(3)?,
                discount: row.get(4)?,
                to_pay: row.get(5)?,
                line: row.get(6)?,
                cancelled: row.get(7)?,
            };
            Ok(((row.get(0)?, row.get(1)?), content))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The lines of the orders, as they were booked one after another.
    fn lines_as_booked(&self, database: &str) -> Vec<i64> {
        let database = self.open(database);
        let mut select = database
            .prepare("SELECT line FROM orders ORDER BY rowid")
            .unwrap();
        let lines = select.query_map([], |row| row.get(0));
        lines.unwrap().map(Result::unwrap).collect()
    }

    fn records(&self, rejects: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(rejects)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The numbers of the lines in a file of rejected ones.
    fn rejected(&self, rejects: &str) -> Vec<u64> {
        let records = self.records(rejects);
        records
            .iter()
            .map(|record| record["line"].as_u64().unwrap())
            .collect()
    }

    /// Table and rejected lines are those of the reference, each once.
    fn holds(&self, reference: &Reference, by: &str) {
        let table = self.table();
        assert_eq!(table.len(), reference.orders.len(), "by {by}");
        assert!(
            table == reference.orders,
            "by {by}: the table is another one"
        );
        let mut rejected = self.rejected("rejects");
        if by == "customer" {
            rejected.sort_unstable();
        } else {
            assert!(self.lines_as_booked("orders.db").is_sorted());
        }
        assert_eq!(rejected, reference.rejected, "by {by}");
    }

    fn start<const N: usize>(&self, arguments: [&str; N]) -> Run {
        self.start_all(&arguments)
    }

    fn run<const N: usize>(&self, arguments: [&str; N]) -> Ended {
        self.start_all(&arguments).end()
    }

    fn run_all(&self, arguments: &[&str]) -> Ended {
        self.start_all(arguments).end()
    }

    fn start_all(&self, arguments: &[&str]) -> Run {
        let mut child = Command::new(env!("CARGO_BIN_EXE_orders"))
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let mut out = child.stdout.take().unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in err.lines() {
                let _ = send.send(line.unwrap());
            }
        });
        Run {
            child,
            stdin,
            stdout,
            lines,
            said: String::new(),
        }
    }
}

/// The program while it runs.
struct Run {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: thread::JoinHandle<String>,
    /// Of stderr.
    lines: mpsc::Receiver<String>,
    /// Those that were read.
    said: String,
}

impl Run {
    /// Writes to stdin, and leaves it open.
    fn feed_on(&mut self, lines: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(lines).unwrap();
        stdin.flush().unwrap();
    }

    /// Writes all that there is.
    fn feed(&mut self, lines: &[u8]) {
        self.feed_on(lines);
        self.stdin = None;
    }

    fn line(&mut self) -> Option<String> {
        let line = within_a_minute("a line of stderr", &self.lines)?;
        self.said += &line;
        self.said += "\n";
        Some(line)
    }

    fn wait_for(&mut self, text: &str) {
        while let Some(line) = self.line() {
            if line.contains(text) {
                return;
            }
        }
        panic!("it has ended, and never said `{text}`: {}", self.said);
    }

    /// Until so many lines are committed.
    fn wait_for_lines(&mut self, count: u64) {
        while let Some(line) = self.line() {
            let done = line
                .strip_prefix("orders: ")
                .and_then(|rest| rest.strip_suffix(" lines done"));
            if done.is_some_and(|done| done.parse::<u64>().unwrap() >= count) {
                return;
            }
        }
        panic!("it has ended before {count} lines: {}", self.said);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The most memory it has had.
    #[cfg(target_os = "linux")]
    fn most_kilobytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.unwrap().parse().unwrap()
    }

    /// `kill -9`. False if it had ended before.
    fn kill(mut self) -> bool {
        self.child.kill().unwrap();
        self.child.wait().unwrap().code().is_none()
    }

    /// There is no more to read.
    fn end(mut self) -> Ended {
        self.stdin = None;
        self.end_by_itself()
    }

    /// It ends although there might be more to read.
    fn end_by_itself(mut self) -> Ended {
        while self.line().is_some() {}
        let stdin = self.stdin.take();
        let status = self.child.wait().unwrap();
        drop(stdin);
        Ended {
            status,
            stdout: self.stdout.join().unwrap(),
            stderr: self.said,
        }
    }
}

#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn status(&self) -> i32 {
        self.status.code().expect("it was killed")
    }
}
