//! Real processes, killed with -9 under load.

use load::{Load, Mix, PLAIN, Pace};
use saga_tests::Processes;
use testkit::eventually;

use crate::{PATIENCE, all_have_ended, setting};

/// The order service (with its relay) and the payment service (a consumer that calls the provider) are killed
/// in mid-flow and started again: every accepted order ends, and the books agree. More by `ORDERS=2000`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_lose_and_double_nothing() {
    let mut suite = Processes::start().await;
    let orders = setting("ORDERS", 300);
    let mix =
        Mix { tokens: &[("pm_card_visa", 900), ("pm_card_chargeDeclined", 100)], shortages: 200, ..PLAIN };
    mix.stock(&suite.target(), orders).await.expect("stock");

    let load = Load::begin(&suite.target(), mix, Pace::Clients(16), orders).expect("a load");
    for (part, service) in [(8, "order"), (4, "payment"), (2, "inventory")] {
        eventually(PATIENCE, "orders come in", async || match load.accepted() {
            count if count >= orders / part => Ok(()),
            count => Err(format!("{count} accepted")),
        })
        .await;
        suite.kill(service).await;
        suite.restart(service);
    }
    let tally = load.done().await;

    eprintln!("killed: {tally}");
    assert_eq!(tally.accepted.len(), orders);
    all_have_ended(&suite, &tally, 4 * PATIENCE).await;
    suite.finish().await;
}
