//! The guide: how its pages become HTML, and its pages and the README as tests, whose Rust snippets are compiled and
//! run as doctests.
//!
//! The pages themselves are Markdown, in `book/pages`. A new one is named here and in `SUMMARY.md`.

pub mod marble;
pub mod options;
pub mod render;
pub mod serve;
pub mod tutorial;

/// Makes the snippets of Markdown files doctests, and lists the files.
macro_rules! pages {
    ($($name:ident: $path:literal,)+) => {
        #[cfg(doctest)]
        mod pages {
            $(
                #[doc = include_str!($path)]
                mod $name {}
            )+
        }
        #[cfg(test)]
        const PAGES: &[&str] = &[$($path),+];
    };
}

pages! {
    readme: "../../README.md",
    introduction: "../pages/introduction.md",
    first_pipeline: "../pages/first-pipeline.md",
    report: "../pages/report.md",
    words: "../pages/words.md",
    tutorial_program: "../pages/tutorial/program.md",
    tutorial_order: "../pages/tutorial/order.md",
    tutorial_window: "../pages/tutorial/window.md",
    tutorial_errors: "../pages/tutorial/errors.md",
    tutorial_retries: "../pages/tutorial/retries.md",
    tutorial_keys: "../pages/tutorial/keys.md",
    tutorial_batches: "../pages/tutorial/batches.md",
    tutorial_stopping: "../pages/tutorial/stopping.md",
    tutorial_testing: "../pages/tutorial/testing.md",
    tutorial_whole: "../pages/tutorial/whole.md",
    how_to_files_in_order: "../pages/how-to/files-in-order.md",
    how_to_call_an_api: "../pages/how-to/call-an-api.md",
    how_to_per_user_order: "../pages/how-to/per-user-order.md",
    how_to_http_handler: "../pages/how-to/http-handler.md",
    how_to_ctrl_c: "../pages/how-to/ctrl-c.md",
    how_to_slow_stage: "../pages/how-to/slow-stage.md",
    how_to_test_a_stage: "../pages/how-to/test-a-stage.md",
    how_to_blocking_code: "../pages/how-to/blocking-code.md",
    how_to_parallelism_and_window: "../pages/how-to/parallelism-and-window.md",
    how_to_come_from: "../pages/how-to/come-from.md",
    stages: "../pages/stages.md",
    operators: "../pages/operators.md",
    operators_keys: "../pages/operators/keys.md",
    operators_batches_and_pace: "../pages/operators/batches-and-pace.md",
    operators_time: "../pages/operators/time.md",
    operators_branches: "../pages/operators/branches.md",
    options: "../pages/options.md",
    running: "../pages/running.md",
    failures: "../pages/failures.md",
    errors: "../pages/errors.md",
    guarantees: "../pages/guarantees.md",
    figures: "../pages/figures.md",
    comparison: "../pages/comparison.md",
    costs: "../pages/costs.md",
    features: "../pages/features.md",
    inside_engine: "../pages/inside/engine.md",
    inside_invariants: "../pages/inside/invariants.md",
    inside_no_task_per_item: "../pages/inside/no-task-per-item.md",
    inside_tested: "../pages/inside/tested.md",
    program_crawl: "../pages/programs/crawl.md",
    program_reorder: "../pages/programs/reorder.md",
    program_orders: "../pages/programs/orders.md",
    program_ingest: "../pages/programs/ingest.md",
    program_scheduler: "../pages/programs/scheduler.md",
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
        path::{Path, PathBuf},
    };

    use super::{PAGES, render};

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
    }

    /// The words that follow `opening` in a source of the library, as in the lines that begin with it.
    fn declared(file: &str, opening: &str) -> Vec<String> {
        let text = read(&source_dir().join("../../pipeline-core/src").join(file));
        text.lines()
            .filter_map(|line| line.strip_prefix(opening))
            .map(|rest| {
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect()
            })
            .collect()
    }

    #[test]
    fn every_option_error_and_figure_of_a_report_is_in_the_reference() {
        let options = [
            ("pipeline/options.rs", "    pub fn "),
            ("config/retry.rs", "    pub const fn "),
            ("config/rate.rs", "    pub const fn "),
        ];
        let steps = [
            ("pipeline/sources.rs", "    pub fn "),
            ("pipeline/steps.rs", "    pub fn "),
            ("pipeline/ends.rs", "    pub fn "),
        ];
        let job = [
            ("run/job.rs", "    pub fn "),
            ("run/control.rs", "    pub fn "),
        ];
        let pages = |names: &[&str]| -> String {
            let pages = names
                .iter()
                .map(|name| source_dir().join("../pages").join(name));
            pages.map(|page| read(&page)).collect()
        };
        let variants = |file, name: &str| {
            let text = read(&source_dir().join("../../pipeline-core/src").join(file));
            let (_, body) = text
                .split_once(&format!("pub enum {name} {{"))
                .expect("the enum");
            let (body, _) = body.split_once("\n}").expect("its end");
            let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
            let names = lines.filter(|line| line.starts_with(char::is_uppercase));
            let word = |line: &str| line.split(['(', ',', ' ']).next().map(str::to_owned);
            names.filter_map(word).collect::<Vec<_>>()
        };
        let of = |places: &[(&str, &str)]| -> Vec<String> {
            let names = places
                .iter()
                .flat_map(|(file, opening)| declared(file, opening));
            names.collect()
        };
        let mut seen = 0;
        let errors = [
            variants("error/build.rs", "BuildError"),
            variants("error/run.rs", "Cause"),
            variants("error/stage.rs", "ErrorKind"),
        ];
        for (names, page, where_to) in [
            (of(&options), pages(&["options.md"]), "options"),
            (
                of(&steps),
                pages(&["options.md", "first-pipeline.md", "stages.md"]),
                "steps",
            ),
            (
                of(&job),
                pages(&["options.md", "running.md", "report.md"]),
                "runs",
            ),
            (errors.concat(), pages(&["errors.md"]), "errors"),
            (
                of(&[("report.rs", "    pub ")]),
                pages(&["report.md", "running.md"]),
                "reports",
            ),
        ] {
            for name in names {
                let code = page.split('`').skip(1).step_by(2);
                let mut words =
                    code.flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_'));
                assert!(
                    words.any(|word| word == name),
                    "`{name}` is not among the {where_to}"
                );
                seen += 1;
            }
        }
        assert!(seen > 70, "only {seen} found: the search is broken");
    }

    /// What a page includes: a file, and behind a colon the name of a part of it, if that is not all of it.
    fn inclusions(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
        ["{{#include ", "{{#rustdoc_include "]
            .into_iter()
            .flat_map(|opening| text.split(opening).skip(1))
            .filter_map(|rest| rest.split_once("}}"))
            .map(|(target, _)| match target.trim().split_once(':') {
                Some((file, part)) => (file, Some(part)),
                None => (target.trim(), None),
            })
    }

    #[test]
    fn what_pages_include_is_there() {
        let mut seen = 0;
        for path in PAGES {
            let page = source_dir().join(path);
            for (file, part) in inclusions(&read(&page)) {
                let text = read(&page.parent().expect("a folder").join(file));
                if let Some(part) = part {
                    // lines by number would go wrong with the next change of the file
                    let named = text.lines().any(|line| {
                        line.trim().trim_start_matches("//").trim() == format!("ANCHOR: {part}")
                    });
                    assert!(named, "{path}: no `ANCHOR: {part}` in {file}");
                }
                seen += 1;
            }
        }
        assert!(seen > 0, "none found: the search is broken");
    }

    /// The values of an attribute in a page of HTML.
    fn attributes<'a>(html: &'a str, opening: &'a str) -> impl Iterator<Item = &'a str> {
        html.split(opening)
            .skip(1)
            .filter_map(|rest| rest.split_once('"'))
            .map(|(value, _)| value)
    }

    #[test]
    fn every_link_of_the_built_book_leads_to_a_page_and_a_place_on_it() {
        let folder = tempfile::tempdir().expect("a folder");
        render::build(folder.path()).expect("it can be built");
        let read_html = |name: &str| read(&folder.path().join(name));
        let pages: BTreeMap<String, String> = files(folder.path(), "")
            .into_iter()
            .filter(|name| name.ends_with(".html"))
            .map(|name| (name.clone(), read_html(&name)))
            .collect();
        let places: BTreeMap<&str, BTreeSet<&str>> = pages
            .iter()
            .map(|(name, html)| (name.as_str(), attributes(html, " id=\"").collect()))
            .collect();
        let (mut links, mut anchors) = (0, 0);
        // the page for what is not there is shown at any address, and the one to print is all others
        let whole = ["404.html", "print.html"];
        for (name, html) in pages
            .iter()
            .filter(|(name, _)| !whole.contains(&name.as_str()))
        {
            for target in attributes(html, " href=\"").chain(attributes(html, " src=\"")) {
                if target.contains("://") || target.starts_with("data:") {
                    continue;
                }
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let path = path.split('?').next().unwrap_or_default();
                let linked = match path {
                    "" => name.clone(),
                    path => resolved(name, path),
                };
                assert!(
                    folder.path().join(&linked).exists(),
                    "{name} links to {target}"
                );
                links += 1;
                if !anchor.is_empty() {
                    let there = places
                        .get(linked.as_str())
                        .is_some_and(|ids| ids.contains(anchor));
                    assert!(
                        there,
                        "{name} links to {target}: there is no such place on that page"
                    );
                    anchors += 1;
                }
            }
        }
        assert!(
            links > 300 && anchors > 20,
            "only {links}, {anchors}: the search is broken"
        );
    }

    /// The file to which a link leads on a page of the book.
    fn resolved(page: &str, target: &str) -> String {
        let mut folders: Vec<_> = page.split('/').collect();
        folders.pop();
        for part in target.split('/') {
            match part {
                "." => {}
                ".." => assert!(
                    folders.pop().is_some(),
                    "{page} links to {target}, outside of the book"
                ),
                part => folders.push(part),
            }
        }
        folders.join("/")
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
