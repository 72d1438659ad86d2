//! Scenarios over the whole suite.

mod allocations;
mod audit;
mod cost;
mod crashes;
mod dead_letters;
mod dependencies;
mod exits;
mod faults;
mod instructions;
mod load;
mod model;
mod outages;
mod processes;
mod pure;
mod repair;
mod rolling;
mod scenarios;
mod simulation;

use std::{collections::BTreeSet, time::Duration};

use ::load::Tally;
use saga_tests::Processes;
pub(crate) use saga_tests::suite::PATIENCE;
use testkit::eventually;
use uuid::Uuid;

/// How much of a scenario there is: small unless the environment asks for more.
pub(crate) fn setting(name: &str, usual: usize) -> usize {
    match std::env::var(name) {
        Ok(given) => given.parse().unwrap_or_else(|_| panic!("{name}={given} is not a number")),
        Err(_) => usual,
    }
}

/// Waits until all orders have ended, and asserts that they are those which were accepted.
pub(crate) async fn all_have_ended(suite: &Processes, tally: &Tally, within: Duration) {
    assert!(tally.given_up.is_empty(), "given up: {:?}", tally.given_up);
    eventually(within, "all orders end", async || {
        match suite.count("order", "order_view where status not in ('delivered', 'cancelled')").await {
            0 => Ok(()),
            left => Err(format!("{left} are under way")),
        }
    })
    .await;
    let there = sqlx::query_scalar("select order_id from order_view").fetch_all(&suite.pools["order"]).await;
    let there: BTreeSet<Uuid> = there.expect("orders").into_iter().collect();
    let accepted: BTreeSet<Uuid> = tally.accepted.iter().map(|it| it.id).collect();
    assert_eq!(accepted.len(), tally.accepted.len(), "no two requests have got one order");
    assert!(tally.others.is_empty(), "placed twice: {:?}", tally.others);
    let difference: Vec<_> = there.symmetric_difference(&accepted).collect();
    assert!(difference.is_empty(), "accepted or there, and not both: {difference:?}");
}
