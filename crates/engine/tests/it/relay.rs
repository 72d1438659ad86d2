//! The relay: first occurrences per key in order and gapless, whatever becomes of whoever publishes.

use std::collections::BTreeSet;

use testkit::eventually;

use crate::{
    laws::{self, Published},
    rig::{Rig, SOON, book},
};

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
    let gate = "create function wait() returns trigger language plpgsql as
            $$ begin perform pg_advisory_xact_lock_shared(42); return null; end $$;
        create trigger gate before delete on engine.outbox for each statement execute function wait()";
    sqlx::raw_sql(gate).execute(&rig.pool).await.unwrap();
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
        select uuidv7(), 'payment', 'k-' || n % 7, 'waybill.account.changed.v1', n / 7 + 1, clock_timestamp(),
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
