//! Broker and database go away and come back: with servers of this test's own.

use std::time::Duration;

use local::{Kafka, Postgres, Scratch};
use testkit::eventually;

use crate::{
    laws,
    rig::{Rig, SOON, book},
};

/// A kill, and what it does to whoever is in the middle of something; a restart takes seconds.
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_servers_cost_time_and_nothing_else() {
    let scratch = Scratch::new().unwrap();
    let (kafka, postgres) = (scratch.path().join("kafka"), scratch.path().join("postgres"));
    let (mut kafka, mut postgres) =
        tokio::try_join!(Kafka::start(&kafka, None), Postgres::start(&postgres, None)).unwrap();
    let rig = Rig::on(&postgres.url("postgres"), &kafka.bootstrap_servers()).await;
    let engine = rig.engine("engine").with(|it| it.batch_size = 50).run(|_| true);
    let health = engine.health.clone();
    let mut sent = rig.send(&[book("a-0", 1)]).await;
    rig.journal_of(1).await;
    ready(&health).await;

    // Both at once, in the middle of the flow.
    let orders: Vec<_> = (0..4_000).map(|it| book(format!("a-{}", it % 50), 1)).collect();
    sent.extend(rig.send(&orders).await);
    rig.journal_of(100).await;
    let (a, b) = tokio::join!(postgres.kill(), kafka.kill());
    a.and(b).unwrap();
    assert!(engine.command(book("b", 1)).await.is_err(), "the database was not killed");

    // Without the broker commands are carried out, events wait in the outbox, and readiness says why.
    postgres.restart().await.unwrap();
    let begun = rig.count("select count(*) from journal").await;
    assert!((100..4_000).contains(&begun), "not in the middle of the flow: {begun}");
    eventually(MINUTE, "commands are carried out again", async || {
        engine.command(book("b", 1)).await.map_err(|it| format!("{it:?}"))
    })
    .await;
    for it in 0..20 {
        engine.command(book(format!("b-{it}"), 1)).await.unwrap();
    }
    eventually(MINUTE, "readiness tells of the broker and of the relay", async || {
        // What wakes the relay must not keep it from its session, which ends when it is idle for long.
        engine.command(book("b", 1)).await.unwrap();
        match (health.broker(), health.relay()) {
            (Err(_), Err(_)) => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
    assert!(rig.count("select count(*) from engine.outbox").await > 20);
    let idle = "select extract(epoch from clock_timestamp() - query_start)::bigint
        from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory' and granted";
    let idle = rig.count(idle).await;
    assert!(idle < 8, "the relay has left its session idle for {idle} s");

    kafka.restart().await.unwrap();
    eventually(MINUTE, "all are applied", async || {
        match rig.count("select count(*) from journal where account_id like 'a-%'").await {
            4_001 => Ok(()),
            count => Err(format!("{count} of 4001")),
        }
    })
    .await;
    rig.at_rest().await;
    rig.drained().await;
    ready(&health).await;
    laws::hold(&rig, &sent).await.unwrap();
    assert_eq!(rig.letters().await.len(), 0, "an outage was taken for poison");
    engine.stop().await;
}

async fn ready(health: &engine::Health) {
    eventually(SOON, "the engine is ready", async || {
        health.database().and(health.broker()).and(health.relay()).and(health.consumers())
    })
    .await;
}
