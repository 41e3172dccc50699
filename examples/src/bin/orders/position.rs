//! Which lines of an input are done: what is stored with every batch, and where a restart goes on.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// Lines that are done, as ranges. In the order of the lines there is one range; by customer, lines
/// overtake each other, and there are as many gaps as lines are under way.
///
/// As text: `1-5000:183746,5004-5004:184001`, the first and the last line of each range, both
/// counted from 1, and the byte of the input behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// By the first line.
    ranges: BTreeMap<u64, Range>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    last: u64,
    end: u64,
}

impl Position {
    /// The line from which on lines are missing, and the byte at which it begins: all before it are
    /// done.
    pub(crate) fn low_water(&self) -> (u64, u64) {
        match self.ranges.get(&1) {
            Some(range) => (range.last + 1, range.end),
            None => (1, 0),
        }
    }

    pub(crate) fn contains(&self, line: u64) -> bool {
        let before = self.ranges.range(..=line).next_back();
        before.is_some_and(|(_, range)| line <= range.last)
    }

    /// How many lines are done.
    pub(crate) fn len(&self) -> u64 {
        let lines = self
            .ranges
            .iter()
            .map(|(first, range)| range.last - first + 1);
        lines.sum()
    }

    /// Adds a line that ends before the byte `end`. False if it was done already.
    pub(crate) fn insert(&mut self, line: u64, end: u64) -> bool {
        let mut first = line;
        if let Some((&start, range)) = self.ranges.range(..=line).next_back() {
            if line <= range.last {
                return false;
            }
            if line == range.last + 1 {
                first = start;
            }
        }
        let behind = self.ranges.remove(&(line + 1));
        let range = behind.unwrap_or(Range { last: line, end });
        self.ranges.insert(first, range);
        true
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (first, Range { last, end }) in &self.ranges {
            write!(f, "{comma}{first}-{last}:{end}")?;
            comma = ",";
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = |text: &str| {
            let (first, rest) = text.split_once('-')?;
            let (last, end) = rest.split_once(':')?;
            let (last, end) = (last.parse().ok()?, end.parse().ok()?);
            Some((first.parse().ok()?, Range { last, end }))
        };
        let ranges = text.split(',').filter(|text| !text.is_empty()).map(range);
        match ranges.collect() {
            Some(ranges) => Ok(Position { ranges }),
            None => Err(format!("`{text}` is no position")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    fn position(lines: &[u64]) -> Position {
        let mut position = Position::default();
        for &line in lines {
            assert!(position.insert(line, 10 * line));
        }
        position
    }

    #[test]
    fn lines_in_any_order_are_the_same_position() {
        let forward = position(&[1, 2, 3, 4, 5, 7, 8]);
        let mixed = position(&[4, 8, 1, 3, 7, 5, 2]);
        assert_eq!(forward, mixed);
        assert_eq!(mixed.to_string(), "1-5:50,7-8:80");
        assert_eq!(mixed.len(), 7);
        assert_eq!(mixed.low_water(), (6, 50));
    }

    #[test]
    fn a_line_is_done_once() {
        let mut some = position(&[1, 2, 4]);
        for line in [1, 2, 4] {
            assert!(some.contains(line));
            assert!(!some.insert(line, 0));
        }
        assert!(!some.contains(3) && !some.contains(5));
    }

    #[test]
    fn the_first_line_may_be_missing() {
        assert_eq!(position(&[2, 3]).low_water(), (1, 0));
        assert_eq!(Position::default().low_water(), (1, 0));
    }

    #[test]
    fn text_is_read_as_it_was_written() {
        for lines in [&[][..], &[1], &[1, 2, 5, 9, 10]] {
            let some = position(lines);
            assert_eq!(some.to_string().parse(), Ok(some));
        }
        assert!("1-2".parse::<Position>().is_err());
        assert!("1-2:x".parse::<Position>().is_err());
    }
}
