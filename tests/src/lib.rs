//! The fixture of the scenario tests: what every scenario runs in and is measured by.
//!
//! A test names its scenario, says on which runtimes it runs, and writes the story once:
//!
//! ```
//! use pipeline_core::prelude::*;
//! use tests::prelude::*;
//!
//! scenario("all items arrive").on(ALL).in_both_orders().run(async |world| {
//!     let flow = world.flow();
//!     let job = Pipeline::from_iter(flow.items(0..100))
//!         .stage(flow.body(4, |item| async move { Ok(item) }))
//!         .parallelism(4)
//!         .in_order(world.order())
//!         .for_each(flow.receive());
//!     flow.run(job).await.unwrap();
//!     flow.expect(0..100);
//! });
//! ```
//!
//! After the story the fixture makes the standing checks by itself:
//!
//! | check | what | kept by |
//! | --- | --- | --- |
//! | K1 conservation | taken = delivered + failed + filtered + cancelled, and as the test saw it | [`flow`] |
//! | K2 drop balance | items, outputs, errors and worker states made = dropped | [`tally`] |
//! | K3 tasks | as many tasks alive as before, within 1 s | [`run`] |
//! | K4 limits | bodies at once <= parallelism, items inside <= `Plan::max_inside` | [`gauge`], [`flow`] |
//! | K5 no hang | over within a minute of real time | [`run`] |
//! | K6 silence | nothing of the user's is called once the end has been promised | [`flow`] |
//! | K7 no output | nothing on stdout and stderr | the program `quiet` and its test |

pub mod alloc;
pub mod body;
pub mod ends;
pub mod flow;
pub mod gate;
pub mod gauge;
pub mod live;
pub mod model;
pub mod must_use;
pub mod prelude;
pub mod random;
pub mod results;
pub mod run;
pub mod tally;
pub mod ticket;
pub mod time;
pub mod tries;
