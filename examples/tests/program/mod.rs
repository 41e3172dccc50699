//! A program while it runs, as the tests of several of them see it.

#![allow(dead_code, reason = "each test program takes what it needs")]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A wait that ends the test instead of hanging it. Only a failing test ever gets there.
pub(crate) fn within_a_minute<R: Send + 'static>(
    what: &str,
    wait: impl FnOnce() -> R + Send + 'static,
) -> R {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(wait()));
    result
        .recv_timeout(Duration::from_secs(60))
        .unwrap_or_else(|_| panic!("{what} takes for ever"))
}

/// A program that was started, with nothing to read.
pub(crate) struct Run {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Option<BufReader<ChildStderr>>,
}

impl Run {
    pub(crate) fn new(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        let stderr = child.stderr.take().map(BufReader::new);
        Run {
            child,
            stdout,
            stderr,
        }
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn line_of_stdout(&mut self) -> String {
        let (line, stdout) = line(self.stdout.take().unwrap());
        self.stdout = Some(stdout);
        line
    }

    pub(crate) fn line_of_stderr(&mut self) -> String {
        let (line, stderr) = line(self.stderr.take().unwrap());
        self.stderr = Some(stderr);
        line
    }

    /// As a reader does that has seen enough.
    pub(crate) fn close_stdout(&mut self) {
        drop(self.stdout.take());
    }

    /// Waits for the end; gives what has not been read yet.
    pub(crate) fn output(mut self) -> Output {
        let errors = self
            .stderr
            .take()
            .map(|stderr| thread::spawn(|| rest(stderr)));
        let lines = self
            .stdout
            .take()
            .map(|stdout| thread::spawn(|| rest(stdout)));
        within_a_minute("the program", move || {
            let status = self.child.wait().unwrap();
            let read = |thread: thread::JoinHandle<Vec<u8>>| thread.join().unwrap();
            Output {
                status,
                stdout: lines.map(read).unwrap_or_default(),
                stderr: errors.map(read).unwrap_or_default(),
            }
        })
    }
}

fn line<R: Read + Send + 'static>(mut from: BufReader<R>) -> (String, BufReader<R>) {
    within_a_minute("a line of output", move || {
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        (line.trim_end().to_owned(), from)
    })
}

fn rest(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}
