//! Partitions move while work on them is under way.

use std::time::Duration;

use sqlx::{Postgres, Transaction};
use testkit::eventually;
use uuid::Uuid;

use crate::{
    account::Order,
    laws,
    rig::{Rig, SOON, book},
};

fn orders() -> Vec<Order> {
    (0..90).map(|it| book(format!("a-{}", it % 30), 1)).collect()
}

/// Lets the engine of that name apply the orders once, and stops it by row locks in the middle of them once more: all
/// that was sent, the locks, and the backend that waits for them.
async fn stalled(rig: &Rig, name: &str) -> (Vec<Uuid>, Transaction<'static, Postgres>, i32) {
    let mut sent = rig.send(&orders()).await;
    rig.journal_of(90).await;
    rig.at_rest().await;
    let held = rig.hold("select from account for update").await;
    sent.extend(rig.send(&orders()).await);
    (sent, held, rig.blocked(name).await)
}

/// One member is stopped by a row lock in the middle of a batch, another one joins and gets the same records.
async fn zombie(die: bool) {
    let rig = Rig::new().await;
    let zombie = rig.engine("zombie").run(|it| it != "relay");
    let (mut sent, held, stalled) = stalled(&rig, "zombie").await;

    // Another member of the group: it waits for the first one's transaction in the inbox, which shows that
    // it has read records that the first one is still at work on.
    let heir = rig.engine("heir").run(|_| true);
    rig.blocked("heir").await;
    if die {
        rig.terminate(stalled).await;
    }
    held.rollback().await.unwrap();

    rig.journal_of(180).await;
    sent.extend(rig.send(&orders()).await);
    rig.journal_of(270).await;
    rig.at_rest().await;
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    assert_eq!(rig.letters().await.len(), 0);
    zombie.stop().await;
    heir.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_outlives_its_assignment_has_its_effect_once() {
    zombie(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_after_its_partitions_moved_is_the_new_owners() {
    zombie(true).await;
}

/// A member whose place another one of its name takes. What it has claimed is the other's to apply, who waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_fenced_lets_go_of_what_it_has_locked() {
    let rig = Rig::new().await;
    // Of itself it would wait for the row for ever, and its backend knows soon when it is alone.
    let patient =
        [("lock_timeout", "0"), ("statement_timeout", "0"), ("client_connection_check_interval", "200ms")];
    let fenced = rig.engine("fenced").with(|it| {
        it.instance_id = Some("one".to_owned());
        it.options = it.options.clone().options(patient);
    });
    let fenced = fenced.attempt(Duration::from_secs(3_600)).run(|_| true);
    let (sent, held, stalled) = stalled(&rig, "fenced").await;

    let mut twin = rig.bus.consumer(&rig.group(), &[rig.reads()], Some("one-0")).unwrap();
    tokio::select! {
        () = rig.gone(stalled) => {}
        // Until it is fenced in its turn.
        _ = async { while twin.poll(1, Duration::ZERO).await.is_ok() {} } => rig.gone(stalled).await,
    }
    twin.close().await;
    held.rollback().await.unwrap();

    rig.journal_of(180).await;
    rig.at_rest().await;
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    fenced.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go_under_load_and_nothing_is_lost_or_doubled() {
    let rig = Rig::new().await;
    let stays = rig.engine("stays").with(|it| it.batch_size = 50).run(|_| true);
    let mut sent = Vec::new();
    for round in 0..3 {
        let guest = rig.engine("guest").with(|it| it.batch_size = 20).run(|it| it != "relay");
        for _ in 0..10 {
            let orders: Vec<_> = (0..100).map(|it| book(format!("a-{}", it % 40), 1)).collect();
            sent.extend(rig.send(&orders).await);
        }
        let so_far = sent.len();
        eventually(SOON, "half of them are applied", async || {
            let count = rig.count("select count(*) from journal").await as usize;
            if count >= so_far / 2 { Ok(()) } else { Err(format!("{count} of {so_far}")) }
        })
        .await;
        // One leaves as it should, the others are gone in the middle of what they do.
        if round == 0 { guest.stop().await } else { guest.crash().await }
    }

    rig.journal_of(sent.len()).await;
    rig.at_rest().await;
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    stays.stop().await;
    rig.close().await;
}
