//! How everyone did at one piece of work.

use std::fmt::Write;

use super::plot::{Bar, Panel};
use super::workloads::{Raced, Workload};
use benches::measure::race::Calmness;
use benches::measure::spread::Spread;
use benches::table::{short, time, times};

/// Less of a difference is none.
const ALIKE: f64 = 0.03;

/// The contenders from the fastest to the slowest.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// The name of the workload.
    pub(super) name: &'static str,
    /// What the figures are.
    pub(super) figure: &'static str,
    pub(super) entries: Vec<Entry>,
    pub(super) calmness: Calmness,
}

/// One contender.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// In nanoseconds.
    pub(super) time: Spread,
    /// Its time divided by ours in the same round.
    pub(super) ratio: Spread,
    pub(super) ours: bool,
}

impl Standing {
    pub(super) fn of(workload: &Workload, Raced { rounds, lanes }: &Raced) -> Self {
        let entries = lanes.iter().map(|lane| Entry {
            name: lane.name(),
            time: rounds.spread(|round| round[*lane]),
            ratio: rounds.spread(|round| round[*lane] / round[lanes[0]]),
            ours: *lane == lanes[0],
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by(|a, b| a.time.median.total_cmp(&b.time.median));
        Standing {
            name: workload.name,
            figure: workload.figure,
            entries,
            calmness: rounds.calmness(),
        }
    }

    /// The name as part of a file's name.
    pub(super) fn file(&self) -> String {
        format!("{}.svg", self.name.to_lowercase().replace(' ', "-"))
    }

    /// A Markdown table.
    pub(super) fn table(&self) -> String {
        let mut text =
            String::from("| | median | quartiles | ours = 1 |\n| --- | --: | --: | --: |\n");
        for Entry {
            name,
            time: spread,
            ratio,
            ours,
        } in &self.entries
        {
            let (median, quartiles) = (time(spread.median), times(*spread));
            let (name, ratio) = if *ours {
                (format!("**{name}**"), "1".to_owned())
            } else {
                ((*name).to_owned(), short(ratio.median))
            };
            // a `String` takes all that is written
            let _ = writeln!(text, "| {name} | {median} | {quartiles} | {ratio} |");
        }
        text
    }

    /// Who is better, and who is as good as far as the rounds can tell.
    pub(super) fn verdict(&self) -> String {
        if self.restless() {
            return "The machine was too restless to tell who is faster.".to_owned();
        }
        let peers = || self.entries.iter().filter(|entry| !entry.ours);
        let faster: Vec<String> = peers()
            .filter(|peer| peer.ratio.high < 1.0 - ALIKE)
            .map(|peer| format!("{} ({} of our time)", peer.name, short(peer.ratio.median)))
            .collect();
        let alike: Vec<&str> = peers()
            .filter(|peer| peer.ratio.low <= 1.0 + ALIKE && peer.ratio.high >= 1.0 - ALIKE)
            .map(|peer| peer.name)
            .collect();
        let mut text = if faster.is_empty() {
            "Nobody was faster than ours.".to_owned()
        } else {
            format!("Faster than ours: {}.", faster.join(", "))
        };
        if !alike.is_empty() {
            let _ = write!(
                text,
                " As fast, as far as this tells: {}.",
                alike.join(", ")
            );
        }
        text
    }

    /// Whether most rounds were disturbed.
    fn restless(&self) -> bool {
        let Calmness { rounds, disturbed } = self.calmness;
        2 * disturbed > rounds
    }

    /// How much it stands on.
    pub(super) fn rounds(&self) -> String {
        let Calmness { rounds, disturbed } = self.calmness;
        let plural = if rounds == 1 { "" } else { "s" };
        match disturbed {
            0 => format!("{rounds} round{plural}"),
            _ => format!(
                "{rounds} round{plural}, **{disturbed} of them disturbed** by other programs"
            ),
        }
    }

    /// A plot of these contenders: of all, if none is named.
    pub(super) fn panel(&self, title: &str, names: &[&str]) -> Panel {
        let chosen = |entry: &&Entry| names.is_empty() || names.contains(&entry.name);
        let bars = self.entries.iter().filter(chosen).map(|entry| Bar {
            name: entry.name.to_owned(),
            value: entry.time,
            label: time(entry.time.median),
            ours: entry.ours,
        });
        let doubt = if self.restless() { " (disturbed)" } else { "" };
        Panel {
            title: format!("{title}{doubt}"),
            bars: bars.collect(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Ours takes 40 ns, `half` and `twice` as they say, `alike` about the same.
    pub(crate) fn standing() -> Standing {
        let entry = |name, times: f64, spread: f64| {
            let ratio = Spread {
                low: times - spread,
                median: times,
                high: times + spread,
            };
            Entry {
                name,
                time: ratio.per(1.0 / 40.0),
                ratio,
                ours: name == "ours",
            }
        };
        Standing {
            name: "Any Work",
            figure: "time an item",
            entries: vec![
                entry("half", 0.5, 0.1),
                entry("ours", 1.0, 0.0),
                entry("alike", 1.05, 0.1),
                entry("twice", 2.0, 0.25),
            ],
            calmness: Calmness {
                rounds: 11,
                disturbed: 0,
            },
        }
    }

    #[test]
    fn the_table_has_the_figures() {
        let expected = "\
| | median | quartiles | ours = 1 |
| --- | --: | --: | --: |
| half | 20.0 ns | 16.0 .. 24.0 ns | 0.500 |
| **ours** | 40.0 ns | 40.0 .. 40.0 ns | 1 |
| alike | 42.0 ns | 38.0 .. 46.0 ns | 1.05 |
| twice | 80.0 ns | 70.0 .. 90.0 ns | 2.00 |
";
        assert_eq!(standing().table(), expected);
    }

    #[test]
    fn who_is_better_is_said() {
        assert_eq!(
            standing().verdict(),
            "Faster than ours: half (0.500 of our time). As fast, as far as this tells: alike."
        );
        let mut alone = standing();
        alone.entries.retain(|entry| entry.ours);
        assert_eq!(alone.verdict(), "Nobody was faster than ours.");
    }

    #[test]
    fn disturbed_rounds_are_owned_up_to() {
        let mut disturbed = standing();
        assert_eq!(disturbed.rounds(), "11 rounds");
        disturbed.calmness.disturbed = 2;
        assert_eq!(
            disturbed.rounds(),
            "11 rounds, **2 of them disturbed** by other programs"
        );
    }

    #[test]
    fn nobody_is_faster_on_a_restless_machine() {
        let mut restless = standing();
        restless.calmness.disturbed = 6;
        assert_eq!(
            restless.verdict(),
            "The machine was too restless to tell who is faster."
        );
        assert_eq!(restless.panel("Title", &[]).title, "Title (disturbed)");
        assert_eq!(standing().panel("Title", &[]).title, "Title");
    }

    #[test]
    fn a_file_is_named_after_the_work() {
        assert_eq!(standing().file(), "any-work.svg");
    }
}
