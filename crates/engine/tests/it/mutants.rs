//! Engines with a defence taken out: the checks that healthy engines pass have to see the difference.

use engine::Mutant;
use uuid::Uuid;

use crate::{
    laws::{self, Violation},
    relay::late_commit,
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
