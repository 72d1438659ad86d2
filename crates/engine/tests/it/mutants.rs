//! Engines with a defence taken out: the checks that healthy engines pass have to see the difference.

use engine::{Mutant, Redriven, Which};
use uuid::Uuid;

use crate::{
    laws::{self, Violation},
    redrive::{cure, parked},
    relay::{late_commit, refused, write_outbox},
    rig::{Rig, book},
};

/// Every event is delivered twice.
async fn delivered_twice(mutant: Option<Mutant>) -> (Vec<Uuid>, Result<(), Violation>) {
    let rig = Rig::new().await;
    let engine = rig.engine("engine").mutant(mutant).run(|_| true);
    let orders: Vec<_> = (0..20).map(|it| (Uuid::now_v7(), book(format!("a-{it}"), 1))).collect();
    for _ in 0..2 {
        rig.send_as(&orders).await;
        rig.at_rest().await;
    }
    rig.drained().await;
    let sent: Vec<Uuid> = orders.into_iter().map(|it| it.0).collect();
    let verdict = laws::hold(&rig, &sent).await;
    engine.stop().await;
    rig.close().await;
    (sent, verdict)
}

/// A process dies in the middle of a batch, long after the client has committed what offsets it was given.
async fn dies_in_mid_batch(mutant: Option<Mutant>) -> (Vec<Uuid>, Result<(), Violation>) {
    let rig = Rig::new().await;
    let victim = rig.engine("victim").mutant(mutant).run(|_| true);
    let mut sent = rig.send(&[book("a", 1)]).await;
    rig.journal_of(1).await;
    let held = rig.hold("lock table journal in share mode").await;
    sent.extend(rig.send(&[book("a", 1)]).await);
    rig.blocked("victim").await;
    victim.crash().await;
    held.rollback().await.unwrap();

    let engine = rig.start();
    sent.extend(rig.send(&[book("a", 1)]).await);
    rig.at_rest().await;
    rig.drained().await;
    let verdict = laws::hold(&rig, &sent).await;
    engine.stop().await;
    rig.close().await;
    (sent, verdict)
}

/// One that reads the outbox stands still with the first row of each account, while two relays are at work.
async fn stands_still(mutant: Option<Mutant>) -> Result<(), Violation> {
    let rig = Rig::new().await;
    write_outbox(&rig, 1_000).await;
    let held = rig.hold("select from engine.outbox where sequence = 1 for update").await;
    let relays = ["one", "two"].map(|name| rig.engine(name).mutant(mutant).run(|it| it == "relay"));
    rig.published_of(if mutant.is_some() { 950 } else { 1 }).await;
    held.rollback().await.unwrap();
    rig.drained().await;
    let verdict = laws::hold(&rig, &[]).await;
    for relay in relays {
        relay.stop().await;
    }
    rig.close().await;
    verdict
}

/// A key whose poison is cured is run again.
async fn redriven(mutant: Option<Mutant>) -> (Vec<Uuid>, Result<(), Violation>) {
    let rig = Rig::new().await;
    let engine = rig.engine("engine").mutant(mutant).run(|_| true);
    let sent = parked(&rig, "ill", 5).await;
    rig.letters_of(6).await;
    cure(&rig).await;
    let redriven = engine.redrive(Which::All).await.unwrap();
    assert_eq!(redriven, Redriven { applied: 6, ..Redriven::default() });
    let verdict = laws::as_sent(&sent, &rig.journal().await);
    engine.stop().await;
    rig.close().await;
    (sent, verdict)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_inbox_a_duplicate_has_its_effect_twice() {
    let (healthy, mutant) = tokio::join!(delivered_twice(None), delivered_twice(Some(Mutant::NoInbox)));

    assert_eq!(healthy.1, Ok(()));
    assert_eq!(mutant.1, Err(Violation::AppliedTwice { cause: mutant.0[0], times: 2 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_offsets_stored_before_the_commit_a_crash_loses_the_batch() {
    let before_commit = Some(Mutant::OffsetBeforeCommit);
    let (healthy, mutant) = tokio::join!(dies_in_mid_batch(None), dies_in_mid_batch(before_commit));

    assert_eq!(healthy.1, Ok(()));
    assert_eq!(mutant.1, Err(Violation::Lost { cause: mutant.0[1] }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_reads_on_from_the_last_id_skips_a_late_commit() {
    let (healthy, mutant) = (Rig::new().await, Rig::new().await);

    let verdicts =
        tokio::join!(late_commit(&healthy, None), late_commit(&mutant, Some(Mutant::LastSeenRelay)));

    assert_eq!(verdicts.0, Ok(()));
    assert_eq!(verdicts.1, Err(Violation::NotPublished { account: "late".into(), sequence: 1 }));
    healthy.close().await;
    mutant.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_relays_publishes_later_rows_of_a_key_first() {
    let (healthy, mutant) = tokio::join!(stands_still(None), stands_still(Some(Mutant::SkipLockedPool)));

    assert_eq!(healthy, Ok(()));
    assert!(matches!(mutant, Err(Violation::OutOfOrder { expected: 1, .. })), "{mutant:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_goes_on_behind_a_refused_row_publishes_later_ones_of_its_key() {
    let (healthy, mutant) = (Rig::new().await, Rig::new().await);

    let verdicts = tokio::join!(refused(&healthy, None), refused(&mutant, Some(Mutant::PastFailedDelivery)));

    assert_eq!(verdicts.0, Ok(()));
    assert_eq!(verdicts.1, Err(Violation::OutOfOrder { account: "ill".into(), expected: 1, found: 2 }));
    healthy.close().await;
    mutant.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_in_the_reverse_order_lets_later_events_overtake() {
    let (healthy, mutant) = tokio::join!(redriven(None), redriven(Some(Mutant::RedriveOutOfOrder)));

    assert_eq!(healthy.1, Ok(()));
    assert_eq!(mutant.1, Err(Violation::Overtaken { cause: mutant.0[5] }));
}
