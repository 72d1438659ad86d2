//! The broker away, the database away.

use bus::Bus;
use futures::future::join_all;
use testkit::eventually;

use crate::{
    rig::{Rig, SOON},
    words::mugs,
};

#[tokio::test]
async fn orders_are_accepted_while_the_broker_is_away_and_published_later() {
    let mut rig = Rig::new().await;
    let before = rig.place(&mugs()).await;
    rig.drained().await;
    rig.stop().await;
    // A log without topics: nothing can be read from it, or published to it.
    let old = std::mem::replace(&mut rig.bus, Bus::memory());
    rig.start(&[]).await;

    let placed = join_all((0..21).map(|_| async { rig.place(&mugs()).await })).await;
    assert_eq!(rig.cancel(placed[0]).await.status, 200);

    assert_eq!(rig.count("engine.outbox").await, 22, "21 orders placed and one cancelled, none published");
    let unready = rig.readiness(503).await;
    assert_ne!(unready["checks"]["consumer"], "ok", "{unready}");

    rig.create_topics().await;
    rig.drained().await;
    rig.readiness(200).await;
    rig.confirm(placed[1]).await;

    // What was published before is on the old log.
    let earlier = crate::laws::published(&old, &rig.prefix).await;
    assert_eq!(earlier.iter().map(|it| it.key.clone()).collect::<Vec<_>>(), [before.to_string()]);
    rig.earlier = earlier;
    rig.finish().await;
}

#[tokio::test]
async fn requests_are_refused_while_the_database_is_away() {
    let rig = Rig::new().await;
    let order_id = rig.place(&mugs()).await;
    rig.drained().await;

    rig.shut_out().await;
    let refused = rig.post(&mugs()).await;
    assert_eq!((refused.status, refused.content_type.as_str()), (503, "application/problem+json"));
    assert_eq!(rig.get(&format!("/orders/{order_id}")).await.status, 503);
    assert_eq!(rig.get("/orders").await.status, 503);
    assert_eq!(rig.get(&format!("/orders/{order_id}/history")).await.status, 503);
    rig.let_in().await;

    eventually(SOON, "orders are accepted again", async || match rig.try_post(&mugs()).await {
        Some(201) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    rig.confirm(order_id).await;
    rig.finish().await;
}
