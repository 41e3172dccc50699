//! The page: text that is written by hand, and between markers what was measured.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::plot::{self, Panel};
use super::probes::Found;
use super::standing::Standing;
use benches::measure::machine;
use benches::measure::runtime::WORKERS;
use benches::peers::{Peer, Visitor, visit_all};

/// The file.
pub(super) const NAME: &str = "comparison.md";

/// The folder of the plots beside it.
const PLOTS: &str = "comparison";

/// The plot of a few figures, for readers who see no other.
const OVERVIEW: &str = "overview.svg";
const OVERVIEW_NAMES: &[&str] = &[
    "ours",
    "futures buffered",
    "futures-buffered",
    "spawn + buffered",
    "JoinSet",
    "tokio-par-util",
    "pumps",
];

const MACHINE: &str = "machine";

/// The page, in memory.
#[derive(Debug)]
pub(super) struct Page {
    folder: PathBuf,
    text: String,
}

/// When, and of what.
#[derive(Debug, Clone)]
pub(super) struct When {
    date: String,
    commit: String,
    compiler: String,
    quick: bool,
}

impl When {
    /// Now, of the code that is checked out.
    pub(super) fn now(quick: bool) -> Self {
        When {
            date: said_by("date", &["-u", "+%Y-%m-%d"]),
            commit: said_by("git", &["rev-parse", "--short", "HEAD"]),
            compiler: said_by("rustc", &["--version"]),
            quick,
        }
    }

    fn line(&self, rounds: &str) -> String {
        let When { date, commit, .. } = self;
        let quick = if self.quick { ", `--quick`" } else { "" };
        format!("{date}, {commit}{quick}; {rounds}.")
    }
}

impl Page {
    /// With the text of the file at `from`, to be written into `folder`.
    pub(super) fn open(from: &Path, folder: PathBuf) -> Result<Self, String> {
        let text =
            fs::read_to_string(from).map_err(|error| format!("{}: {error}", from.display()))?;
        Ok(Page { folder, text })
    }

    /// Writes the page; its plots are written already.
    pub(super) fn save(&self) -> Result<(), String> {
        write(&self.folder.join(NAME), &self.text)
    }

    /// What it was measured on.
    pub(super) fn machine(&mut self, when: &When) -> Result<(), String> {
        let mut versions = Versions(Vec::new());
        visit_all(&mut versions);
        versions.add("rayon");
        #[cfg(feature = "peers")]
        versions.add("pariter");
        let block = format!(
            "On {}, {WORKERS} runtime threads, {}; {}.",
            machine::name(),
            when.compiler,
            versions.0.join(", ")
        );
        self.put(MACHINE, &block)
    }

    /// Everyone at one piece of work, with a plot.
    pub(super) fn standing(&mut self, standing: &Standing, when: &When) -> Result<(), String> {
        let panel = standing.panel(&title(standing), &[]);
        let image = self.image(&standing.file(), &[panel])?;
        let block = format!(
            "{image}\n\n{}\n{}\n\n{}",
            standing.table(),
            standing.verdict(),
            when.line(&standing.rounds())
        );
        self.put(standing.name, &block)
    }

    /// What becomes of everyone in trouble.
    pub(super) fn probes(&mut self, found: &Found, when: &When) -> Result<(), String> {
        let block = format!("{}\n{}", found.table(), when.line(&found.rounds()));
        self.put(super::probes::NAME, &block)
    }

    /// The small plot, if everything for it was measured.
    pub(super) fn overview(&self, standings: &[Standing]) -> Result<(), String> {
        let of = |name: &str, what: &str| {
            let standing = standings.iter().find(|standing| standing.name == name)?;
            Some(standing.panel(what, OVERVIEW_NAMES))
        };
        let no_op = of("no-op", "A stage with nothing to do, an item");
        let slow = of("slow items", "2,000 items in order, 1 % slow, in all");
        if let (Some(no_op), Some(slow)) = (no_op, slow) {
            self.image(OVERVIEW, &[no_op, slow])?;
        }
        Ok(())
    }

    /// Writes a plot, and gives the Markdown that shows it.
    fn image(&self, file: &str, panels: &[Panel]) -> Result<String, String> {
        write(&self.folder.join(PLOTS).join(file), &plot::svg(panels))?;
        let words = plot::in_words(panels);
        Ok(format!("![{words}]({PLOTS}/{file})"))
    }

    /// Replaces what is between the markers of that name.
    fn put(&mut self, name: &str, block: &str) -> Result<(), String> {
        let begin = format!("<!-- compare: {name} -->\n");
        let end = "<!-- end -->";
        let parts = self.text.split_once(&begin).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(end)?;
            Some(format!("{before}{begin}{block}\n{end}{after}"))
        });
        self.text = parts.ok_or_else(|| format!("{NAME} has no place for `{name}`"))?;
        Ok(())
    }
}

fn title(standing: &Standing) -> String {
    let Standing { name, figure, .. } = standing;
    let (first, rest) = name.split_at(1);
    format!("{}{rest}: {figure}", first.to_uppercase())
}

/// The packages of all peers, each once, with the versions that were built.
struct Versions(Vec<String>);

impl Versions {
    fn add(&mut self, package: &str) {
        let text = format!("{package} {}", version(package).unwrap_or("?"));
        if !self.0.contains(&text) {
            self.0.push(text);
        }
    }
}

impl Visitor for Versions {
    fn visit<P: Peer>(&mut self) {
        self.add(P::PACKAGE);
    }
}

/// The version of a package: the last one, if several are linked.
fn version(package: &str) -> Option<&'static str> {
    let lock = include_str!("../../../../Cargo.lock");
    let (_, rest) = lock.rsplit_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => format!("{program} unknown"),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written: io::Result<()> = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standing;
    use crate::workloads::WORKLOADS;

    fn page(text: &str) -> Page {
        Page {
            folder: PathBuf::new(),
            text: text.to_owned(),
        }
    }

    fn book() -> Page {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/pages/comparison.md");
        Page::open(&path, PathBuf::new()).expect("the page is there")
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let mut page = page(
            "a\n<!-- compare: x -->\nold\n<!-- end -->\nb\n<!-- compare: y -->\n<!-- end -->\n",
        );
        page.put("x", "new").expect("it has a place");
        page.put("y", "1\n2").expect("it has a place");
        let expected = "a\n<!-- compare: x -->\nnew\n<!-- end -->\nb\n<!-- compare: y -->\n1\n2\n<!-- end -->\n";
        assert_eq!(page.text, expected);
        assert!(page.put("z", "").is_err());
    }

    #[test]
    fn the_book_has_a_place_for_everything() {
        let mut page = book();
        for name in WORKLOADS.iter().map(|workload| workload.name) {
            page.put(name, "").expect("it has a place");
        }
        page.put(MACHINE, "").expect("it has a place");
        page.put(super::super::probes::NAME, "")
            .expect("it has a place");
    }

    #[test]
    fn a_standing_is_a_plot_a_table_and_what_it_stands_on() {
        let folder = std::env::temp_dir().join(format!("compare-page-{}", std::process::id()));
        let mut page = page("<!-- compare: Any Work -->\n<!-- end -->\n");
        page.folder.clone_from(&folder);
        let when = When {
            date: "2026-01-02".to_owned(),
            commit: "abc1234".to_owned(),
            compiler: String::new(),
            quick: true,
        };
        let standing = standing::tests::standing();
        page.standing(&standing, &when).expect("it is written");
        page.save().expect("it is written");
        let text = fs::read_to_string(folder.join(NAME)).expect("it is there");
        let plot = fs::read_to_string(folder.join("comparison/any-work.svg")).expect("it is there");
        fs::remove_dir_all(&folder).expect("it is there");
        let image = "![Any Work: time an item: half 20.0 ns, ours 40.0 ns, alike 42.0 ns, twice 80.0 ns](comparison/any-work.svg)";
        assert!(text.contains(image), "{text}");
        assert!(text.contains(&standing.table()), "{text}");
        assert!(
            text.contains("\n2026-01-02, abc1234, `--quick`; 11 rounds.\n"),
            "{text}"
        );
        assert!(plot.contains(">80.0 ns</text>"), "{plot}");
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let tokio = version("tokio").expect("it is linked");
        assert!(tokio.starts_with("1."), "{tokio}");
        assert_eq!(version("no such package"), None);
    }
}
