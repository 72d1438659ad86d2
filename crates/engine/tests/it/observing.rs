//! What an operator relies on: traces, plans without scans, and offsets that say how far the service is.

use std::collections::HashMap;

use bus::{Envelope, Trace};
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use testkit::eventually;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    account::Twist,
    laws::Published,
    rig::{Rig, SOON, book, event, twisted},
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trace_and_correlation_of_the_append_travel_with_all_that_follows() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let (id, correlation) = (Uuid::now_v7(), Uuid::now_v7());
    let trace = Trace {
        parent: Some(PARENT.into()),
        state: Some("vendor=1".into()),
        baggage: Some("tenant=7".into()),
    };
    let topic = rig.reads();
    let mut asked = event(id, &twisted("a", 1, Twist::Ask));
    asked.correlation_id = Some(correlation);
    asked.trace = trace.clone();
    let mut armed = event(Uuid::now_v7(), &twisted("a", 1, Twist::Arm(1)));
    armed.correlation_id = Some(correlation);
    armed.trace = Trace { parent: Some(PARENT.into()), ..Trace::default() };
    let others = (0..20).map(|it| event(Uuid::now_v7(), &book(format!("b-{it}"), 1)));
    let records = [asked, armed].into_iter().chain(others);
    rig.produce(records.map(|it| {
        let key = it.subject.clone().unwrap();
        it.into_record(topic.as_str().into(), key)
    }))
    .await;

    // Asked, answered, armed, expired; and the others, which have nothing to do with it.
    rig.journal_of(24).await;
    rig.drained().await;

    let published = rig.published().await;
    for record in &published {
        let it = Envelope::open(record).unwrap().read().unwrap();
        if it.subject.as_deref() != Some("a") {
            assert_eq!(it.trace, Trace::default());
            continue;
        }
        assert_eq!(it.correlation_id, Some(correlation));
        assert_eq!(it.trace.parent.as_deref(), Some(PARENT));
        assert_eq!(it.actor.as_deref(), Some("service:account"));
        assert_eq!(it.source, "/waybill/account");
        if Published::of(record).event.kind == crate::account::Kind::Asked {
            assert_eq!((it.causation_id, it.trace), (Some(id), trace.clone()));
        }
    }
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hot_table_is_read_from_end_to_end_under_load() {
    let rig = Rig::new().await;
    let engine = rig.start();
    engine.command(book("a-0", 1)).await.unwrap();
    let before = scans(&rig).await;
    let twists = [Twist::Plain, Twist::Ask, Twist::Arm(50), Twist::Arm(3_600_000)];
    for round in 0..8 {
        let orders: Vec<_> =
            (0..400).map(|it| twisted(format!("a-{}", it % 100), 1, twists[(it + round) % 4])).collect();
        rig.send(&orders).await;
    }
    // Not by the journal's length: the checks of other tests would scan it.
    rig.at_rest().await;
    engine.command(book("a-0", 1)).await.unwrap();
    // What a backend has counted is told when it ends, at the latest.
    engine.stop().await;
    eventually(SOON, "the engine's backends have ended", async || {
        let left = "select count(*) from pg_stat_activity
            where datname = current_database() and application_name = 'engine'";
        match rig.count(left).await {
            0 => Ok(()),
            left => Err(format!("{left} left")),
        }
    })
    .await;

    let after = scans(&rig).await;
    let hot = ["account", "journal", "engine.outbox", "engine.deadline", "engine.effect"];
    for (name, it) in &after {
        let inbox = name.starts_with("engine.inbox_") && it.written > 0;
        if inbox || hot.contains(&name.as_str()) {
            let scans = it.scans - before.get(name).map_or(0, |it| it.scans);
            // One for each index when it was made, which may be told late, also of an index that a migration has
            // replaced. A plan with a scan would show with every batch.
            assert!(scans <= it.indexes + 1, "{name}: {scans} scans, {it:?}");
        }
    }
    let written: i64 = after.values().map(|it| it.written).sum();
    assert!(written > 10_000, "no load: {written} rows");
    rig.close().await;
}

#[derive(Debug)]
struct Scans {
    scans: i64,
    written: i64,
    indexes: i64,
}

/// How often each table was scanned, how many rows were inserted into it, and how many indexes it has.
async fn scans(rig: &Rig) -> HashMap<String, Scans> {
    let rows = sqlx::query(
        "select case schemaname when 'public' then '' else schemaname || '.' end || relname as name,
             seq_scan, n_tup_ins, (select count(*) from pg_index where indrelid = relid) as indexes
         from pg_stat_user_tables",
    );
    let scans = |row: PgRow| Scans {
        scans: row.get("seq_scan"),
        written: row.get("n_tup_ins"),
        indexes: row.get("indexes"),
    };
    rows.fetch_all(&rig.pool).await.unwrap().into_iter().map(|row| (row.get("name"), scans(row))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_idle_the_lag_is_nothing_also_after_events_that_concern_nobody() {
    let rig = Rig::new().await;
    let topic = rig.reads();
    let engine = rig.start();
    rig.send(&(0..50).map(|it| book(format!("a-{it}"), 1)).collect::<Vec<_>>()).await;
    rig.send(&[twisted("ill", 1, Twist::Impossible), book("ill", 1)]).await;
    rig.produce((0..30).map(|it| {
        let foreign = bus::CloudEvent {
            r#type: "waybill.other.thing.v1".into(),
            ..event(Uuid::now_v7(), &book("a", 1))
        };
        foreign.into_record(topic.as_str().into(), format!("k-{it}").into())
    }))
    .await;

    rig.at_rest().await;

    let progress = rig.bus.progress(&rig.group(), &[topic]).await.unwrap();
    let (committed, end) =
        progress.iter().fold((0, 0), |(a, b), it| (a + it.committed.unwrap_or(0), b + it.end));
    assert_eq!((committed, end), (82, 82));
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inbox_forgets_by_the_day_and_not_before_the_topics_do() {
    let rig = Rig::new().await;
    let today = OffsetDateTime::now_utc().date();
    for age in [40, 15, 8] {
        let day = today - time::Duration::days(age);
        let first = |day: time::Date| {
            Uuid::from_u128((day.midnight().assume_utc().unix_timestamp() as u128 * 1_000) << 80)
        };
        let sql = format!(
            "create table engine.inbox_{:04}{:02}{:02} partition of engine.inbox
             for values from ('{}') to ('{}')",
            day.year(),
            u8::from(day.month()),
            day.day(),
            first(day),
            first(day + time::Duration::days(1)),
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&rig.pool).await.unwrap();
    }
    let engine = rig.start();

    // From eight days ago, which was there; from yesterday to a week ahead; and the default one.
    eventually(SOON, "old days are gone and new ones are there", async || {
        match rig.count("select count(*) from pg_inherits where inhparent = 'engine.inbox'::regclass").await {
            11 => Ok(()),
            count => Err(format!("{count} partitions")),
        }
    })
    .await;
    rig.send(&[book("a", 1)]).await;
    rig.journal_of(1).await;
    assert_eq!(rig.count("select count(*) from engine.inbox").await, 1);
    assert_eq!(rig.count("select count(*) from engine.inbox_default").await, 0);
    engine.stop().await;
    rig.close().await;
}
