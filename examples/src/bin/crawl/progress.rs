//! How far the run is: shown on stderr only when that is a terminal.

use std::{
    io::{self, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// The line at the bottom of the terminal. Clones are the same line.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner(); // hidden by itself when stderr is no terminal
        if !bar.is_hidden() {
            let style = ProgressStyle::with_template("{spinner} {pos} visited, {msg}");
            bar.set_style(style.expect("the template is fixed"));
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Progress(bar)
    }

    pub(crate) fn show(&self, visited: u64, waiting: usize) {
        if !self.0.is_hidden() {
            self.0.set_position(visited);
            self.0.set_message(format!("{waiting} to go"));
        }
    }

    /// Text on stderr, mostly a line. There is nobody to tell when that fails.
    pub(crate) fn say(&self, line: &str) {
        let write = || {
            let _ = writeln!(io::stderr(), "crawl: {line}");
        };
        if self.0.is_hidden() {
            write();
        } else {
            self.0.suspend(write);
        }
    }

    /// Removes the progress line for good.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
