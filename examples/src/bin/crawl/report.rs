//! What is printed: a line for each finding, as text or as JSON.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use crate::frontier::{Finding, On, Verdict};

/// A finding as a JSON object.
#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    more_pages: Option<u32>,
    link: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// Prints all of them on stdout.
///
/// # Errors
///
/// If that cannot be written.
pub(crate) fn print(findings: &[Finding<'_>], json: bool) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for finding in findings {
        if json {
            serde_json::to_writer(&mut out, &line(finding))?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}", text(finding))?;
        }
    }
    out.flush()
}

fn line<'a>(finding: &'a Finding<'_>) -> Line<'a> {
    let (kind, why) = match &finding.verdict {
        Verdict::Broken(why) => ("broken", Some(why.as_str())),
        Verdict::Skipped(why) => ("skipped", Some(why.as_str())),
        Verdict::NotVisited => ("not visited", None),
    };
    let (page, more_pages) = match finding.on {
        On::Start => (None, None),
        On::Page(page) => (Some(page), None),
        On::More(pages) => (None, Some(pages)),
    };
    Line {
        kind,
        page,
        more_pages,
        link: finding.link,
        why,
    }
}

fn text(finding: &Finding<'_>) -> String {
    let link = finding.link;
    let (page, why) = (
        match finding.on {
            On::Start => String::new(),
            On::Page(page) => format!("{page} -> "),
            On::More(pages) => format!("({pages} more pages) -> "),
        },
        match &finding.verdict {
            Verdict::Broken(why) => why.clone(),
            Verdict::Skipped(why) => format!("skipped: {why}"),
            Verdict::NotVisited => "not visited".to_owned(),
        },
    );
    one_line(&format!("{page}{link}: {why}"))
}

/// What comes from a page must not break the line, nor speak to the terminal.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}
