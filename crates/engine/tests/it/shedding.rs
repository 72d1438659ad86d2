//! An outbox that nobody empties: nothing new is begun, and what was begun can be ended.

use std::time::{Duration, Instant};

use engine::Rejected;
use testkit::eventually;

use crate::{
    account::Twist,
    laws,
    rig::{Rig, SOON, book, twisted},
    running::Running,
};

const LIMIT: u64 = 200;

fn congested<T>(answer: &Result<T, Rejected<crate::account::Insufficient>>) -> bool {
    matches!(answer, Err(Rejected::Congested))
}

/// Waits until new work is let in, or is not.
async fn sheds(engine: &Running, wanted: bool) {
    eventually(SOON, "new work is refused, or let in", async || {
        match congested(&engine.command(book("a", 1)).await) {
            seen if seen == wanted => Ok(()),
            seen => Err(format!("refused: {seen}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_work_is_refused_while_the_outbox_is_full_and_what_was_begun_can_be_ended() {
    let rig = Rig::new().await;
    let engine = rig.engine("engine").with(|it| it.outbox_limit = LIMIT).run(|it| it != "relay");
    engine.command(twisted("begun", 1, Twist::Arm(3_600_000))).await.unwrap();
    for it in 0..LIMIT {
        // It may be full before all are in.
        if engine.command(book(format!("b-{it}"), 1)).await.is_err() {
            break;
        }
    }
    sheds(&engine, true).await;

    let before = rig.count("select count(*) from engine.outbox").await;
    assert!(before > LIMIT as i64, "{before}");
    engine.command(twisted("begun", 0, Twist::Disarm)).await.expect("what was begun is ended");
    rig.send(&[book("c", 1)]).await;
    rig.at_rest().await;
    assert_eq!(rig.count("select count(*) from engine.outbox").await, before + 2);

    let relay = rig.engine("relay").run(|it| it == "relay");
    rig.drained().await;
    sheds(&engine, false).await;
    rig.drained().await;
    laws::hold(&rig, &[]).await.unwrap();
    relay.stop().await;
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_let_in_again_only_when_there_is_room_to_spare() {
    let rig = Rig::new().await;
    // A row far below the others, as one whose key is held back: the ids alone would tell of too many.
    let rows = "insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, occurred_at)
        select uuidv7(), 'payment', 'x', 'x', clock_timestamp() from generate_series(1, 1001);
        delete from engine.outbox where outbox_id between 2 and 801";
    sqlx::raw_sql(rows).execute(&rig.pool).await.unwrap();
    let engine = rig.engine("engine").with(|it| it.outbox_limit = LIMIT).run(|it| it != "relay");
    sheds(&engine, true).await;

    sqlx::raw_sql("delete from engine.outbox where outbox_id between 802 and 810")
        .execute(&rig.pool)
        .await
        .unwrap();
    // It looks every second.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2_500) {
        assert!(congested(&engine.command(book("a", 1)).await), "let in with nine tenths full");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sqlx::raw_sql("delete from engine.outbox where outbox_id between 811 and 840")
        .execute(&rig.pool)
        .await
        .unwrap();
    sheds(&engine, false).await;
    engine.stop().await;
    rig.close().await;
}
