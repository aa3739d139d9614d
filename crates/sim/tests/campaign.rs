//! The part of a campaign that every change goes through: any mixture of faults, and everything that
//! must be reached is.

use std::time::Duration;

use atoll_sim::Options;
use atoll_sim::campaign::{campaign, missing};

#[test]
fn a_hundred_and_twenty_seeds_of_a_minute_hold() {
    let totals = campaign(1..121, None, 2, &Options::default(), |_| {});
    assert!(totals.failures.is_empty(), "{:#?}", totals.failures);
    assert_eq!(totals.runs, 120);
    assert!(totals.simulated > Duration::from_secs(120 * 60));
    assert_eq!(missing(&totals), Vec::<&str>::new(), "{totals:#?}");
}
