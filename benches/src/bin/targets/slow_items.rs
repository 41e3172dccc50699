//! One slow item in a hundred: whether the others wait behind it.

use super::line::cost;
use benches::measure::Effort;
use benches::measure::race::Race;
use benches::one_stage::OneStage;
use benches::options::Options;
use benches::ours::Ours;
use benches::peers::idioms::Buffered;
use benches::table::{Goal, Line};
use benches::tally::Wrong;
use benches::work::Delays;

const ITEMS: u64 = 5000;

/// Ordered against unordered. The figures are times for all items.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let delays = Delays::rarely_slow(ITEMS as usize);
    let narrow = OneStage {
        options: Options::parallelism(64),
        function: move |index| delays.nap(index),
    };
    let wide = OneStage {
        options: narrow.options.window(4096),
        function: narrow.function.clone(),
    };
    let any_order = OneStage {
        options: wide.options.unordered(),
        function: narrow.function.clone(),
    };

    let mut race = Race::new();
    let ordered = race.enter_fixed("ours", ITEMS, wide.by::<Ours>());
    let unordered = race.enter_fixed("ours, unordered", ITEMS, any_order.by::<Ours>());
    let default = race.enter_fixed("ours, default window", ITEMS, narrow.by::<Ours>());
    let buffered = race.enter_fixed("futures buffered", ITEMS, narrow.by::<Buffered>());
    let rounds = race.run(effort.long_rounds)?;

    let name = "1 % of 100 ms, else 1 ms, P 64, window 4096";
    Ok(vec![
        cost(name, &rounds, ordered, unordered, Goal::AtMost(1.05)),
        cost(
            "the same, default window",
            &rounds,
            default,
            unordered,
            Goal::None,
        ),
        cost(name, &rounds, ordered, buffered, Goal::None),
    ])
}
