//! Several inputs that are sorted to one output that is.

use std::{
    cmp::Ordering,
    sync::Arc,
    task::{Context, Poll, ready},
};

use crate::engine::{
    envelope::Envelope,
    filler::Filler,
    inlet::Inlet,
    ledger::Ledger,
    operator::{Bench, Operator, Step},
    shield,
    stall::Join,
};

/// Gives the item with the lowest key of those that are the next ones of their inputs.
pub(crate) struct MergeOrdered<T: Send + 'static, K, F> {
    inputs: Vec<Input<T, K>>,
    out: Filler<T>,
    join: Arc<Join>,
    key: F,
    /// Inputs whose next item is known, the one with the lowest key last.
    sorted: Vec<usize>,
    /// Inputs that have to be asked.
    unknown: Vec<usize>,
}

struct Input<T: Send + 'static, K> {
    inlet: Inlet<T>,
    /// Its next item.
    head: Option<(K, Envelope<T>)>,
}

impl<T: Send + 'static, K: Ord, F: Fn(&T) -> K> MergeOrdered<T, K, F> {
    pub(crate) fn new(inlets: Vec<Inlet<T>>, out: Filler<T>, join: Arc<Join>, key: F) -> Self {
        let inputs = inlets.into_iter();
        let inputs: Vec<_> = inputs.map(|inlet| Input { inlet, head: None }).collect();
        MergeOrdered {
            unknown: (0..inputs.len()).collect(),
            inputs,
            out,
            join,
            key,
            sorted: Vec::new(),
        }
    }

    /// The next item of an input that has none. False if the key function, or the comparison of keys,
    /// panicked: then it has failed.
    fn put(
        &mut self,
        input: usize,
        Envelope { item, ticket }: Envelope<T>,
        bench: &mut Bench,
    ) -> bool {
        let (inputs, sorted) = (&self.inputs, &self.sorted);
        let found = bench.shielded(ticket, || {
            let key = (self.key)(&item);
            let place = sorted.partition_point(|other| {
                let ahead = inputs[*other].head.as_ref();
                match ahead.map_or(Ordering::Less, |(ahead, _)| ahead.cmp(&key)) {
                    Ordering::Greater => true,
                    Ordering::Equal => *other > input,
                    Ordering::Less => false,
                }
            });
            (key, place)
        });
        match found {
            Some(((key, place), ticket)) => {
                self.sorted.insert(place, input);
                self.inputs[input].head = Some((key, Envelope::new(item, ticket)));
                true
            }
            None => {
                shield::discard(item);
                false
            }
        }
    }

    /// Makes the next item of each input known. True if it is time to come back.
    fn poll_heads(&mut self, context: &Context<'_>, bench: &mut Bench) -> Poll<bool> {
        let mut at = 0;
        while let Some(&input) = self.unknown.get(at) {
            match self.inputs[input].inlet.poll_next(context) {
                Poll::Ready(Some(envelope)) => {
                    let due = bench.took();
                    if self.put(input, envelope, bench) {
                        self.unknown.swap_remove(at);
                    }
                    if due {
                        return Poll::Ready(true);
                    }
                }
                Poll::Ready(None) => {
                    self.unknown.swap_remove(at);
                }
                // the others are asked all the same, so that they have room
                Poll::Pending => at += 1,
            }
        }
        match self.unknown.first() {
            None => Poll::Ready(false),
            Some(input) => {
                self.join.waits_for(*input);
                Poll::Pending
            }
        }
    }
}

impl<T, K, F> Operator for MergeOrdered<T, K, F>
where
    T: Send + 'static,
    K: Ord + Send + 'static,
    F: Fn(&T) -> K + Send + 'static,
{
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        loop {
            if ready!(self.poll_heads(context, bench)) {
                return Poll::Ready(Step::Pause);
            }
            let Some(&lowest) = self.sorted.last() else {
                return Poll::Ready(Step::End);
            };
            ready!(self.out.poll_room());
            self.sorted.pop();
            self.unknown.push(lowest);
            if let Some((key, envelope)) = self.inputs[lowest].head.take() {
                shield::discard(key);
                self.out.push(envelope);
                bench.gave();
            }
        }
    }

    fn waits_inside(&self) -> bool {
        true
    }

    fn flush(&mut self) -> bool {
        self.out.flush()
    }

    fn end(&mut self) {
        self.out.end();
    }

    fn cancel(&mut self, ledger: &Ledger) {
        let heads = self.inputs.iter_mut().filter_map(|input| input.head.take());
        for (key, envelope) in heads {
            shield::discard(key);
            ledger.cancel(envelope);
        }
    }
}
