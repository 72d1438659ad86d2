//! An outside that is down for a while, or slow: nobody is forgotten, nobody is punished for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sqlx::Row;
use testkit::eventually;
use uuid::Uuid;

use crate::{
    account::Twist,
    laws,
    rig::{Rig, SOON, twisted},
    teller::Mood,
};

/// Longer than the longest pause between two calls.
const BACK: Duration = Duration::from_secs(60);

impl Rig {
    async fn ask(&self, count: usize) -> Vec<Uuid> {
        let orders: Vec<_> = (0..count).map(|it| twisted(format!("a-{it}"), 1, Twist::Ask)).collect();
        self.send(&orders).await
    }

    #[track_caller]
    fn answered(&self) -> impl Future<Output = ()> {
        eventually(BACK, "all calls are answered", async || {
            match self.count("select count(*) from engine.effect").await {
                0 => Ok(()),
                left => Err(format!("{left} left")),
            }
        })
    }

    /// Waits until the outside was called so often.
    #[track_caller]
    fn called(&self, count: usize) -> impl Future<Output = ()> {
        eventually(SOON, "the outside is called", async move || match self.teller.calls().len() {
            calls if calls >= count => Ok(()),
            calls => Err(format!("{calls} of {count}")),
        })
    }

    /// Calls that were decided long ago by a process that is gone.
    async fn leave_behind(&self, count: i32) {
        let sql = "with asked as (select 'old-' || n as account, uuidv7() as event_id from generate_series(1, $1) n),
                known as (insert into account select account, 0, 1, false from asked),
                told as (insert into journal select event_id, account, 1, uuidv7(), uuidv7(), 'Asked', 0 from asked)
            insert into engine.effect (effect_id, key, request, due_at, correlation_id)
            select uuidv7(), account, account, clock_timestamp() - interval '1 hour', uuidv7() from asked";
        sqlx::query(sql).bind(count).execute(&self.pool).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_made_soon_after_an_outage_and_only_calls_that_were_made_count_as_attempts() {
    let rig = Rig::new().await;
    rig.teller.set(Mood::Unanswered);
    let engine = rig.start();
    let sent = rig.ask(1_500).await;
    rig.journal_of(1_500).await;
    // So many that the breaker has closed and opened again in between.
    rig.called(200).await;

    let rows =
        sqlx::query("select effect_id, attempt from engine.effect").fetch_all(&rig.pool).await.unwrap();
    let mut made: BTreeMap<Uuid, i32> = BTreeMap::new();
    for (id, _) in rig.teller.calls() {
        *made.entry(id).or_default() += 1;
    }
    for row in rows {
        let (id, attempt): (Uuid, i32) = (row.get(0), row.get(1));
        assert!(attempt <= made.get(&id).copied().unwrap_or(0), "{attempt} attempts of {made:?} calls");
    }
    assert!(made.len() < 1_000, "the breaker has spared nobody");
    rig.teller.set(Mood::Answers);

    rig.answered().await;
    let calls = rig.teller.calls();
    assert_eq!(calls.iter().map(|it| it.0).collect::<BTreeSet<_>>().len(), 1_500);
    assert_eq!(rig.journal().await.len(), 3_000);
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_not_final_hold_nobody_else_back() {
    let rig = Rig::new().await;
    rig.teller.set(Mood::NotYet);
    let engine = rig.start();
    rig.ask(300).await;

    // More than the breaker looks at: were these failures, most would be spared.
    rig.called(300).await;

    let made: BTreeSet<Uuid> = rig.teller.calls().into_iter().map(|it| it.0).collect();
    assert_eq!(made.len(), 300);
    let spared = "select count(*) from engine.effect where error like 'not called%'";
    assert_eq!(rig.count(spared).await, 0);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_double_with_the_attempt_and_no_two_are_the_same() {
    let rig = Rig::new().await;
    let watch = "create table pause (attempt int not null, seconds float8 not null);
        create function note() returns trigger language plpgsql as $$ begin
            insert into pause values (new.attempt, extract(epoch from new.due_at - clock_timestamp())); return null;
        end $$;
        create trigger note after update on engine.effect for each row
            when (new.attempt > old.attempt) execute function note()";
    sqlx::raw_sql(watch).execute(&rig.pool).await.unwrap();
    rig.teller.set(Mood::Unanswered);
    let engine = rig.start();
    // Too few for the breaker, which would have its own say.
    rig.ask(15).await;

    eventually(SOON, "each was made three times", async || {
        match rig.count("select count(*) from pause where attempt = 3").await {
            15 => Ok(()),
            count => Err(format!("{count} of 15")),
        }
    })
    .await;

    for (attempt, pause) in [(1, 0.5), (2, 1.0), (3, 2.0)] {
        let rows = sqlx::query_scalar("select seconds from pause where attempt = $1").bind(attempt);
        let mut seen: Vec<f64> = rows.fetch_all(&rig.pool).await.unwrap();
        seen.sort_by(f64::total_cmp);
        // What the statement itself took is missing from it.
        assert!(seen.iter().all(|it| (pause * 0.5..pause * 1.26).contains(it)), "{attempt}: {seen:?}");
        assert!(seen[14] - seen[0] > pause * 0.1, "{attempt}: no jitter in {seen:?}");
    }
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_worked_off_and_each_call_is_made_once() {
    let rig = Rig::new().await;
    rig.leave_behind(10_000).await;
    let engine = rig.engine("engine").run(|it| it != "relay");

    rig.answered().await;

    assert_eq!(rig.teller.calls().len(), 10_000);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_calls_and_new_ones_are_made_in_turns() {
    let rig = Rig::new().await;
    rig.teller.set(Mood::Slow);
    rig.leave_behind(3_000).await;
    rig.ask(3_000).await;
    let engine = rig.engine("engine").run(|it| it != "relay");

    rig.called(6_000).await;

    let calls = rig.teller.calls();
    let last = |old: bool| calls.iter().rposition(|(_, request)| request.starts_with("old-") == old).unwrap();
    // Had the ones waited for the others, they would begin where those end.
    let first = |old: bool| calls.iter().position(|(_, request)| request.starts_with("old-") == old).unwrap();
    assert!(first(true) < last(false) / 2, "the old ones began at {} of {}", first(true), last(false));
    assert!(first(false) < last(true) / 2, "the new ones began at {} of {}", first(false), last(true));
    let both = first(true).max(first(false))..last(true).min(last(false));
    let old = calls[both.clone()].iter().filter(|(_, request)| request.starts_with("old-")).count();
    assert!((both.len() / 4..both.len() * 3 / 4).contains(&old), "{old} of {} were old", both.len());
    rig.answered().await;
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_hands_its_calls_over() {
    let rig = Rig::new().await;
    rig.teller.set(Mood::Hangs);
    let engine = rig.start();
    rig.ask(200).await;
    rig.journal_of(200).await;
    rig.called(128).await;
    engine.stop().await;
    let leased = "select count(*) from engine.effect where due_at > clock_timestamp()";
    assert_eq!(rig.count(leased).await, 0);

    rig.teller.set(Mood::Answers);
    let engine = rig.start();
    rig.answered().await;
    assert_eq!(rig.journal().await.len(), 400);
    engine.stop().await;
    rig.close().await;
}
