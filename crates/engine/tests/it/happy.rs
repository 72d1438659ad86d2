//! The way things go when nothing goes wrong.

use crate::{
    account::{Insufficient, Statement},
    laws,
    rig::{Rig, book},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_applied_once_and_what_follows_is_published_in_order() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let orders: Vec<_> = (0..300).map(|it| book(format!("a-{}", it % 20), 10 + it)).collect();

    let sent = rig.send(&orders).await;

    rig.journal_of(300).await;
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_answered_from_the_state_after_it_and_a_refusal_changes_nothing() {
    let rig = Rig::new().await;
    let engine = rig.start();

    let paid_in = engine.command(book("a", 100)).await.unwrap();
    let refused = engine.command(book("a", -101)).await.unwrap_err();
    let paid_out = engine.command(book("a", -100)).await.unwrap();

    assert_eq!(paid_in, Statement { balance: 100, sequence: 1 });
    assert!(matches!(refused, engine::Rejected::Refused(Insufficient { balance: 100 })), "{refused:?}");
    assert_eq!(paid_out, Statement { balance: 0, sequence: 2 });
    rig.drained().await;
    laws::hold(&rig, &[]).await.unwrap();
    engine.stop().await;
    rig.close().await;
}
