//! Commands: committed in groups, each answered for itself, once per idempotency key.

use engine::{IdempotencyKey, Rejected};
use futures::future::join_all;

use crate::{
    account::{Input, Order, Statement, Twist},
    laws,
    rig::{Rig, book, cause, twisted},
    running::Running,
};

fn key(key: &str, fingerprint: &[u8]) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { key: key.into(), fingerprint: fingerprint.into() })
}

async fn under(
    engine: &Running,
    order: Order,
    key: Option<IdempotencyKey>,
) -> Result<Statement, Rejected<crate::account::Insufficient>> {
    engine.commands.submit(Input::Command(order), cause(), key).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_commands_share_a_few_transactions() {
    let rig = Rig::new().await;
    let engine = rig.start();

    let answers = join_all((0..400).map(|it| engine.command(book(format!("a-{}", it % 40), 1)))).await;

    assert!(answers.iter().all(Result::is_ok));
    // The first goes alone, and what came meanwhile goes together.
    let transactions = rig.count("select count(distinct xmin::text) from journal").await;
    assert!((1..=20).contains(&transactions), "{transactions} transactions for 400 commands");
    rig.drained().await;
    laws::hold(&rig, &[]).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_command_fails_alone() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let bad = [
        twisted("bad", 1, Twist::Impossible),
        twisted("bad", 1, Twist::PanicInDecide),
        twisted("bad", 1, Twist::PanicInEvolve),
        twisted("bad", 1, Twist::Oversized),
        // Neither the decider nor anybody else looks at it before Postgres does.
        book("bad\0", 1),
    ];
    let orders: Vec<Order> = (0..100).map(|it| bad.get(it).cloned().unwrap_or(book("good", 1))).collect();
    // They queue up behind this one, and so share a transaction.
    let held = rig.hold("lock table journal in share mode").await;
    let (first, answers, ()) = tokio::join!(
        engine.command(book("first", 1)),
        join_all(orders.into_iter().map(|it| engine.command(it))),
        async {
            rig.blocked("engine").await;
            held.rollback().await.unwrap();
        }
    );

    first.unwrap();
    for (index, answer) in answers.iter().enumerate() {
        match index {
            0..5 => assert!(matches!(answer, Err(Rejected::Failed(_))), "{index}: {answer:?}"),
            _ => assert!(answer.is_ok(), "{index}: {answer:?}"),
        }
    }
    rig.drained().await;
    laws::hold(&rig, &[]).await.unwrap();
    assert_eq!(rig.journal().await.len(), 96);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_under_one_key_are_one_and_are_answered_alike() {
    let rig = Rig::new().await;
    let (one, two) = (rig.start(), rig.start());

    let both = |it| if it % 2 == 0 { &one } else { &two };
    let answers = join_all((0..50).map(|it| under(both(it), book("a", 5), key("pay:1", b"5")))).await;

    for answer in answers {
        assert_eq!(answer.unwrap(), Statement { balance: 5, sequence: 1 });
    }
    assert_eq!(rig.journal().await.len(), 1);
    let later = under(&one, book("a", 5), key("pay:1", b"5")).await.unwrap();
    assert_eq!(later, Statement { balance: 5, sequence: 1 });
    one.stop().await;
    two.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_for_one_request_and_a_failed_attempt_does_not_use_it_up() {
    let rig = Rig::new().await;
    let engine = rig.start();

    let refused = under(&engine, book("a", -5), key("pay:1", b"5")).await;
    assert!(matches!(refused, Err(Rejected::Refused(_))), "{refused:?}");
    let failed = under(&engine, twisted("a", 5, Twist::PanicInEvolve), key("pay:1", b"5")).await;
    assert!(matches!(failed, Err(Rejected::Failed(_))), "{failed:?}");
    under(&engine, book("a", 5), key("pay:1", b"5")).await.unwrap();
    let other = under(&engine, book("a", 6), key("pay:1", b"6")).await;

    assert!(matches!(other, Err(Rejected::KeyReused)), "{other:?}");
    assert_eq!(rig.journal().await.len(), 1);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_at_once_and_takes_commands_again_later() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let held = rig.hold("lock table journal in share mode").await;
    let (first, answers) = tokio::join!(engine.command(book("first", 1)), async {
        rig.blocked("engine").await;
        let many = join_all((0..2_100).map(|it| engine.command(book(format!("a-{}", it % 9), 1))));
        tokio::join!(many, async { held.rollback().await.unwrap() }).0
    });

    first.unwrap();
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(refused.iter().all(|it| matches!(it, Err(Rejected::Overloaded))), "{:?}", refused.first());
    assert!(!refused.is_empty());
    assert_eq!(rig.journal().await.len(), done.len() + 1);
    engine.command(book("last", 1)).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_account_is_held_by_somebody_fails_alone_and_soon() {
    let rig = Rig::new().await;
    let engine = rig.start();
    engine.command(book("held", 1)).await.unwrap();
    let held = rig.hold("select from account where account_id = 'held' for update").await;

    let stuck = engine.command(book("held", 1));
    let others = futures::future::join_all((0..200).map(|it| engine.command(book(format!("free-{it}"), 1))));
    let (stuck, others) = tokio::join!(stuck, others);

    assert!(matches!(stuck, Err(Rejected::Busy)), "{stuck:?}");
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    held.rollback().await.unwrap();
    assert_eq!(engine.command(book("held", 1)).await.unwrap().balance, 2);
    engine.stop().await;
    rig.close().await;
}
