//! Bars as SVG: one a contender, with a line over its quartiles.
//!
//! The picture has a ground of its own, light or dark as the reader's system is, so that it can stand on any page.
//! It is as wide as a phone, and its letters are as large as those around it.

use std::fmt::Write;

use benches::measure::spread::Spread;

const WIDTH: f64 = 400.0;
const MARGIN: f64 = 12.0;
/// Where bars begin: names end before.
const BARS: f64 = 156.0;
/// Room for the label of the longest bar.
const LABEL: f64 = 64.0;
const LINE: f64 = 24.0;
const BAR: f64 = 14.0;
const TITLE: f64 = 30.0;

const STYLE: &str = "\
.ground{fill:#fff}.text{fill:#1f2328}.bar{fill:#8c959f}.ours{fill:#0969da}.spread{stroke:#1f2328}\
.name{font-size:13px}.title{font-size:14px;font-weight:600}.bold{font-weight:600}\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',sans-serif}\
@media(prefers-color-scheme:dark){.ground{fill:#161b22}.text{fill:#e6edf3}.bar{fill:#6e7681}\
.ours{fill:#58a6ff}.spread{stroke:#e6edf3}}";

/// Bars on one scale.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

/// One bar.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: Spread,
    /// The value in words.
    pub(super) label: String,
    pub(super) ours: bool,
}

/// The panels, one below the other.
pub(super) fn svg(panels: &[Panel]) -> String {
    let heights = panels.iter().map(Panel::height);
    let height = heights.sum::<f64>() + MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n",
        escaped(&in_words(panels))
    );
    let mut top = 0.0;
    for panel in panels {
        panel.draw(&mut text, top);
        top += panel.height();
    }
    text.push_str("</svg>\n");
    text
}

/// What the plot shows, for those who do not see it.
pub(super) fn in_words(panels: &[Panel]) -> String {
    let panels: Vec<String> = panels
        .iter()
        .map(|Panel { title, bars }| {
            let bars = bars
                .iter()
                .map(|Bar { name, label, .. }| format!("{name} {label}"));
            format!("{title}: {}", bars.collect::<Vec<_>>().join(", "))
        })
        .collect();
    panels.join(". ")
}

impl Panel {
    fn height(&self) -> f64 {
        TITLE + self.bars.len() as f64 * LINE
    }

    fn draw(&self, text: &mut String, top: f64) {
        let largest = self
            .bars
            .iter()
            .map(|bar| bar.value.median.max(bar.value.high));
        let largest = largest.fold(f64::MIN_POSITIVE, f64::max);
        let scale = (WIDTH - MARGIN - LABEL - BARS) / largest;
        let title = escaped(&self.title);
        let baseline = top + 21.0;
        // a `String` takes all that is written
        let _ = writeln!(
            text,
            "<text class=\"text title\" x=\"{MARGIN}\" y=\"{baseline}\">{title}</text>"
        );
        for (place, bar) in self.bars.iter().enumerate() {
            bar.draw(text, top + TITLE + place as f64 * LINE, scale);
        }
    }
}

impl Bar {
    fn draw(&self, text: &mut String, top: f64, scale: f64) {
        let Spread { low, median, high } = self.value;
        let (class, bold) = if self.ours {
            ("ours", " bold")
        } else {
            ("bar", "")
        };
        let (name, label) = (escaped(&self.name), escaped(&self.label));
        let (middle, baseline) = (top + LINE / 2.0, top + LINE / 2.0 + 4.5);
        let (upper, length) = (middle - BAR / 2.0, (median * scale).max(1.0));
        let (left, right) = (BARS + low * scale, BARS + high * scale);
        let (names, labels) = (BARS - 6.0, right.max(BARS + length) + 6.0);
        let _ = write!(
            text,
            "<text class=\"text name{bold}\" x=\"{names}\" y=\"{baseline:.1}\" text-anchor=\"end\">{name}</text>\n\
             <rect class=\"{class}\" x=\"{BARS}\" y=\"{upper:.1}\" width=\"{length:.1}\" height=\"{BAR}\"/>\n\
             <path class=\"spread\" d=\"M{left:.1} {middle:.1}H{right:.1}\"/>\n\
             <text class=\"text name{bold}\" x=\"{labels:.1}\" y=\"{baseline:.1}\">{label}</text>\n"
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, Node};

    use super::*;

    fn bar(name: &str, median: f64) -> Bar {
        Bar {
            name: name.to_owned(),
            value: Spread {
                low: median * 0.9,
                median,
                high: median * 1.1,
            },
            label: format!("{median} ns"),
            ours: name == "ours",
        }
    }

    fn panels() -> [Panel; 2] {
        let panel = |title: &str, bars: Vec<Bar>| Panel {
            title: title.to_owned(),
            bars,
        };
        [
            panel("first", vec![bar("a < b & c", 10.0), bar("ours", 40.0)]),
            panel("second", vec![bar("x", 1e-3)]),
        ]
    }

    fn number(node: Node<'_, '_>, attribute: &str) -> f64 {
        let value = node.attribute(attribute).expect("it is set");
        value.parse().expect("a number")
    }

    #[test]
    fn it_is_xml_with_every_name_and_label() {
        let text = svg(&panels());
        let document = Document::parse(&text).expect("it is well-formed");
        let texts = document
            .descendants()
            .filter(|node| node.has_tag_name("text"));
        let texts: Vec<_> = texts.filter_map(|node| node.text()).collect();
        assert_eq!(
            texts,
            [
                "first",
                "a < b & c",
                "10 ns",
                "ours",
                "40 ns",
                "second",
                "x",
                "0.001 ns"
            ]
        );
    }

    #[test]
    fn bars_are_as_long_as_their_values_and_within_the_picture() {
        let text = svg(&panels());
        let document = Document::parse(&text).expect("it is well-formed");
        let (width, height) = (
            number(document.root_element(), "width"),
            number(document.root_element(), "height"),
        );
        let bars = document.descendants();
        let bars: Vec<_> = bars
            .filter(|node| node.attribute("x").is_some() && node.has_tag_name("rect"))
            .collect();
        let [a, ours, x] = bars[..] else {
            panic!("three bars: {text}")
        };
        let ratio = number(ours, "width") / number(a, "width");
        assert!((ratio - 4.0).abs() < 0.05, "{ratio}");
        assert_eq!(
            [a, ours, x].map(|bar| bar.attribute("class")),
            [Some("bar"), Some("ours"), Some("bar")]
        );
        for bar in [a, ours, x] {
            assert!(number(bar, "width") >= 1.0);
            assert!(number(bar, "x") + number(bar, "width") <= width - LABEL);
            assert!(number(bar, "y") + number(bar, "height") <= height);
        }
    }

    #[test]
    fn it_can_be_read_aloud() {
        assert_eq!(
            in_words(&panels()),
            "first: a < b & c 10 ns, ours 40 ns. second: x 0.001 ns"
        );
    }
}
