//! Transactions that honestly need longer than they are given.

use std::time::Duration;

use futures::future::join_all;
use testkit::eventually;

use crate::{
    laws,
    rig::{Rig, SOON, book},
    running::Running,
};

const ATTEMPT: Duration = Duration::from_secs(2);

impl Rig {
    /// From now on each line of the journal takes so long to be written.
    async fn slow_down(&self, each: Duration) {
        let sql = format!(
            "create or replace function slow() returns trigger language plpgsql as
                 $$ begin perform pg_sleep({}); return new; end $$;
             create or replace trigger slow before insert on journal for each row execute function slow()",
            each.as_secs_f64()
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&self.pool).await.unwrap();
    }

    /// An engine whose transactions have [`ATTEMPT`], and leave no locks behind for long.
    fn impatient(&self) -> Running {
        let seen_soon = [("client_connection_check_interval", "200ms")];
        let engine = self.engine("engine").with(|it| it.options = it.options.clone().options(seen_soon));
        engine.attempt(ATTEMPT).run(|_| true)
    }

    /// How many lines of the journal each transaction has written, the most first.
    async fn parts(&self) -> Vec<i64> {
        let sql = "select count(*) from journal group by xmin::text order by 1 desc";
        sqlx::query_scalar(sql).fetch_all(&self.pool).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_needs_longer_than_it_is_given_is_done_in_parts() {
    let rig = Rig::new().await;
    rig.slow_down(Duration::from_millis(300)).await;
    let orders: Vec<_> = (0..24).map(|it| book(format!("a-{}", it % 3), 1)).collect();
    let sent = rig.send(&orders).await;

    let engine = rig.impatient();
    rig.journal_of(24).await;

    let parts = rig.parts().await;
    assert!(parts.len() >= 4 && parts[0] <= 6, "{parts:?}: more is not done in {ATTEMPT:?}");

    // What is quick is done in large parts again.
    rig.slow_down(Duration::ZERO).await;
    let quick: Vec<_> = (0..400).map(|it| book(format!("b-{}", it % 3), 1)).collect();
    let sent = [sent, rig.send(&quick).await].concat();
    rig.journal_of(424).await;
    assert!(rig.parts().await[0] > 24, "{:?}", rig.parts().await);

    rig.at_rest().await;
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

/// Commands that are turned away together come back together, as do deadlines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_need_longer_together_are_carried_out_in_parts() {
    let rig = Rig::new().await;
    rig.slow_down(Duration::from_millis(300)).await;
    let engine = rig.impatient();

    let again = async |it: usize| {
        eventually(SOON, "the command is carried out", async || {
            engine.command(book(format!("a-{it}"), 1)).await.map_err(|error| format!("{error:?}"))
        })
        .await
    };
    join_all((0..24).map(again)).await;

    let parts = rig.parts().await;
    assert!(parts[0] <= 6, "{parts:?}: more is not done in {ATTEMPT:?}");
    engine.stop().await;
    rig.close().await;
}

/// Longer than a consumer may show no progress.
const STUCK: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_input_that_needs_longer_is_tried_until_it_is_done_and_the_service_is_not_ready() {
    let rig = Rig::new().await;
    rig.slow_down(2 * ATTEMPT).await;
    let sent = rig.send(&[book("a", 1), book("a", 2)]).await;
    let engine = rig.impatient();

    eventually(STUCK, "the consumer counts as stuck", async || match engine.health.consumers() {
        Err(error) if error.starts_with("no progress") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!((rig.journal().await.len(), rig.letters().await.len()), (0, 0));

    rig.slow_down(Duration::ZERO).await;
    rig.journal_of(2).await;
    engine.health.consumers().unwrap();
    rig.at_rest().await;
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}
