//! The service with a defence taken out, in a process that was started with the defect.

use engine::Mutant;
use testkit::{eventually, run_again};

use crate::rig::{Rig, SOON};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_idempotency_key_a_lost_answer_is_charged_twice() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_cutConnection").await;
    if Mutant::NoIdempotencyKey.is_on() {
        // A connection is cut once for each key, and so every time.
        eventually(SOON, "it is charged twice", async || match rig.ledger(&order).await.as_slice() {
            [first, second, ..] => Ok([first, second].map(|it| assert_eq!(it, "authorize 3998 usd"))),
            fewer => Err(format!("{fewer:?}")),
        })
        .await;
        return rig.clear_away().await;
    }
    rig.reaches(&order, "authorized").await;
    assert_eq!(rig.ledger(&order).await, ["authorize 3998 usd"]);
    rig.finish().await;
    let this = "mutants::without_an_idempotency_key_a_lost_answer_is_charged_twice";
    run_again(this, "WAYBILL_MUTANT", "no-idempotency-key");
}
