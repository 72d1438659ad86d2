//! The way to the database falls silent: connections stay open at both ends, and nothing arrives.

use std::time::Duration;

use local::Proxy;
use sqlx::postgres::PgPoolOptions;
use testkit::eventually;

use crate::{
    laws,
    rig::{Rig, SOON, book},
};

/// A transaction that nobody answers is given up after 20 s, and the locks that it left behind after 15 s.
const GIVEN_UP: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_vanishes_without_a_word_is_found_out() {
    let rig = Rig::new().await;
    let proxy = Proxy::start(rig.engine("asked for its port").settings.options.get_port()).await.unwrap();
    let engine = rig
        .engine("engine")
        .with(|it| {
            it.options = it.options.clone().port(proxy.port());
            it.pool = PgPoolOptions::new()
                .max_connections(2)
                .acquire_timeout(Duration::from_secs(2))
                .after_release(|connection, _| Box::pin(engine::is_answering(connection)))
                .connect_lazy_with(it.options.clone());
        })
        .run(|_| true);
    let mut sent = rig.send(&[book("a-0", 1)]).await;
    rig.journal_of(1).await;

    assert!(proxy.silence() > 0, "nobody is connected");
    let orders: Vec<_> = (0..200).map(|it| book(format!("a-{}", it % 10), 1)).collect();
    sent.extend(rig.send(&orders).await);
    eventually(SOON, "somebody speaks, and is not heard", async || match proxy.swallowed() {
        0 => Err("nobody does"),
        _ => Ok(()),
    })
    .await;
    proxy.heal();

    eventually(GIVEN_UP, "all are applied, and published", async || {
        let applied = rig.count("select count(*) from journal where account_id like 'a-%'").await;
        match (applied, rig.count("select count(*) from engine.outbox").await) {
            (201, 0) => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
    engine.command(book("b", 1)).await.unwrap();
    rig.at_rest().await;
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}
