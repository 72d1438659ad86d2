//! Whatever is delivered more than once has its effect once.

use uuid::Uuid;

use crate::{
    laws,
    rig::{Rig, book, event},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_a_batch_and_across_batches() {
    let rig = Rig::new().await;
    let orders: Vec<_> = (0..50).map(|it| (Uuid::now_v7(), book(format!("a-{}", it % 5), 1 + it))).collect();
    let thrice: Vec<_> = orders.iter().flat_map(|it| [it.clone(), it.clone(), it.clone()]).collect();
    // On the topic before the engine is there: it meets them in one batch.
    rig.send_as(&thrice).await;
    let engine = rig.start();
    rig.journal_of(50).await;

    rig.send_as(&orders).await;
    let last = rig.send(&[book("a-0", 1)]).await;

    rig.journal_of(51).await;
    rig.drained().await;
    let sent: Vec<Uuid> = orders.iter().map(|it| it.0).chain(last).collect();
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_workers_that_have_the_same_event_at_the_same_time() {
    let rig = Rig::new().await;
    // Under other record keys the same event is in several partitions, and so with both workers.
    let topic = rig.reads();
    let events: Vec<_> = (0..200).map(|it| (Uuid::now_v7(), book(format!("a-{}", it % 7), 1))).collect();
    let copies = events.iter().flat_map(|(id, order)| {
        let copy = |key: String| event(*id, order).into_record(topic.as_str().into(), key.into());
        (0..6).map(move |it| copy(format!("key-{it}")))
    });
    rig.produce(copies).await;
    let engine = rig.engine("pair").with(|it| it.workers = 2).with(|it| it.batch_size = 20).run(|_| true);

    rig.journal_of(200).await;
    rig.at_rest().await;

    rig.drained().await;
    let sent: Vec<Uuid> = events.iter().map(|it| it.0).collect();
    laws::effects_once(&sent, &rig.journal().await).unwrap();
    assert_eq!(rig.letters().await.len(), 0);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_the_whole_topic() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let orders: Vec<_> = (0..300).map(|it| book(format!("a-{}", it % 11), 1)).collect();
    let mut sent = rig.send(&orders).await;
    rig.journal_of(300).await;
    engine.stop().await;

    rig.bus.rewind(&rig.group()).await.unwrap();
    let engine = rig.start();
    sent.extend(rig.send(&[book("a-0", 1)]).await);

    rig.journal_of(301).await;
    rig.at_rest().await;
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}
