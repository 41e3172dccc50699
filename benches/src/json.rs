//! JSON messages of 1,024 bytes, and a struct to read them into.

use std::sync::Arc;

use serde::Deserialize;

use crate::tally::Indexed;

/// Bytes of a message.
pub const SIZE: usize = 1024;

const DISTINCT: u64 = 256;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "sample data")]
pub struct Message {
    pub id: u64,
    pub user: String,
    pub url: String,
    pub ts: i64,
    pub score: f64,
    pub tags: Vec<String>,
    pub geo: Geo,
    pub body: String,
}

/// A place.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "sample data")]
pub struct Geo {
    pub lat: f64,
    pub lon: f64,
}

/// A message that was read, with its place in the input.
#[derive(Debug)]
pub struct Parsed {
    index: u64,
    message: Message,
}

impl Indexed for Parsed {
    /// A place that does not go with the content is given as no place at all.
    fn index(&self) -> u64 {
        if self.message.id == self.index % DISTINCT {
            self.index
        } else {
            u64::MAX
        }
    }
}

/// Some distinct messages, as text, taken in turn.
#[derive(Debug, Clone)]
pub struct Messages(Arc<[String]>);

impl Messages {
    /// Writes them.
    pub fn write() -> Self {
        Messages((0..DISTINCT).map(text).collect())
    }

    /// The text of the item at `index`.
    pub fn text(&self, index: u64) -> &str {
        &self.0[(index % DISTINCT) as usize]
    }

    /// Reads the message of the item at `index`.
    pub fn parse(&self, index: u64) -> Result<Parsed, serde_json::Error> {
        Ok(Parsed {
            index,
            message: serde_json::from_str(self.text(index))?,
        })
    }
}

fn text(id: u64) -> String {
    let head = format!(
        r#"{{"id":{id},"user":"user-{id:08}","url":"https://example.com/a/b/c?page={id}","ts":{},"score":0.5,"tags":["alpha","beta","gamma","delta","eps","zeta","eta","theta"],"geo":{{"lat":48.1,"lon":11.5}},"body":""#,
        1_700_000_000_000 + id
    );
    let tail = r#""}"#;
    let body = "x".repeat(SIZE - head.len() - tail.len());
    head + &body + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_its_size() {
        assert!((0..DISTINCT).all(|id| text(id).len() == SIZE));
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let Parsed { index, message } = Messages::write().parse(0).expect("it is valid");
        assert_eq!((index, message.id, message.ts), (0, 0, 1_700_000_000_000));
        assert_eq!(
            (message.user.as_str(), message.body.len()),
            ("user-00000000", 814)
        );
        assert_eq!(message.tags.len(), 8);
        assert_eq!(
            message.geo,
            Geo {
                lat: 48.1,
                lon: 11.5
            }
        );
    }

    #[test]
    fn a_message_in_the_wrong_place_has_no_index() {
        let messages = Messages::write();
        let right = messages.parse(DISTINCT + 3).expect("it is valid");
        assert_eq!(right.index(), DISTINCT + 3);
        assert_ne!(Parsed { index: 4, ..right }.index(), 4);
    }
}
