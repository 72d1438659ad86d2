//! The service with a defence taken out, in a process that was started with the defect.

use engine::Mutant;
use testkit::run_again;

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_idempotency_key_a_lost_answer_is_charged_twice() {
    let rig = Rig::start().await;
    let order = rig.placed("pm_card_cutConnection").await;
    rig.reaches(&order, "authorized").await;

    let ledger = rig.ledger(&order).await;

    rig.clear_away().await;
    if Mutant::NoIdempotencyKey.is_on() {
        return assert_eq!(ledger, ["authorize 3998 usd"; 2]);
    }
    assert_eq!(ledger, ["authorize 3998 usd"]);
    let this = "mutants::without_an_idempotency_key_a_lost_answer_is_charged_twice";
    run_again(this, "WAYBILL_MUTANT", "no-idempotency-key");
}
