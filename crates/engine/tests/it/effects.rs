//! Calls to the outside: written down before they are made, made again until answered, answered once.

use std::{collections::BTreeSet, time::Duration};

use testkit::eventually;
use uuid::Uuid;

use crate::{
    account::Twist,
    laws,
    rig::{Rig, SOON, book, twisted},
    teller::Mood,
};

impl Rig {
    /// Waits until the outside was called so often.
    #[track_caller]
    fn calls_of(&self, count: usize) -> impl Future<Output = Vec<(Uuid, String)>> {
        eventually(SOON, "the outside is called", async move || {
            let calls = self.teller.calls();
            if calls.len() >= count { Ok(calls) } else { Err(format!("{} of {count}", calls.len())) }
        })
    }

    /// Lets the leases of calls run out, as if their process had been gone for long.
    async fn forget_leases(&self) {
        sqlx::query("update engine.effect set due_at = clock_timestamp()").execute(&self.pool).await.unwrap();
    }
}

fn distinct(calls: &[(Uuid, String)]) -> usize {
    calls.iter().map(|it| it.0).collect::<BTreeSet<_>>().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_performed_and_its_answer_applied_once() {
    let rig = Rig::new().await;
    let engines = [rig.start(), rig.start()];
    let orders: Vec<_> = (0..150).map(|it| twisted(format!("a-{}", it % 30), 1, Twist::Ask)).collect();
    let sent = rig.send(&orders).await;

    rig.journal_of(300).await;

    let calls = rig.teller.calls();
    assert_eq!((calls.len(), distinct(&calls)), (150, 150));
    assert_eq!(rig.count("select count(*) from engine.effect").await, 0);
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    for engine in engines {
        engine.stop().await;
    }
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_one_is_asked_again_under_its_id() {
    let rig = Rig::new().await;
    rig.teller.set(Mood::Unanswered);
    let engine = rig.start();
    rig.send(&[twisted("a", 1, Twist::Ask)]).await;
    rig.calls_of(2).await;
    assert_eq!(rig.journal().await.len(), 1, "an unknown outcome was assumed");

    rig.teller.set(Mood::Answers);
    rig.journal_of(2).await;

    let calls = rig.teller.calls();
    assert!(calls.len() >= 3);
    assert_eq!(distinct(&calls), 1);
    assert_eq!(rig.count("select count(*) from engine.effect").await, 0);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_the_call_and_its_answer_costs_a_call_and_no_answer() {
    let rig = Rig::new().await;
    rig.teller.set(Mood::Hangs);
    let engine = rig.start();
    rig.send(&[twisted("a", 1, Twist::Ask)]).await;
    rig.calls_of(1).await;
    engine.crash().await;
    assert_eq!(rig.count("select count(*) from engine.effect").await, 1);
    rig.forget_leases().await;

    rig.teller.set(Mood::Answers);
    let engine = rig.start();
    rig.journal_of(2).await;

    let calls = rig.teller.calls();
    assert_eq!((calls.len(), distinct(&calls)), (2, 1));
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_answers_to_one_question_have_one_effect() {
    let rig = Rig::new().await;
    let engines = [rig.engine("one").run(|_| true), rig.engine("two").run(|_| true)];
    rig.send(&[twisted("a", 1, Twist::Ask)]).await;
    rig.journal_of(2).await;
    rig.teller.set(Mood::Unanswered);
    rig.send(&[twisted("a", 1, Twist::Ask)]).await;
    rig.calls_of(2).await;
    // The answers to the second question wait for the account, and so meet.
    let held = rig.hold("select from account where account_id = 'a' for update").await;
    rig.teller.set(Mood::Answers);
    for wanted in [3, 4] {
        rig.forget_leases().await;
        rig.calls_of(wanted).await;
    }
    held.rollback().await.unwrap();

    rig.journal_of(4).await;
    rig.send(&[book("a", 1)]).await;
    rig.journal_of(5).await;

    let kinds: Vec<String> = rig.journal().await.into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds.iter().filter(|it| *it == "Answered").count(), 2, "{kinds:?}");
    for engine in engines {
        engine.stop().await;
    }
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_applied_is_not_lost() {
    let rig = Rig::new().await;
    rig.teller.set(Mood::Nonsense);
    let engine = rig.start();
    rig.send(&[twisted("a", 1, Twist::Ask), twisted("b", 1, Twist::Ask)]).await;
    rig.calls_of(4).await;

    assert_eq!(rig.count("select count(*) from engine.effect").await, 2);
    let seen = eventually(SOON, "what is wrong is written beside the call", async || {
        match rig.count("select count(*) from engine.effect where error like '%nobody asked%'").await {
            0 => Err("no error yet"),
            count => Ok(count),
        }
    });
    assert!(seen.await > 0);
    rig.teller.set(Mood::Answers);
    rig.journal_of(4).await;
    assert_eq!(rig.count("select count(*) from engine.effect").await, 0);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_breaker_spares_an_outside_that_is_down_and_closes_again() {
    let rig = Rig::new().await;
    rig.teller.set(Mood::Unanswered);
    let engine = rig.start();
    let orders: Vec<_> = (0..200).map(|it| twisted(format!("a-{it}"), 1, Twist::Ask)).collect();
    let sent = rig.send(&orders).await;

    eventually(SOON, "the breaker opens", async || {
        let spared = "select count(*) from engine.effect where error like '%circuit breaker is open%'";
        match rig.count(spared).await {
            0 => Err("it is closed"),
            _ => Ok(()),
        }
    })
    .await;
    rig.teller.set(Mood::Answers);

    eventually(Duration::from_secs(60), "all are answered", async || {
        match rig.count("select count(*) from engine.effect").await {
            0 => Ok(()),
            left => Err(format!("{left} left")),
        }
    })
    .await;
    assert_eq!(distinct(&rig.teller.calls()), 200);
    assert_eq!(rig.journal().await.len(), 400);
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

/// Thousands of calls that nobody makes, until leases of half a minute are over, are a stall of half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_process_has_place_for_are_due_at_once() {
    let rig = Rig::new().await;
    rig.teller.set(Mood::Hangs);
    let engine = rig.start();
    let orders: Vec<_> = (0..5_000).map(|it| twisted(format!("a-{}", it % 30), 1, Twist::Ask)).collect();
    rig.send(&orders).await;
    rig.journal_of(orders.len()).await;

    let leased =
        rig.count("select count(*) from engine.effect where due_at > created_at + interval '10 s'").await;

    // 4,096 wait in the process, 128 are under way, and 128 may be found and wait for those.
    assert!((4_096..=4_352).contains(&leased), "{leased} of 5000 are leased");
    engine.stop().await;
    rig.close().await;
}
