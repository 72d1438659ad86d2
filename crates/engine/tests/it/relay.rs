//! The relay: first occurrences per key in order and gapless, whatever becomes of whoever publishes.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;
use testkit::eventually;

use crate::{
    laws::{self, Published},
    rig::{Rig, SOON, book},
};

/// A delete waits for whoever holds the advisory lock 42.
const GATE: &str = "create function wait() returns trigger language plpgsql as
        $$ begin perform pg_advisory_xact_lock_shared(42); return null; end $$;
    create trigger gate before delete on engine.outbox for each statement execute function wait()";

/// Writes what `count` transactions on 50 accounts would have written: journal, accounts and outbox.
pub(crate) async fn write_outbox(rig: &Rig, count: i32) {
    let sql = "with entry as (
            select uuidv7() as event_id, n, 'k-' || n % 50 as account,
                coalesce((select sequence from account where account_id = 'k-' || n % 50), 0) + n / 50 + 1 as sequence
            from generate_series(0, $1 - 1) n
        ), journaled as (
            insert into journal select event_id, account, sequence, uuidv7(), uuidv7(), 'Booked', 1 from entry
        ), kept as (
            insert into account select account, max(sequence), max(sequence), false from entry group by account
            on conflict (account_id) do update set balance = excluded.balance, sequence = excluded.sequence
        )
        insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at, payload)
        select event_id, 'payment', account, 'waybill.account.changed.v1', sequence, clock_timestamp(),
            convert_to(json_build_object('account', account, 'kind', 'Booked', 'amount', 1,
                'sequence', sequence)::text, 'UTF8')
        from entry order by n";
    sqlx::query(sql).bind(count).execute(&rig.pool).await.unwrap();
}

/// The backend of the active relay, and the engine that it belongs to.
async fn leader(rig: &Rig) -> (i32, String) {
    eventually(SOON, "a relay is active", async || {
        let held = "select pid, application_name from pg_locks join pg_stat_activity using (pid)
            where locktype = 'advisory' and granted and classid <> 0 and datname = current_database()
            and database = (select oid from pg_database where datname = current_database())";
        let leader = sqlx::query_as(held).fetch_optional(&rig.pool).await.unwrap();
        leader.ok_or("nobody holds the lock")
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_that_are_killed_over_and_over_keep_the_order_without_a_gap() {
    let rig = Rig::new().await;
    // A delete can be stopped before it begins, when the log has acknowledged all it is to delete.
    sqlx::raw_sql(GATE).execute(&rig.pool).await.unwrap();
    let only_relay = |it: &str| it == "relay";
    let mut relays = vec![rig.engine("one").run(only_relay), rig.engine("two").run(only_relay)];
    let mut led = BTreeSet::new();
    for round in 0..12 {
        write_outbox(&rig, 1_500).await;
        let (pid, name) = leader(&rig).await;
        led.insert(name.clone());
        match round % 3 {
            // Its backend dies, wherever it is.
            0 => rig.terminate(pid).await,
            // Its task dies; its place is taken by a new one.
            1 => {
                let index = usize::from(name == "two");
                let fresh = rig.engine(["one", "two"][index]).run(only_relay);
                std::mem::replace(&mut relays[index], fresh).crash().await;
            }
            // Its backend dies after the log has the rows and before they are deleted.
            _ => {
                let held = rig.hold("select pg_advisory_xact_lock(42)").await;
                write_outbox(&rig, 100).await;
                rig.terminate(rig.blocked(&name).await).await;
                held.rollback().await.unwrap();
            }
        }
    }

    rig.drained().await;
    let published = rig.published().await;
    laws::hold(&rig, &[]).await.unwrap();
    assert!(published.len() > rig.journal().await.len(), "no kill came between publishing and deleting");
    assert_eq!(led, BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    for relay in relays {
        relay.stop().await;
    }
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_with_a_lower_id_that_commits_late_is_not_skipped() {
    let rig = Rig::new().await;
    late_commit(&rig, None).await.unwrap();
    rig.close().await;
}

/// A transaction draws the first ids of the outbox and commits after higher ones are published.
pub(crate) async fn late_commit(rig: &Rig, mutant: Option<engine::Mutant>) -> Result<(), laws::Violation> {
    let late = "insert into account values ('late', 1, 1, false);
        insert into journal values ('0198c0de-0000-7000-8000-000000000001', 'late', 1, uuidv7(), uuidv7(), 'Booked', 1);
        insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at, payload)
        values ('0198c0de-0000-7000-8000-000000000001', 'payment', 'late', 'waybill.account.changed.v1', 1,
            clock_timestamp(), '{\"account\":\"late\",\"kind\":\"Booked\",\"amount\":1,\"sequence\":1}')";
    let held = rig.hold(late).await;
    let engine = rig.engine("engine").mutant(mutant).run(|_| true);
    engine.command(book("early", 1)).await.unwrap();
    rig.published_of(1).await;
    held.commit().await.unwrap();
    // Once this one is there, the relay has looked again since the late one was committed.
    engine.command(book("later", 1)).await.unwrap();
    rig.published_of(2).await;
    if mutant.is_none() {
        rig.drained().await;
    }
    let held = laws::hold(rig, &[]).await;
    engine.stop().await;
    held
}

/// How many events were published, those of each key in their order.
async fn in_order(rig: &Rig) -> usize {
    let published: Vec<Published> = rig.published().await.iter().map(Published::of).collect();
    laws::in_order(&published).unwrap();
    published.len()
}

/// An event for each of `count` keys.
fn rows(key: &str, sequence: i32, count: i32) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at, payload)
         select uuidv7(), 'payment', key, 'waybill.account.changed.v1', {sequence}, clock_timestamp(),
             convert_to(json_build_object('account', key, 'kind', 'Booked', 'amount', 1,
                 'sequence', {sequence})::text, 'UTF8')
         from (select '{key}' || n as key from generate_series(1, {count}) n) keys"
    ))
}

/// Ids are drawn before their transactions commit. Of `late` the first row is below what is read by then and the next one,
/// of another transaction, above; of `same` both are of the late transaction, with the relay's pages in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_commit_late_are_not_overtaken_by_later_ones_of_their_keys() {
    let rig = Rig::new().await;
    sqlx::raw_sql(GATE).execute(&rig.pool).await.unwrap();
    let mut tx = rig.pool.begin().await.unwrap();
    sqlx::raw_sql(rows("late-", 1, 1)).execute(&mut *tx).await.unwrap();
    sqlx::raw_sql(rows("same-", 1, 1)).execute(&mut *tx).await.unwrap();
    // The pages that are read before the first delete, the one that is read with it, and some.
    sqlx::raw_sql(rows("k-", 1, 6_500)).execute(&rig.pool).await.unwrap();
    sqlx::raw_sql(rows("same-", 2, 1)).execute(&mut *tx).await.unwrap();
    sqlx::raw_sql(rows("l-", 1, 1_500)).execute(&rig.pool).await.unwrap();
    let held = rig.hold("select pg_advisory_xact_lock(42)").await;
    let engine = rig.engine("engine").run(|it| it == "relay");
    rig.blocked("engine").await;
    tx.commit().await.unwrap();
    sqlx::raw_sql(rows("late-", 2, 1)).execute(&rig.pool).await.unwrap();
    held.rollback().await.unwrap();
    rig.drained().await;

    assert_eq!(in_order(&rig).await, 8_004);
    engine.stop().await;
    rig.close().await;
}

/// A dump that is restored brings rows of transactions that this server has yet to come to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_server_are_not_overtaken_by_later_ones_of_their_keys() {
    let rig = Rig::new().await;
    sqlx::raw_sql(rows("k-", 1, 1_500)).execute(&rig.pool).await.unwrap();
    sqlx::raw_sql(rows("restored-", 1, 3)).execute(&rig.pool).await.unwrap();
    let restored = "update engine.outbox set xact = '99999999999' where aggregate_id like 'restored-%'";
    sqlx::raw_sql(restored).execute(&rig.pool).await.unwrap();
    sqlx::raw_sql(rows("restored-", 2, 3)).execute(&rig.pool).await.unwrap();
    let engine = rig.engine("engine").run(|it| it == "relay");
    rig.drained().await;

    assert_eq!(in_order(&rig).await, 1_506);
    engine.stop().await;
    rig.close().await;
}

/// Many events of one key are published one after the other; whatever else is committed meanwhile goes with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_with_many_events_holds_up_no_other() {
    let rig = Rig::new().await;
    // Each wave takes its time: a delete of up to two rows.
    let slow = "create function slow() returns trigger language plpgsql as
            $$ begin perform pg_sleep(0.02); return null; end $$;
        create trigger slow before delete on engine.outbox for each statement execute function slow()";
    sqlx::raw_sql(slow).execute(&rig.pool).await.unwrap();
    let rows = "insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at, payload)
        select uuidv7(), 'payment', $1, 'waybill.account.changed.v1', n, clock_timestamp(),
            convert_to(json_build_object('account', $1, 'kind', 'Booked', 'amount', 1, 'sequence', n)::text, 'UTF8')
        from generate_series(1, $2) n";
    let write = async |key: &str, count: i32| {
        sqlx::query(rows).bind(key).bind(count).execute(&rig.pool).await.unwrap();
    };
    write("hot", 400).await;
    let engine = rig.engine("engine").run(|it| it == "relay");
    rig.published_of(5).await;
    write("other", 1).await;
    eventually(SOON, "the other is published", async || {
        match rig.count("select count(*) from engine.outbox where aggregate_id = 'other'").await {
            0 => Ok(()),
            left => Err(left),
        }
    })
    .await;
    let left = rig.count("select count(*) from engine.outbox").await;
    assert!(left > 300, "{left} of the hot key are left");
    rig.drained().await;
    in_order(&rig).await;
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_the_broker_refuses_holds_back_its_key_and_no_other() {
    let rig = Rig::new().await;
    refused(&rig, None).await.unwrap();
    rig.close().await;
}

/// The first of two events of an aggregate is more than the broker takes; two hundred of others come behind them.
pub(crate) async fn refused(rig: &Rig, mutant: Option<engine::Mutant>) -> Result<(), laws::Violation> {
    let row = "insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at, payload)
        values (uuidv7(), 'payment', 'ill', 'waybill.account.changed.v1', 1, clock_timestamp(),
            convert_to(repeat('x', 2000000), 'UTF8')),
        (uuidv7(), 'payment', 'ill', 'waybill.account.changed.v1', 2, clock_timestamp(),
            convert_to('{\"account\":\"ill\",\"kind\":\"Booked\",\"amount\":1,\"sequence\":2}', 'UTF8'))";
    sqlx::query(row).execute(&rig.pool).await.unwrap();
    let engine = rig.engine("engine").mutant(mutant).run(|_| true);
    for it in 0..200 {
        engine.command(book(format!("well-{}", it % 20), 1)).await.unwrap();
    }

    let held_back = if mutant.is_none() { 2 } else { 1 };
    let left = eventually(SOON, "the others are published", async || {
        match rig.count("select count(*) from engine.outbox").await {
            left if left == held_back => {
                Ok(rig.count("select count(*) from engine.outbox where aggregate_id = 'ill'").await)
            }
            left => Err(format!("{left} rows left")),
        }
    });

    assert_eq!(left.await, held_back);
    let held = laws::hold(rig, &[]).await;
    engine.stop().await;
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_the_broker_refuses_is_not_overtaken_by_those_behind_it() {
    let rig = Rig::new().await;
    let small = [("max.message.bytes", "650")];
    rig.bus.configure_topic(&rig.publishes(), &small).await.unwrap();
    let rows = "insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at, payload)
        select uuidv7(), 'payment', $1, 'waybill.account.changed.v1', n, clock_timestamp(),
            convert_to(json_build_object('account', $1, 'kind', 'Booked', 'amount', 1, 'sequence', n, 'filler',
                case when n = 1 and $3 then (select string_agg(uuidv4()::text, '') from generate_series(1, 100)) end)::text,
                'UTF8')
        from generate_series(1, $2) n";
    let write = async |key: String, count: i32, first_is_large: bool| {
        sqlx::query(rows).bind(key).bind(count).bind(first_is_large).execute(&rig.pool).await.unwrap();
    };
    let gone = async || {
        let left = "select count(*) from engine.outbox where aggregate_id not like 'ill-%'";
        eventually(SOON, "the others are published", async || match rig.count(left).await {
            0 => Ok(()),
            left => Err(format!("{left} rows left")),
        })
        .await;
    };
    let engine = rig.engine("engine").run(|it| it == "relay");
    for it in 0..6 {
        // The client has the topic at hand, and lets through what it knows no reason to refuse.
        write(format!("warm-{it}"), 1, false).await;
        gone().await;
        write(format!("ill-{it}"), 300, true).await;
    }
    write("well-1".into(), 300, false).await;
    gone().await;
    rig.bus.configure_topic(&rig.publishes(), &[]).await.unwrap();
    // They are held back for half a minute.
    eventually(3 * SOON, "the outbox is empty", async || {
        match rig.count("select count(*) from engine.outbox").await {
            0 => Ok(()),
            left => Err(format!("{left} rows left")),
        }
    })
    .await;

    let published = in_order(&rig).await;
    assert!(published >= 6 * 301 + 300, "{published} records");
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_from_the_topic_before_it_is_committed() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let held = rig.hold("lock table journal in share mode").await;
    let (answer, ()) = tokio::join!(engine.command(book("a", 1)), async {
        rig.blocked("engine").await;
        assert_eq!(rig.count("select count(*) from engine.outbox").await, 0);
        // A topic that is so new that the broker does not list it yet holds nothing either.
        let topics = rig.bus.topics(&rig.publishes()).await.unwrap();
        assert!(topics.iter().flat_map(|it| &it.partitions).all(|it| it.high == 0), "{topics:?}");
        held.rollback().await.unwrap();
    });
    answer.unwrap();
    let published: Vec<Published> = rig.published_of(1).await.iter().map(Published::of).collect();
    assert_eq!(published.len(), 1);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_are_published_a_few_at_a_time_and_small_ones_many() {
    let rig = Rig::new().await;
    let watch = "create table page (rows bigint not null, bytes bigint not null);
        create function note() returns trigger language plpgsql as $$ begin
            insert into page select count(*), coalesce(sum(octet_length(payload)), 0) from gone; return null;
        end $$;
        create trigger note after delete on engine.outbox referencing old table as gone
            for each statement execute function note();
        insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at, payload)
        select uuidv7(), 'payment', 'k-' || n % 2500, 'waybill.account.changed.v1', n / 2500 + 1, clock_timestamp(),
            convert_to(repeat('x', case when n between 500 and 549 then 800000 else 100 end), 'UTF8')
        from generate_series(0, 4999) n";
    sqlx::raw_sql(watch).execute(&rig.pool).await.unwrap();
    let engine = rig.engine("engine").run(|it| it == "relay");
    rig.drained().await;

    let published = rig.published().await;
    assert_eq!(published.len(), 5_000);
    let mut next = std::collections::HashMap::new();
    for record in &published {
        let event = bus::Envelope::open(record).unwrap().read().unwrap();
        let expected = next.entry(record.key.clone()).or_insert(0);
        *expected += 1;
        assert_eq!(event.sequence, Some(*expected));
    }
    // 8 MiB, and the row with which that is passed.
    assert!(rig.count("select max(bytes) from page").await <= (8 << 20) + 800_000);
    assert_eq!(rig.count("select max(rows) from page").await, 1_000);
    engine.stop().await;
    rig.close().await;
}
