//! The schedule as a picture: a lane for each worker, and below them how many results wait.
//!
//! It brings its own background, in the colours of the reader's system, so it can be read on any page.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use crate::{
    jobs::Done,
    summary::{Summary, millis, waiting},
};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 24.0;
/// Where the lanes begin: title and legend are above.
const TOP: f64 = 88.0;
const LANES: f64 = 600.0;
const WIDEST_LANE: f64 = 22.0;
/// Between the lanes and the curve of results that wait.
const GAP: f64 = 30.0;
const CURVE: f64 = 80.0;
/// The axis.
const BOTTOM: f64 = 52.0;

const STYLE: &str = "\
.card{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d1d9e0}.mark{stroke:#1f2328}\
.even{stroke:#1f6feb}.odd{stroke:#7fb2f5}.wait{stroke:#d4690b}.area{fill:#d4690b}\
@media(prefers-color-scheme:dark){\
.card{fill:#151b23}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#3d444d}.mark{stroke:#f0f6fc}\
.even{stroke:#388bfd}.odd{stroke:#1d4f91}.wait{stroke:#f0883e}.area{fill:#f0883e}}";

/// The picture as an SVG file.
pub(crate) fn draw(summary: &Summary, done: &[Done]) -> String {
    let mut svg = String::new();
    // writing to a string does not fail
    let _ = Picture::new(summary, done).write(&mut svg);
    svg
}

struct Picture<'a> {
    summary: &'a Summary,
    done: &'a [Done],
    /// What the width stands for.
    span: Duration,
    /// From one lane to the next.
    pitch: f64,
    /// Where the lanes end.
    lanes_end: f64,
    /// The foot of the curve, if there is one.
    foot: f64,
}

impl<'a> Picture<'a> {
    fn new(summary: &'a Summary, done: &'a [Done]) -> Self {
        let lefts = done.iter().map(|done| done.slot.left);
        let span = lefts.max().unwrap_or_default().max(summary.fifo);
        let lanes = summary.lanes.max(1) as f64;
        let pitch = (LANES / lanes).min(WIDEST_LANE);
        let pitch = if pitch > 3.0 { pitch.floor() } else { pitch }; // sharp
        let lanes_end = TOP + lanes * pitch;
        let foot = if summary.options.unordered {
            lanes_end
        } else {
            lanes_end + GAP + CURVE
        };
        Picture {
            summary,
            done,
            span: span.max(Duration::from_millis(1)),
            pitch,
            lanes_end,
            foot,
        }
    }

    fn x(&self, time: Duration) -> f64 {
        let share = time.as_secs_f64() / self.span.as_secs_f64();
        LEFT + (WIDTH - LEFT - RIGHT) * share
    }

    fn write(&self, svg: &mut String) -> fmt::Result {
        let height = self.foot + BOTTOM;
        write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-labelledby=\"title desc\" \
             viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n\
             <rect class=\"card\" width=\"{WIDTH}\" height=\"{height:.0}\" rx=\"8\"/>\n",
            self.summary.options.title(),
            self.description()
        )?;
        self.write_head(svg)?;
        self.write_axis(svg)?;
        self.write_lanes(svg)?;
        if !self.summary.options.unordered {
            self.write_curve(svg)?;
        }
        self.write_mark(svg)?;
        svg.push_str("</svg>\n");
        Ok(())
    }

    /// What is read to whoever does not see it.
    fn description(&self) -> String {
        let Summary {
            lanes,
            most_waiting,
            fifo,
            ..
        } = self.summary;
        let mut text = format!(
            "A lane for each of {lanes} workers shows when it works on a job. The last result leaves after {}; the FIFO \
             schedule takes {}.",
            millis(self.end()),
            millis(*fifo)
        );
        if !self.summary.options.unordered {
            let _ = write!(
                text,
                " Thin lines below the jobs are results that are done and wait for their turn: at most {most_waiting} at \
                 once, as the curve below the lanes shows."
            );
        }
        text
    }

    fn end(&self) -> Duration {
        let lefts = self.done.iter().map(|done| done.slot.left);
        lefts.max().unwrap_or_default()
    }

    fn write_head(&self, svg: &mut String) -> fmt::Result {
        let title = self.summary.options.title();
        writeln!(
            svg,
            "<text class=\"ink\" x=\"{LEFT}\" y=\"32\" font-size=\"17\" font-weight=\"600\">{title}</text>"
        )?;
        let mut x = LEFT;
        let mut legend = |class: &str, width: f64, text: &str, length: f64| {
            let line = x + 14.0;
            writeln!(
                svg,
                "<path class=\"{class}\" d=\"M{x} 57h14\" stroke-width=\"{width}\"/>\
                 <text class=\"ink\" x=\"{}\" y=\"61\">{text}</text>",
                line + 6.0
            )?;
            x += length;
            fmt::Result::Ok(())
        };
        legend("even", 10.0, "", 14.0)?;
        legend("odd", 10.0, "in work, job after job", 186.0)?;
        if self.summary.options.unordered {
            return Ok(());
        }
        legend("wait", 3.0, "done, and waits for its turn", 226.0)
    }

    fn write_axis(&self, svg: &mut String) -> fmt::Result {
        let step = step(self.span);
        let mut grid = String::new();
        let mut labels = String::new();
        for n in 0.. {
            let at = step * n;
            if at > self.span {
                break;
            }
            let x = self.x(at);
            write!(grid, "M{x:.1} {TOP}V{:.1}", self.foot + 5.0)?;
            let y = self.foot + 20.0;
            let at = at.as_millis();
            write!(labels, "<text x=\"{x:.1}\" y=\"{y:.1}\">{at}</text>")?;
        }
        writeln!(svg, "<path class=\"grid\" d=\"{grid}\"/>")?;
        let (x, y) = (f64::midpoint(LEFT, WIDTH - RIGHT), self.foot + 40.0);
        writeln!(
            svg,
            "<g class=\"soft\" text-anchor=\"middle\">{labels}<text x=\"{x:.1}\" y=\"{y:.1}\">milliseconds from the \
             start</text></g>"
        )
    }

    fn write_lanes(&self, svg: &mut String) -> fmt::Result {
        let (bar, line) = (0.5 * self.pitch, 0.34 * self.pitch);
        let mut lanes: Vec<Vec<&Done>> = vec![Vec::new(); self.summary.lanes];
        for done in self.done {
            lanes[done.lane].push(done);
        }
        let (mut even, mut odd, mut wait) = (String::new(), String::new(), String::new());
        for (lane, jobs) in lanes.iter_mut().enumerate() {
            let top = TOP + lane as f64 * self.pitch;
            jobs.sort_unstable_by_key(|done| (done.slot.begin, done.slot.end));
            for (nth, done) in jobs.iter().enumerate() {
                let slot = &done.slot;
                let path = if nth % 2 == 0 { &mut even } else { &mut odd };
                self.interval(path, slot.begin, slot.end, top + bar / 2.0)?;
                self.interval(&mut wait, slot.end, slot.left, top + bar + line / 2.0)?;
            }
        }
        for (class, path, width) in [("even", even, bar), ("odd", odd, bar)] {
            writeln!(
                svg,
                "<path class=\"{class}\" stroke-width=\"{width:.2}\" d=\"{path}\"/>"
            )?;
        }
        if !self.summary.options.unordered {
            writeln!(
                svg,
                "<path class=\"wait\" stroke-width=\"{line:.2}\" d=\"{wait}\"/>"
            )?;
        }
        let mut names = vec![(1, TOP + self.pitch.max(13.0) - 2.0)];
        if lanes.len() > 1 {
            names.push((lanes.len(), self.lanes_end));
        }
        for (name, y) in names {
            writeln!(
                svg,
                "<text class=\"soft\" x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\">worker {name}</text>",
                LEFT - 8.0
            )?;
        }
        Ok(())
    }

    /// A piece of a lane, unless it is too short to be seen.
    fn interval(&self, path: &mut String, from: Duration, to: Duration, y: f64) -> fmt::Result {
        let (from, to) = (self.x(from), self.x(to));
        if to - from < 0.2 {
            return Ok(());
        }
        write!(path, "M{from:.1} {y:.1}h{:.1}", to - from)
    }

    fn write_curve(&self, svg: &mut String) -> fmt::Result {
        let most = self.summary.most_waiting.max(1);
        let y = |count: usize| self.foot - CURVE * count as f64 / most as f64;
        let mut path = format!("M{LEFT} {:.1}", self.foot);
        let mut last = LEFT;
        for (at, count) in waiting(self.done) {
            let x = self.x(at);
            if x - last < 0.3 && at < self.end() {
                continue; // more steps than can be seen
            }
            write!(path, "H{x:.1}V{:.1}", y(count))?;
            last = x;
        }
        writeln!(
            svg,
            "<path class=\"area\" fill-opacity=\"0.75\" d=\"{path}V{:.1}z\"/>",
            self.foot
        )?;
        let x = LEFT - 8.0;
        writeln!(
            svg,
            "<g class=\"soft\" text-anchor=\"end\"><text x=\"{x}\" y=\"{:.1}\">{most}</text>\
             <text x=\"{x}\" y=\"{:.1}\">waiting</text><text x=\"{x}\" y=\"{:.1}\">0</text></g>",
            y(most) + 9.0,
            self.foot - CURVE / 2.0 + 5.0,
            self.foot
        )
    }

    /// Where the FIFO schedule ends.
    fn write_mark(&self, svg: &mut String) -> fmt::Result {
        let x = self.x(self.summary.fifo);
        writeln!(
            svg,
            "<path class=\"mark\" stroke-dasharray=\"5 4\" stroke-width=\"1.5\" d=\"M{x:.1} {:.1}V{:.1}\"/>\
             <text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">FIFO schedule: {}</text>",
            TOP - 16.0,
            self.foot,
            x - 6.0,
            TOP - 8.0,
            millis(self.summary.fifo)
        )
    }
}

/// A round number of milliseconds of which about ten fit.
fn step(span: Duration) -> Duration {
    let tenth = (span.as_millis() / 10).max(1) as u64;
    let power = 10_u64.pow(tenth.ilog10());
    let rounds = [1, 2, 5, 10].map(|n| n * power);
    let step = rounds.into_iter().find(|step| *step >= tenth);
    Duration::from_millis(step.unwrap_or(10 * power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_about_ten_fit() {
        for (span, expected) in [
            (1, 1),
            (9, 1),
            (40, 5),
            (556, 100),
            (961, 100),
            (12_000, 2000),
        ] {
            let step = step(Duration::from_millis(span));
            assert_eq!(step, Duration::from_millis(expected), "{span}");
        }
    }
}
