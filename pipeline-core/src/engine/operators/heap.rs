//! A heap of four children a node, the least first.
//!
//! With a million nodes what costs is to fetch them: this one has half the levels of one with two
//! children, and those of a node lie side by side.

const CHILDREN: usize = 4;

#[derive(Debug)]
pub(super) struct Heap<T>(Vec<T>);

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Heap(Vec::new())
    }
}

impl<T: Copy + Ord> Heap<T> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first(&self) -> Option<T> {
        self.0.first().copied()
    }

    pub(super) fn push(&mut self, value: T) {
        self.0.push(value);
        self.rise(self.0.len() - 1, 0);
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let last = self.0.pop()?;
        let Some(first) = self.0.first_mut() else {
            return Some(last);
        };
        let first = std::mem::replace(first, last);
        self.sink(0);
        Some(first)
    }

    /// Takes all nodes of another one.
    pub(super) fn append(&mut self, other: &mut Self) {
        if self.len() < other.len() {
            std::mem::swap(self, other);
        }
        // few are better put in one by one
        if other.len() < self.len() / 16 {
            other.0.drain(..).for_each(|value| self.push(value));
        } else {
            self.0.append(&mut other.0);
            self.restore();
        }
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
        self.restore();
    }

    /// Drops all nodes, and the room for more than so many.
    pub(super) fn clear(&mut self, kept: usize) {
        self.0.clear();
        self.0.shrink_to(kept);
    }

    pub(super) fn into_sorted(self) -> Vec<T> {
        let mut sorted = self.0;
        sorted.sort_unstable();
        sorted
    }

    fn restore(&mut self) {
        let parents = self.len().div_ceil(CHILDREN);
        (0..parents).rev().for_each(|place| self.sink(place));
    }

    /// What is in this place goes down to where it belongs. It is carried to the bottom first, as it was
    /// taken from there and is likely to stay.
    fn sink(&mut self, top: usize) {
        let nodes = &mut self.0[..];
        let Some(value) = nodes.get(top).copied() else {
            return;
        };
        let mut place = top;
        loop {
            let child = CHILDREN * place + 1;
            let last = nodes.len().min(child + CHILDREN);
            let Some(children) = nodes.get(child..last).filter(|list| !list.is_empty()) else {
                break;
            };
            let mut least = 0;
            for other in 1..children.len() {
                if children[other] < children[least] {
                    least = other;
                }
            }
            nodes[place] = children[least];
            place = child + least;
        }
        nodes[place] = value;
        self.rise(place, top);
    }

    fn rise(&mut self, mut place: usize, top: usize) {
        let nodes = &mut self.0[..];
        let value = nodes[place];
        while place > top {
            let parent = (place - 1) / CHILDREN;
            if nodes[parent] <= value {
                break;
            }
            nodes[place] = nodes[parent];
            place = parent;
        }
        nodes[place] = value;
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    /// Numbers below 1,000 that look random.
    fn numbers(count: u64) -> impl Iterator<Item = u64> {
        (1..=count).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 1023)
    }

    fn heap(count: u64) -> Heap<u64> {
        let mut heap = Heap::default();
        numbers(count).for_each(|number| heap.push(number));
        heap
    }

    fn popped(mut heap: Heap<u64>) -> Vec<u64> {
        std::iter::from_fn(|| heap.pop()).collect()
    }

    #[test]
    fn what_goes_in_comes_out_sorted() {
        for count in 0..200 {
            let mut sorted: Vec<u64> = numbers(count).collect();
            sorted.sort_unstable();
            assert_eq!(heap(count).first(), sorted.first().copied());
            assert_eq!(popped(heap(count)), sorted);
            assert_eq!(heap(count).into_sorted(), sorted);
        }
    }

    #[test]
    fn heaps_are_joined_and_thinned_out() {
        for (one, other) in [(0, 5), (5, 0), (100, 3), (3, 100), (70, 50)] {
            let (mut all, mut more) = (heap(one), heap(other));
            all.append(&mut more);
            assert_eq!((all.len() as u64, more.len()), (one + other, 0));
            let mut sorted: Vec<u64> = numbers(one).chain(numbers(other)).collect();
            sorted.sort_unstable();
            assert_eq!(popped(all), sorted);
        }
        let mut thinned = heap(300);
        thinned.retain(|number| number % 3 == 0);
        let mut sorted: Vec<u64> = numbers(300).filter(|number| number % 3 == 0).collect();
        sorted.sort_unstable();
        assert_eq!(popped(thinned), sorted);
    }
}
