//! The states of a stage's workers: at most `parallelism` of them, made when there is work.
//!
//! Whoever makes one takes the maker out of the pool meanwhile, because to clone a state or to call
//! a factory is the user's code and may not run under the lock (I7).

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::shield;
use crate::{error::BoxError, rt::Mutex};

/// Makes the state of one worker.
pub(crate) type Maker<W> = Box<dyn FnMut() -> Making<W> + Send>;

/// A state that is being made.
pub(super) type Making<W> = Pin<Box<dyn Future<Output = Result<W, BoxError>> + Send>>;

pub(super) struct Pool<W>(Mutex<Inner<W>>);

struct Inner<W> {
    /// Boxed, because a worker moves its state into each item's future and out again.
    spare: Vec<Box<W>>,
    /// States that exist, spare or in use.
    made: usize,
    most: usize,
    /// None while somebody uses it, and after it has panicked.
    maker: Option<Maker<W>>,
    waiting: Vec<Waker>,
    closed: bool,
}

pub(super) enum Acquired<W> {
    Spare(Box<W>),
    /// To be polled until the state is there; and whether somebody has been woken who waited for the maker.
    Making(Making<W>, bool),
    Failed(BoxError),
}

impl<W> Pool<W> {
    pub(super) fn new(maker: Maker<W>, most: usize) -> Self {
        let (spare, waiting) = (Vec::new(), Vec::new());
        Pool(Mutex::new(Inner {
            spare,
            made: 0,
            most,
            maker: Some(maker),
            waiting,
            closed: false,
        }))
    }

    pub(super) fn poll_acquire(&self, context: &Context<'_>) -> Poll<Acquired<W>> {
        let mut maker = {
            let mut inner = self.0.lock();
            if let Some(state) = inner.spare.pop() {
                return Poll::Ready(Acquired::Spare(state));
            }
            match inner.maker.take() {
                Some(maker) if inner.made < inner.most => {
                    inner.made += 1;
                    maker
                }
                maker => {
                    inner.maker = maker;
                    // a worker's waker: not the user's
                    inner.waiting.push(context.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        match shield::call(&mut maker) {
            Ok(making) => {
                let woke = self.change(|inner| inner.maker = Some(maker));
                Poll::Ready(Acquired::Making(making, woke))
            }
            Err(payload) => {
                shield::discard(maker);
                Poll::Ready(Acquired::Failed(shield::panic_error(payload)))
            }
        }
    }

    /// Takes a state back for the next worker; or refuses it, and then it is to be closed.
    pub(super) fn put_back(&self, state: Box<W>) -> Option<Box<W>> {
        let mut state = Some(state);
        self.change(|inner| {
            if !inner.closed {
                inner.spare.extend(state.take());
            }
        });
        state
    }

    /// A state has been dropped: another one may be made.
    pub(super) fn lost(&self) {
        self.change(|inner| inner.made -= 1);
    }

    /// Gives out what there is, to be closed, and takes nothing back any more.
    pub(super) fn close(&self) -> Vec<Box<W>> {
        let mut states = Vec::new();
        let mut maker = None;
        self.change(|inner| {
            inner.closed = true;
            states = std::mem::take(&mut inner.spare);
            maker = inner.maker.take();
        });
        shield::discard(maker);
        states
    }

    /// True if somebody was woken.
    fn change(&self, change: impl FnOnce(&mut Inner<W>)) -> bool {
        let waiting = {
            let mut inner = self.0.lock();
            change(&mut inner);
            std::mem::take(&mut inner.waiting)
        };
        let woke = !waiting.is_empty();
        waiting.into_iter().for_each(Waker::wake);
        woke
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use std::{
        future::ready,
        sync::{Arc, OnceLock},
        task::Waker,
    };

    use super::*;

    fn acquire(pool: &Pool<u64>) -> Poll<Acquired<u64>> {
        pool.poll_acquire(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn no_more_states_are_made_than_there_may_be() {
        let pool = Pool::new(Box::new(|| Box::pin(ready(Ok(7)))), 2);
        for _ in 0..2 {
            assert!(matches!(acquire(&pool), Poll::Ready(Acquired::Making(..))));
        }
        assert!(acquire(&pool).is_pending());
        assert!(pool.put_back(Box::new(7)).is_none());
        assert!(matches!(acquire(&pool), Poll::Ready(Acquired::Spare(_))));
        assert!(acquire(&pool).is_pending());
        pool.lost();
        assert!(matches!(acquire(&pool), Poll::Ready(Acquired::Making(..))));
        assert!(acquire(&pool).is_pending());
    }

    /// Who makes a state has to know whom he has woken, as he may keep them from their thread.
    #[test]
    fn it_says_whether_somebody_waited() {
        let place = Arc::new(OnceLock::<Pool<u64>>::new());
        let another_comes = {
            let place = Arc::clone(&place);
            let mut calls = 0;
            move || -> Making<u64> {
                calls += 1;
                if calls == 1 {
                    let pool = place.get().expect("it has been set");
                    assert!(acquire(pool).is_pending(), "the maker is in use");
                }
                Box::pin(ready(Ok(7)))
            }
        };
        let pool = place.get_or_init(|| Pool::new(Box::new(another_comes), 2));
        for woke in [true, false] {
            let Poll::Ready(Acquired::Making(_, woken)) = acquire(pool) else {
                panic!("there is a maker");
            };
            assert_eq!(woken, woke);
        }
        // the pool holds its maker, and the maker the pool
        pool.close();
    }

    #[test]
    fn a_closed_pool_takes_nothing_back() {
        let pool = Pool::new(Box::new(|| Box::pin(ready(Ok(7)))), 2);
        assert!(pool.put_back(Box::new(7)).is_none());
        assert_eq!(pool.close(), [Box::new(7)]);
        assert!(pool.put_back(Box::new(8)).is_some());
    }
}
