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
    let engine = rig.start();
    let mut sent = rig.send(&[book("a-0", 1)]).await;
    rig.journal_of(1).await;
    let health = engine.health.clone();
    ready(&health).await;

    // Without the broker commands are carried out, events wait in the outbox, and readiness says why.
    kafka.kill().await.unwrap();
    for it in 0..20 {
        engine.command(book(format!("a-{}", it % 5), 1)).await.unwrap();
    }
    eventually(MINUTE, "readiness tells of the broker and of the relay", async || {
        match (health.broker(), health.relay()) {
            (Err(_), Err(_)) => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
    assert_eq!(rig.count("select count(*) from engine.outbox").await, 20);
    kafka.restart().await.unwrap();
    rig.drained().await;
    ready(&health).await;

    // Both at once, in the middle of the flow.
    let orders: Vec<_> = (0..3_000).map(|it| book(format!("a-{}", it % 50), 1)).collect();
    sent.extend(rig.send(&orders).await);
    eventually(MINUTE, "the flow has begun", async || {
        let count = rig.count("select count(*) from journal").await;
        if count > 50 { Ok(()) } else { Err(format!("{count} lines")) }
    })
    .await;
    let (a, b) = tokio::join!(postgres.kill(), kafka.kill());
    a.and(b).unwrap();
    assert!(engine.command(book("a-0", 1)).await.is_err(), "the database was not killed");
    let (a, b) = tokio::join!(postgres.restart(), kafka.restart());
    a.and(b).unwrap();

    eventually(MINUTE, "all are applied", async || {
        let count: i64 = sqlx::query_scalar("select count(*) from journal where account_id like 'a-%'")
            .fetch_one(&rig.pool)
            .await
            .map_err(|error| error.to_string())?;
        if count >= 3_021 { Ok(()) } else { Err(format!("{count} of 3021")) }
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
