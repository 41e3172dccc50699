//! `#[stage]` in surroundings that are not its own: whatever names are there, and whatever lints.

#![deny(
    warnings,
    clippy::pedantic,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused,
    reason = "what the macro writes must not warn"
)]

use pipeline_core::prelude::*;
use tests::prelude::*;

/// Where nothing is in scope but what is named.
#[no_implicit_prelude]
mod bare {
    use ::pipeline_core::stage;

    #[stage(retry(backoff = "1ms"), timeout = "1s", parallelism = "cores")]
    pub(crate) async fn plain(n: u64) -> u64 {
        ::tokio::task::yield_now().await;
        n + 1
    }

    #[stage(blocking)]
    pub(crate) fn fallible(
        #[state] offset: &u64,
        n: u64,
    ) -> ::std::result::Result<u64, ::std::fmt::Error> {
        n.checked_add(*offset).ok_or(::std::fmt::Error)
    }

    async fn make(from: &u64) -> ::std::result::Result<u64, ::std::fmt::Error> {
        ::tokio::task::yield_now().await;
        ::std::result::Result::Ok(*from)
    }

    #[stage]
    pub(crate) async fn made(
        #[state(init = make(&u64))] own: &mut u64,
        #[state] local: &mut u64,
        n: u64,
    ) -> ::std::io::Result<u64> {
        ::tokio::task::yield_now().await;
        *local += 1;
        ::std::result::Result::Ok(n + *own)
    }

    #[stage(infallible)]
    pub(crate) fn generic<T: ::std::clone::Clone>(item: T) -> T {
        item
    }

    #[derive(::std::clone::Clone, ::std::fmt::Debug)]
    pub(crate) struct Block {
        pub(crate) offset: u64,
    }

    #[stage(ordered)]
    impl Block {
        fn process(&mut self, n: u64) -> u64 {
            n + self.offset
        }

        fn open(&mut self) {
            self.offset += 1;
        }

        async fn close(self) {
            ::tokio::task::yield_now().await;
        }
    }
}

/// Where names of the standard library mean something else.
mod taken {
    #![allow(dead_code, reason = "the names alone are wanted")]

    use ::pipeline_core::stage;

    pub(crate) struct Option;
    pub(crate) struct Some;
    pub(crate) struct Ok;
    pub(crate) struct Arc;
    pub(crate) struct Future;
    pub(crate) struct Infallible;
    pub(crate) trait Send {}
    pub(crate) trait Clone {}
    pub(crate) trait Into {}
    pub(crate) trait Stage {}
    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod pipeline_core {}
    /// With a default, as many crates have it.
    pub(crate) type Result<T, E = ::std::fmt::Error> = ::std::result::Result<T, E>;

    #[stage(retry(fixed = "1ms"))]
    pub(crate) async fn halve(
        #[state] log: &mut Vec<u64>,
        #[state] by: &u64,
        n: u64,
    ) -> Result<u64> {
        log.push(n);
        ::tokio::task::yield_now().await;
        Result::Ok(n / by)
    }

    #[stage]
    pub(crate) fn double(n: u64) -> Result<u64, String> {
        n.checked_mul(2).ok_or_else(String::new)
    }
}

/// Of a library that hands ours on under another name.
mod reexported {
    /// The other name.
    pub(crate) mod inner {
        pub(crate) use pipeline_core as flows;
    }

    #[inner::flows::stage(crate = crate::reexported::inner::flows, parallelism = 2)]
    pub(crate) async fn through(#[state] seen: &mut u64, n: u64) -> Result<u64, String> {
        tokio::task::yield_now().await;
        *seen += 1;
        Ok(n)
    }
}

/// Stages written by another macro.
macro_rules! adders {
    ($($name:ident $ty:ident: $item:ty = $offset:expr;)*) => {$(
        #[stage(type = $ty, parallelism = 1 + $offset)]
        fn $name(#[state] more: &$item, item: $item) -> Result<$item, String> {
            item.checked_add(more + $offset).ok_or_else(|| "too large".to_owned())
        }
    )*};
}

adders! {
    add_one AddOne: u64 = 1;
    add_two AddTwo: u64 = 2;
}

#[allow(dead_code, reason = "that it is carried over, too")]
#[cfg(not(loom))]
#[inline]
#[stage]
fn never_used(n: u64) -> u64 {
    n
}

#[cfg(any())]
#[stage]
fn never_there(n: Missing) -> Missing {
    n
}

#[stage]
#[cfg(any())]
fn never_there_either(n: Missing) -> Missing {
    n
}

/// Still here.
#[deprecated(note = "it is old")]
#[must_use]
#[stage]
pub fn old(n: u64) -> u64 {
    n
}

/// Everything a public stage has is documented, and can be printed.
///
/// # Errors
///
/// For the empty text.
#[stage]
pub fn public(
    #[state] unused_: &mut u64,
    #[state] r#type: &u64,
    #[state] _names: &'static [&'static str],
    item: String,
) -> Result<usize, String> {
    *unused_ += *r#type;
    if item.is_empty() {
        Err("empty".to_owned())
    } else {
        Ok(item.len())
    }
}

/// All of them run.
#[test]
fn stages_work_wherever_they_are() {
    #[stage(name = "local")]
    async fn in_a_body(n: u64) -> u64 {
        tokio::task::yield_now().await;
        n + 1
    }

    scenario("hygiene").run(async |world| {
        let job = Pipeline::from_iter([10u64])
            .stage(bare::Plain)
            .stage(bare::Fallible::new(1))
            .stage(bare::Made::new(1, 0))
            .stage(bare::Generic::<u64>::new())
            .stage(bare::Block { offset: 0 })
            .stage(taken::Double)
            .stage(taken::Halve::new(Vec::new(), 2))
            .stage(reexported::Through::new(0))
            .stage(AddOne::new(1))
            .stage(AddTwo::new(1))
            .stage(InABody)
            .collect();
        assert_eq!(world.flow().run(job).await.unwrap().value, [20]);
        let texts = Pipeline::from_iter(["abc".to_owned()]);
        let job = texts.stage(Public::new(1, 2, &[])).collect();
        assert_eq!(world.flow().run(job).await.unwrap().value, [3]);
    });
    assert_eq!(
        format!("{:?} {:?}", AddOne::new(1), bare::Plain),
        "AddOne Plain"
    );
}
