//! What grows with time is kept small.

use std::time::Duration;

use engine::{IdempotencyKey, Rejected};
use testkit::eventually;

use crate::{
    account::{Input, Twist},
    rig::{Rig, SOON, book, cause, twisted},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_actions_are_forgotten_when_their_time_is_over() {
    let rig = Rig::new().await;
    // More than a step of each.
    let old = "insert into engine.idempotency_key (idempotency_key, fingerprint, reply, created_at)
        select 'old-' || n, ''::bytea, '{}', clock_timestamp() - interval '61 min' from generate_series(1, 2500) n
        union all select 'young', ''::bytea, '{}', clock_timestamp() - interval '59 min';
        insert into engine.dead_letter_action (at, outcome, actor, reason, dead_letter_id, consumer, key, event_id,
            topic, partition, \"offset\", error)
        select clock_timestamp() - case when n <= 1500 then interval '91 days' else interval '89 days' end,
            'applied', 'jane', '', n, 'account', 'a', uuidv7(), 't', 0, n, '' from generate_series(1, 1600) n";
    sqlx::raw_sql(old).execute(&rig.pool).await.unwrap();
    let engine =
        rig.engine("engine").with(|it| it.idempotency_key_ttl = Duration::from_secs(3_600)).run(|_| true);
    let key = IdempotencyKey { key: "now".into(), fingerprint: b"1".into() };
    engine.commands.submit(Input::Command(book("a", 1)), cause(), Some(key.clone())).await.unwrap();

    eventually(SOON, "what is old is forgotten", async || {
        let keys = rig.count("select count(*) from engine.idempotency_key").await;
        match (keys, rig.count("select count(*) from engine.dead_letter_action").await) {
            (2, 100) => Ok(()),
            left => Err(format!("{left:?} left")),
        }
    })
    .await;

    let other = IdempotencyKey { fingerprint: b"2".into(), ..key };
    let again = engine.commands.submit(Input::Command(book("a", 1)), cause(), Some(other)).await;
    assert!(matches!(again, Err(Rejected::KeyReused)), "{again:?}");
    engine.stop().await;
    rig.close().await;
}

/// Housekeeping is one task of many, and its first step may come after the first events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_events_of_a_new_service_are_remembered_by_their_day() {
    let rig = Rig::new().await;
    let engine = rig.engine("engine").run(|it| it != "housekeeping");
    rig.send(&[book("a", 1), book("b", 1)]).await;
    rig.journal_of(2).await;

    assert_eq!(rig.count("select count(*) from engine.inbox").await, 2);
    assert_eq!(rig.count("select count(*) from engine.inbox_default").await, 0);
    engine.stop().await;
    rig.close().await;
}

const ROUNDS: usize = 8;
const INPUTS: usize = 2_500;
/// What two rounds leave in the three tables: one, and as much again before it is removed. Without housekeeping all
/// rounds leave 10 MB, and twice as many leave twice that.
const BOUND: i64 = 7 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_turn_over_stay_as_small_as_what_is_in_them() {
    let rig = Rig::new().await;
    // Two processes, of which one has the relay: what the other deletes is removed all the same.
    let engines = [rig.engine("one").run(|_| true), rig.engine("two").run(|_| true)];
    let twists = [Twist::Arm(3_600_000), Twist::Ask, Twist::Disarm, Twist::Ask];
    let mut largest = 0;
    for round in 0..ROUNDS {
        let orders: Vec<_> = (0..INPUTS)
            .map(|it| twisted(format!("a-{}", it / 4), i64::from(round == 0), twists[it % 4]))
            .collect();
        rig.send(&orders).await;
        // Four orders of each account, and two answers.
        rig.journal_of((round + 1) * INPUTS / 4 * 6).await;
        rig.drained().await;
        eventually(SOON, "dead rows are removed", async || {
            let dead = "select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables
                where schemaname = 'engine' and relname in ('outbox', 'effect', 'deadline')";
            match rig.count(dead).await {
                dead if dead <= 3_300 => Ok(()),
                dead => Err(format!("{dead} dead rows; {}", held_by(&rig).await)),
            }
        })
        .await;
        let size = "select sum(pg_total_relation_size(it))::bigint
            from unnest('{engine.outbox, engine.effect, engine.deadline}'::regclass[]) it";
        largest = largest.max(rig.count(size).await);
    }

    assert!(largest < BOUND, "{largest} B");
    assert_eq!(rig.count("select count(*) from engine.deadline").await, 0);
    for engine in engines {
        engine.stop().await;
    }
    rig.close().await;
}

/// What keeps dead rows from being removed: how often it was tried, and the transactions that may still see them.
async fn held_by(rig: &Rig) -> String {
    let sql = "select format(E'%s\\nopen: %s',
        (select string_agg(format('%s: %s dead, %s live, %s vacuums', relname, n_dead_tup, n_live_tup, vacuum_count), ', ')
         from pg_stat_user_tables where schemaname = 'engine' and n_dead_tup + vacuum_count > 0),
        (select string_agg(format('%s %s xmin %s xid %s since %s: %s', datname, application_name, backend_xmin,
             backend_xid, xact_start, query), E'\\n')
         from pg_stat_activity where backend_xmin is not null or backend_xid is not null))";
    sqlx::query_scalar(sql).fetch_one(&rig.pool).await.unwrap()
}
