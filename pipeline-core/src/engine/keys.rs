//! Keys of a keyed stage: which lane each has.
//!
//! Keys are compared here and nowhere else. To hash a key and to compare two is code of the user's, which
//! runs under no lock (I7): so a worker that claims takes them along while it looks up those of the items
//! that it found, and nobody else can meanwhile. The rest of the engine knows lanes only, which are
//! numbers.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::shield;

/// The keys of what is inside a stage, of whatever type.
pub(crate) trait Keys<T>: Send {
    /// The lane of an item that goes in. Code of the user's; when it panics nothing has changed.
    fn enter(&mut self, item: &T) -> u32;
    /// One of this lane has left. The key is forgotten with the last one.
    fn leave(&mut self, lane: u32);
}

/// The keys that `key` gives.
pub(crate) fn keys<T, K, F>(key: F) -> Box<dyn Keys<T>>
where
    F: Fn(&T) -> K + Send + 'static,
    K: Hash + Eq + Send + 'static,
{
    Box::new(Table {
        key,
        hasher: DefaultHashBuilder::default(),
        numbers: HashTable::new(),
        lanes: Vec::new(),
        free: Vec::new(),
    })
}

struct Table<K, F> {
    key: F,
    hasher: DefaultHashBuilder,
    /// The lanes that have a key, by its hash.
    numbers: HashTable<u32>,
    lanes: Vec<Lane<K>>,
    free: Vec<u32>,
}

struct Lane<K> {
    key: Option<K>,
    hash: u64,
    /// Items that have gone in and not left.
    inside: u64,
}

impl<T, K, F> Keys<T> for Table<K, F>
where
    F: Fn(&T) -> K + Send,
    K: Hash + Eq + Send,
{
    fn enter(&mut self, item: &T) -> u32 {
        let Table {
            key,
            hasher,
            numbers,
            lanes,
            free,
        } = self;
        let key = key(item);
        let hash = hasher.hash_one(&key);
        let is_it = |number: &u32| lanes[*number as usize].key.as_ref() == Some(&key);
        if let Some(number) = numbers.find(hash, is_it) {
            let number = *number;
            lanes[number as usize].inside += 1;
            // a destructor of the user's has no say in what has been decided
            shield::discard(key);
            return number;
        }
        let lane = Lane {
            key: Some(key),
            hash,
            inside: 1,
        };
        let number = match free.pop() {
            Some(number) => {
                lanes[number as usize] = lane;
                number
            }
            None => {
                // as many as there are items inside, at most
                let number = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
                lanes.push(lane);
                number
            }
        };
        numbers.insert_unique(hash, number, |number| lanes[*number as usize].hash);
        number
    }

    fn leave(&mut self, number: u32) {
        let lane = &mut self.lanes[number as usize];
        lane.inside -= 1;
        if lane.inside > 0 {
            return;
        }
        let (key, hash) = (lane.key.take(), lane.hash);
        if let Ok(entry) = self.numbers.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
        self.free.push(number);
        shield::discard(key);
    }
}

/// Of items that travel in boxes.
pub(super) fn in_boxes<T: 'static>(keys: Box<dyn Keys<T>>) -> Box<dyn Keys<Box<T>>> {
    Box::new(InBoxes(keys))
}

struct InBoxes<T>(Box<dyn Keys<T>>);

impl<T> Keys<Box<T>> for InBoxes<T> {
    fn enter(&mut self, item: &Box<T>) -> u32 {
        self.0.enter(item)
    }

    fn leave(&mut self, lane: u32) {
        self.0.leave(lane);
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    #[test]
    fn keys_have_a_lane_as_long_as_something_of_theirs_is_inside() {
        let mut keys = keys(|word: &&str| word.len());
        let (short, long) = (keys.enter(&"a"), keys.enter(&"abc"));
        assert_ne!(short, long);
        assert_eq!(keys.enter(&"b"), short);
        keys.leave(short);
        assert_eq!(keys.enter(&"c"), short);
        keys.leave(short);
        keys.leave(short);
        // forgotten: its lane goes to whoever comes next
        assert_eq!(keys.enter(&"four"), short);
        assert_eq!(keys.enter(&"def"), long);
    }
}
