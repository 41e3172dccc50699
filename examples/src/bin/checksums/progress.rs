//! How far the run is: counted always, shown on stderr only when that is a terminal.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use indicatif::{HumanBytes, ProgressBar, ProgressState, ProgressStyle};

/// Shared by all that work and all that write. Clones are the same progress.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// Its position is the number of bytes read.
    bar: ProgressBar,
    files: Arc<AtomicU64>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let files = Arc::new(AtomicU64::new(0));
        let bar = ProgressBar::new_spinner(); // hidden by itself when stderr is no terminal
        if !bar.is_hidden() {
            let shown = files.clone();
            let style = ProgressStyle::with_template(
                "{spinner} {files} files, {binary_bytes}, {binary_bytes_per_sec}",
            )
            .expect("the template is fixed")
            .with_key(
                "files",
                move |_: &ProgressState, text: &mut dyn std::fmt::Write| {
                    let _ = write!(text, "{}", shown.load(Relaxed));
                },
            );
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Progress { bar, files }
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    pub(crate) fn finished_file(&self) {
        self.files.fetch_add(1, Relaxed);
    }

    /// Takes the progress line off the terminal, if it is there, while something else is written.
    pub(crate) fn hidden_while<R>(&self, write: impl FnOnce() -> R) -> R {
        if self.bar.is_hidden() {
            write()
        } else {
            self.bar.suspend(write)
        }
    }

    /// Text on stderr, mostly a line. There is nobody to tell when that fails.
    pub(crate) fn say(&self, line: &str) {
        self.hidden_while(|| {
            let _ = writeln!(io::stderr(), "checksums: {line}");
        });
    }

    /// Removes the progress line for good.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// What has been done so far, in words.
    pub(crate) fn summary(&self) -> String {
        let files = self.files.load(Relaxed);
        let plural = if files == 1 { "" } else { "s" };
        let bytes = HumanBytes(self.bar.position());
        let seconds = self.bar.elapsed().as_secs_f64();
        format!("{files} file{plural}, {bytes} in {seconds:.1} s")
    }
}
