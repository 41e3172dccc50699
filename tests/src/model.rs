//! Whole runs drawn by lot, against a reference that is simple enough to be right.
//!
//! A [`Case`] says what each item does at each attempt in each step, so what becomes of an item is known
//! before the run: [`Case::fate`]. When a run is over, what was seen has to agree with it as far as
//! the run came; and whatever happened, no item is lost, none comes twice, and all that was made is dropped.
//!
//! | module | job |
//! | --- | --- |
//! | [`case`] | what a case says |
//! | [`lots`] | draws a case by lot |
//! | [`reference`](mod@reference) | what is to become of each item |
//! | [`parcel`] | what flows |
//! | [`book`] | writes down what happens, and strikes when it is time |
//! | [`steps`], [`ends`] | the case as user code |
//! | [`play`] | a run of it |
//! | [`judge`] | whether the run was right |
//! | [`shrink`] | the smallest case that still fails |
//! | [`seen`] | what was injected, for the sums |

pub mod book;
pub mod case;
pub mod ends;
pub mod judge;
pub mod lots;
pub mod parcel;
pub mod play;
pub mod reference;
pub mod seen;
pub mod shrink;
pub mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

pub use self::case::Case;
pub use self::lots::Size;
pub use self::seen::Seen;
use crate::run::scenario;
use crate::time::ms;

/// Plays a case and judges it.
///
/// # Errors
///
/// What was wrong with it.
pub fn check(case: &Case) -> Result<Seen, String> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (into, case) = (Arc::clone(&seen), Arc::new(case.clone()));
    let limit = if case.items > 1_000 {
        ms(60_000)
    } else {
        ms(10_000)
    };
    let scenario = scenario("model").on(&[case.machine]).within(limit);
    let story = async move |world| {
        let seen = play::play(&case, &world).await;
        *into.lock().expect("no panic under this lock") = seen;
    };
    let played = catch_unwind(AssertUnwindSafe(|| scenario.attempt(story)));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        Err(format!(
            "a panic came through to the owner: {}",
            text.unwrap_or("(printed above)")
        ))
    })?;
    let seen = std::mem::take(&mut *seen.lock().expect("no panic under this lock"));
    Ok(seen)
}
