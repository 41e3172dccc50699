//! The guide's pages and the README as tests: their Rust snippets are compiled and run as doctests.
//!
//! The pages themselves are Markdown, in `book/pages`. A new one is named here and in `SUMMARY.md`.

pub mod marble;

/// Makes the snippets of Markdown files doctests, and lists the files.
macro_rules! pages {
    ($($name:ident: $path:literal,)+) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!($path)]
            mod $name {}
        )+
        #[cfg(test)]
        const PAGES: &[&str] = &[$($path),+];
    };
}

pages! {
    readme: "../../README.md",
    introduction: "../pages/introduction.md",
    first_pipeline: "../pages/first-pipeline.md",
    stages: "../pages/stages.md",
    words: "../pages/words.md",
    running: "../pages/running.md",
    failures: "../pages/failures.md",
    operators: "../pages/operators.md",
    keys: "../pages/operators/keys.md",
    operators_batches_and_pace: "../pages/operators/batches-and-pace.md",
    operators_time: "../pages/operators/time.md",
    operators_branches: "../pages/operators/branches.md",
    guarantees: "../pages/guarantees.md",
    figures: "../pages/figures.md",
    program_crawl: "../pages/programs/crawl.md",
    program_reorder: "../pages/programs/reorder.md",
    program_ingest: "../pages/programs/ingest.md",
    program_scheduler: "../pages/programs/scheduler.md",
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    use super::PAGES;

    /// Paths in [`PAGES`] are seen from `src/lib.rs`.
    fn source_dir() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The files of a folder and of those in it, with the paths that lead there.
    fn files(folder: &Path, prefix: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            if entry.path().is_dir() {
                names.extend(files(&entry.path(), &format!("{prefix}{name}/")));
            } else {
                names.insert(format!("{prefix}{name}"));
            }
        }
        names
    }

    /// The targets of the inline links of a Markdown text that lead to other files.
    fn files_linked(text: &str) -> impl Iterator<Item = &str> {
        text.split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target.split('#').next().unwrap_or_default())
            .filter(|target| !target.is_empty() && !target.contains("://"))
    }

    #[test]
    fn every_page_is_a_doctest_and_in_the_summary() {
        let pages = source_dir().join("../pages");
        let mut on_disk = files(&pages, "");
        on_disk.retain(|name| name.ends_with(".md") && name != "SUMMARY.md");
        let tested: BTreeSet<String> = PAGES
            .iter()
            .filter_map(|path| path.strip_prefix("../pages/"))
            .map(str::to_owned)
            .collect();
        let summary = read(&pages.join("SUMMARY.md"));
        let listed: BTreeSet<String> = files_linked(&summary).map(str::to_owned).collect();
        assert_eq!(on_disk, tested, "pages on disk, pages in this file");
        assert_eq!(on_disk, listed, "pages on disk, pages in SUMMARY.md");
    }

    #[test]
    fn tests_that_are_named_are_there() {
        let page = read(&source_dir().join("../pages/guarantees.md"));
        let mut seen = 0;
        for line in page.lines().filter(|line| line.starts_with('|')) {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let [_, _, file, tests, _] = cells[..] else {
                panic!("three columns: {line}")
            };
            if !file.starts_with('`') {
                continue;
            }
            let file = format!("../../tests/tests/{}.rs", file.trim_matches('`'));
            let text = read(&source_dir().join(&file));
            for test in tests.split(", ").map(|test| test.trim_matches('`')) {
                assert!(text.contains(&format!("fn {test}(")), "{test} in {file}");
                seen += 1;
            }
        }
        assert!(seen > 50, "only {seen} names found: the search is broken");
    }

    #[test]
    fn the_expansion_is_of_the_function_on_the_page() {
        let page = read(&source_dir().join("../pages/stages.md"));
        let function = read(&source_dir().join("../../pipeline-macros/expansions/price.rs"));
        assert!(page.contains(&function), "the page has not:\n{function}");
        let included = page
            .split("{{#include ")
            .skip(1)
            .filter_map(|rest| rest.split_once("}}"));
        let files: Vec<_> = included.map(|(file, _)| file).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        for file in files {
            read(&source_dir().join("../pages").join(file));
        }
    }

    #[test]
    fn links_to_files_lead_somewhere() {
        let others = [
            "../pages/SUMMARY.md",
            "../../CONTRIBUTING.md",
            "../../CHANGELOG.md",
        ];
        let mut seen = 0;
        for path in PAGES.iter().copied().chain(others) {
            let file = source_dir().join(path);
            for target in files_linked(&read(&file)) {
                let linked = file.parent().expect("a folder").join(target);
                assert!(
                    linked.exists(),
                    "{path} links to {target}, which is not there"
                );
                seen += 1;
            }
        }
        assert!(
            seen > PAGES.len(),
            "only {seen} links found: the search is broken"
        );
    }
}
