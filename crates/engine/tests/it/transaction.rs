//! One transaction for the inbox, the state and the outbox: all of it or nothing.

use crate::{
    laws,
    rig::{Rig, book},
};

/// Where a batch can be stopped: a lock, and what the batch has written before it meets that lock. The rows of the last
/// statement are written in an order of Postgres' own.
const STOPS: [(&str, &str); 3] = [
    ("insert into account values ('b', 0, 0, false)", "the inbox and whatever else before the accounts"),
    (
        "insert into journal
         select gen_random_uuid(), account_id, sequence + 1, gen_random_uuid(), gen_random_uuid(), 'Booked', 0
         from account where account_id = 'locked'",
        "the inbox and whatever else before the journal",
    ),
    ("select from account where account_id = 'locked' for update", "the inbox"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_backend_dies_leaves_nothing_and_is_applied_afterwards() {
    let rig = Rig::new().await;
    let engine = rig.engine("victim").run(|it| it != "relay");
    let mut sent = rig.send(&[book("locked", 1)]).await;
    rig.journal_of(1).await;
    for (lock, written) in STOPS {
        let before = rig.journal().await.len();
        let held = rig.hold(lock).await;
        sent.extend(rig.send(&[book("locked", 1), book("a", 1), book("b", 1)]).await);

        let pid = rig.blocked("victim").await;
        rig.terminate(pid).await;

        let inbox = rig.count("select count(*) from engine.inbox").await;
        assert_eq!(inbox, rig.journal().await.len() as i64, "after {written} were written");
        held.rollback().await.unwrap();
        rig.journal_of(before + 3).await;
    }
    assert_eq!(atoms(&rig).await, sent.len() as i64);
    laws::effects_once(&sent, &rig.journal().await).unwrap();
    assert_eq!(rig.letters().await.len(), 0);
    engine.stop().await;
    rig.close().await;
}

/// How many inputs have their inbox row, their journal line and their outbox row from one transaction.
async fn atoms(rig: &Rig) -> i64 {
    rig.count(
        "select count(*) from journal j
         join engine.inbox i on i.event_id = j.cause_id
         join engine.outbox o on o.event_id = j.event_id
         where j.xmin = i.xmin and j.xmin = o.xmin",
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_two_batches_create_at_once_is_decided_anew() {
    let rig = Rig::new().await;
    let engine = rig.engine("twin").with(|it| it.workers = 2).run(|_| true);
    // The lock keeps both from committing, so that neither sees the other's row.
    let held = rig.hold("lock table engine.outbox in share mode").await;
    let orders: Vec<_> = (0..30).map(|it| book("young", it)).collect();
    let command = engine.command(book("young", 1));
    let (sent, answered, ()) = tokio::join!(rig.send(&orders), command, async {
        rig.blocked("twin").await;
        held.rollback().await.unwrap();
    });

    answered.unwrap();
    rig.journal_of(31).await;
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    assert_eq!(rig.letters().await.len(), 0);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_locked_for_long_delays_a_batch_and_poisons_nothing() {
    let rig = Rig::new().await;
    let patience = [("lock_timeout", "20ms")];
    let engine =
        rig.engine("patient").with(|it| it.options = it.options.clone().options(patience)).run(|_| true);
    let mut sent = rig.send(&[book("locked", 1)]).await;
    rig.journal_of(1).await;
    let held = rig.hold("select from account where account_id = 'locked' for update").await;

    sent.extend(rig.send(&[book("locked", 1), book("locked", 2), book("a", 1)]).await);
    // More attempts than a conflict is given: it has begun anew.
    rig.rollbacks(10).await;
    held.rollback().await.unwrap();

    rig.journal_of(4).await;
    assert_eq!(rig.letters().await.len(), 0);
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}
