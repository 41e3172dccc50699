//! Marble diagrams: drawn as SVG from the text that stands in a page, in a block of the language `marble`.
//!
//! ```text
//! in:  --1--2--3--x--|
//! batch(2)
//! out: -----[1 2]----[3]|
//! ```
//!
//! A line with a label is a track, read from left to right as time goes by: `-` and `.` are nothing, `|` the end, `x` a
//! failure, `[1 2]` an item that is written with more than one character, and any other character an item; what is behind
//! the end is a remark. Marbles stand where they stand in the text. Any other line is the step between two tracks. A page
//! without a renderer shows the text, which says the same; a reader that cannot see the picture is read it.

use std::fmt::Write;

const BLOCK: &str = "```marble\n";
const FENCE: &str = "```";

/// Of one character of a track, in pixels; of a line; around the picture.
const STEP: usize = 18;
const LINE: usize = 38;
const MARGIN: usize = 10;
const RADIUS: usize = 12;
/// Of a character of a step's name.
const LETTER: usize = 9;

/// Draws the diagrams of a page.
#[must_use]
pub fn draw_all(page: &str) -> String {
    let mut drawn = String::new();
    let mut rest = page;
    while let Some((before, block)) = rest.split_once(BLOCK) {
        let Some((text, after)) = block.split_once(FENCE) else {
            break;
        };
        drawn.push_str(before);
        drawn.push_str(&draw(text));
        rest = after;
    }
    drawn.push_str(rest);
    drawn
}

/// A line of a diagram.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Track(&'a str, Vec<Marble>),
    Step(&'a str),
}

/// Something on a track.
#[derive(Debug, PartialEq, Eq)]
struct Marble {
    /// The columns that it takes in the text, the first and the last one.
    from: usize,
    to: usize,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Item(String),
    Failure,
    End,
    Remark(String),
}

/// One diagram as SVG. In the colours of the page, so that it can be read in the dark.
fn draw(text: &str) -> String {
    let lines: Vec<Line<'_>> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(parse)
        .collect();
    let label_width = lines
        .iter()
        .map(|line| match line {
            Line::Track(label, _) => label.chars().count() * 9 + 12,
            Line::Step(_) => 0,
        })
        .max()
        .unwrap_or(0);
    // where the text of the first track begins
    let first_column = text
        .lines()
        .filter(|line| matches!(parse(line), Line::Track(..)))
        .filter_map(|line| {
            let (label, track) = line.split_once(':')?;
            let spaces = track.chars().take_while(|c| *c == ' ').count();
            Some(label.chars().count() + 1 + spaces)
        })
        .min()
        .unwrap_or(0);
    let columns = lines
        .iter()
        .filter_map(|line| match line {
            Line::Track(_, marbles) => marbles.last().map(|last| last.to + 1 - first_column),
            Line::Step(_) => None,
        })
        .max()
        .unwrap_or(0);
    let longest_step = lines
        .iter()
        .map(|line| match line {
            Line::Step(name) => (name.chars().count() + 2) * LETTER,
            Line::Track(..) => 0,
        })
        .max()
        .unwrap_or(0);
    let left = MARGIN + label_width;
    let width = left + longest_step.max(columns * STEP + MARGIN + RADIUS) + MARGIN;
    let height = lines.len() * LINE + MARGIN;
    let mut svg = format!(
        "<div class=\"marbles\"><svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {width} {height}\" \
         style=\"min-width:{}px;max-width:{width}px;width:100%;height:auto\" font-family=\"sans-serif\" font-size=\"14\" \
         fill=\"currentColor\" stroke=\"none\">",
        escape(&alternative(text)),
        width * 3 / 4
    );
    for (row, line) in lines.iter().enumerate() {
        let y = MARGIN / 2 + row * LINE + LINE / 2;
        match line {
            Line::Step(name) => {
                let _ = write!(
                    svg,
                    "<rect x=\"{left}\" y=\"{}\" width=\"{}\" height=\"28\" rx=\"6\" fill=\"currentColor\" \
                     fill-opacity=\"0.08\" stroke=\"currentColor\" stroke-opacity=\"0.4\"/>\
                     <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-family=\"monospace\">{}</text>",
                    y - 14,
                    width - left - MARGIN,
                    (left + width - MARGIN) / 2,
                    y + 5,
                    escape(name)
                );
            }
            Line::Track(label, marbles) => {
                let x = |column: usize| left + (column - first_column) * STEP + STEP / 2;
                draw_track(&mut svg, label, marbles, (left, y), x);
            }
        }
    }
    svg.push_str("</svg></div>\n");
    svg
}

fn draw_track(
    svg: &mut String,
    label: &str,
    marbles: &[Marble],
    (left, y): (usize, usize),
    x: impl Fn(usize) -> usize,
) {
    let end = marbles.iter().find(|marble| marble.what == What::End);
    let last = end.or(marbles.last()).map_or(left, |last| x(last.to));
    let _ = write!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{}\">{}</text>\
         <line x1=\"{left}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"currentColor\" stroke-opacity=\"0.5\"/>",
        y + 5,
        escape(label),
        if end.is_some() {
            last
        } else {
            last + 2 * RADIUS
        }
    );
    for Marble { from, to, what } in marbles {
        let middle = usize::midpoint(x(*from), x(*to));
        match what {
            What::End => {
                let _ = write!(
                    svg,
                    "<line x1=\"{middle}\" y1=\"{}\" x2=\"{middle}\" y2=\"{}\" stroke=\"currentColor\" \
                     stroke-width=\"2\"/>",
                    y - 12,
                    y + 12
                );
            }
            What::Remark(text) => {
                let _ = write!(
                    svg,
                    "<text x=\"{}\" y=\"{}\" font-family=\"monospace\">{}</text>",
                    x(*from),
                    y + 5,
                    escape(text)
                );
            }
            What::Failure => {
                let (low, high) = (y - 7, y + 7);
                let (from, to) = (middle - 7, middle + 7);
                let _ = write!(
                    svg,
                    "<path d=\"M{from} {low}L{to} {high}M{from} {high}L{to} {low}\" stroke=\"#d0483e\" \
                     stroke-width=\"3\"/>"
                );
            }
            What::Item(text) => {
                let wide = (text.chars().count() * 9 + 12).max(2 * RADIUS);
                let colour = colour(text);
                let _ = write!(
                    svg,
                    "<rect x=\"{}\" y=\"{}\" width=\"{wide}\" height=\"{}\" rx=\"{RADIUS}\" fill=\"{colour}\"/>\
                     <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"#111\">{}</text>",
                    middle.saturating_sub(wide / 2),
                    y - RADIUS,
                    2 * RADIUS,
                    y + 5,
                    escape(text)
                );
            }
        }
    }
}

/// The same item has the same colour on each track.
fn colour(text: &str) -> &'static str {
    const COLOURS: [&str; 6] = [
        "#8ec7e8", "#f6c177", "#a8d8a2", "#e6a4c4", "#c7b8ea", "#e8dc8e",
    ];
    let first = text.chars().next().map_or(0, |first| first as usize);
    COLOURS[first % COLOURS.len()]
}

fn parse(line: &str) -> Line<'_> {
    let label = line.split_once(':').map(|(label, _)| label);
    // an argument of a step may have a colon, too
    let Some(label) = label.filter(|label| !label.contains('(')) else {
        return Line::Step(line.trim());
    };
    let mut marbles: Vec<Marble> = Vec::new();
    // seen from the begin of the line, so that labels need not be of the same length
    let mut characters = line.chars().enumerate().skip(label.chars().count() + 1);
    while let Some((from, character)) = characters.next() {
        if matches!(marbles.last(), Some(last) if last.what == What::End) {
            let text: String = line.chars().skip(from).collect();
            let text = text.trim().to_owned();
            // as many columns as its letters need
            let to = from + (text.chars().count() * LETTER).div_ceil(STEP);
            marbles.push(Marble {
                from,
                to,
                what: What::Remark(text),
            });
            break;
        }
        let mut to = from;
        let what = match character {
            ' ' | '-' | '.' => continue,
            '|' => What::End,
            'x' => What::Failure,
            '[' => {
                let mut text = String::new();
                for (at, character) in characters.by_ref() {
                    to = at;
                    if character == ']' {
                        break;
                    }
                    text.push(character);
                }
                What::Item(text)
            }
            character => What::Item(character.to_string()),
        };
        marbles.push(Marble { from, to, what });
    }
    Line::Track(label.trim(), marbles)
}

/// What is read to whoever does not see it.
fn alternative(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    format!("Marble diagram. {}", lines.collect::<Vec<_>>().join("; "))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn item(from: usize, to: usize, text: &str) -> Marble {
        Marble {
            from,
            to,
            what: What::Item(text.to_owned()),
        }
    }

    #[test]
    fn marbles_stand_where_they_stand_in_the_text() {
        let Line::Track(label, marbles) = parse("in: -1-x[2 3]|") else {
            panic!("a track");
        };
        assert_eq!(label, "in");
        let what = |at, what| Marble {
            from: at,
            to: at,
            what,
        };
        let expected = [
            item(5, 5, "1"),
            what(7, What::Failure),
            item(8, 12, "2 3"),
            what(13, What::End),
        ];
        assert_eq!(marbles, expected);
        assert_eq!(parse("batch(2)"), Line::Step("batch(2)"));
        assert_eq!(parse("f(|n: u8| n)"), Line::Step("f(|n: u8| n)"));
        let Line::Track(_, marbles) = parse("in: -.|  stop (1)") else {
            panic!("a track");
        };
        assert_eq!(marbles[0], what(6, What::End));
        assert_eq!(marbles[1].what, What::Remark("stop (1)".to_owned()));
    }

    #[test]
    fn tracks_whose_labels_differ_in_length_are_aligned() {
        let drawn = draw("in:  -1-|\nout: -1-|");
        let places: Vec<_> = drawn.matches("text-anchor=\"middle\" fill").collect();
        assert_eq!(places.len(), 2);
        let ends: BTreeSet<_> = drawn
            .split("<line x1=\"")
            .skip(1)
            .filter_map(|line| line.split_once("stroke-width=\"2\"").map(|_| &line[..3]))
            .collect();
        assert_eq!(ends.len(), 1, "{drawn}");
    }

    #[test]
    fn the_name_of_a_step_fits_into_the_picture() {
        let name = "delay_until(the column of its number, 16)";
        let drawn = draw(&format!("in: -1-|\n{name}\nout: -1-|"));
        let (_, width) = drawn.split_once("viewBox=\"0 0 ").expect("a size");
        let width: usize = width
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a width");
        assert!(width > name.len() * LETTER, "{width}");
    }

    #[test]
    fn blocks_become_pictures_with_their_text_and_the_rest_stays() {
        let page = "before\n```marble\nin: -<-|\n```\nafter\n```rust\nlet x;\n```\n";
        let drawn = draw_all(page);
        assert!(drawn.starts_with("before\n<div"), "{drawn}");
        assert!(
            drawn.ends_with("\nafter\n```rust\nlet x;\n```\n"),
            "{drawn}"
        );
        assert!(
            drawn.contains("aria-label=\"Marble diagram. in: -&lt;-|\""),
            "{drawn}"
        );
        // an HTML block of Markdown ends at an empty line
        assert!(!drawn.contains("\n\n<"), "{drawn}");
    }
}
