//! What is in flight is no violation, however long it is.

use audit::{Kind, Options, Report};
use sqlx::{Connection, PgConnection};
use testkit::eventually;

use super::{PATIENCE, Processes, look, under_load};
use crate::all_have_ended;

pub(super) async fn at_least(suite: &Processes, count: i64, service: &str, from: &str) {
    eventually(PATIENCE, from, async || match suite.count(service, from).await {
        now if now >= count => Ok(()),
        now => Err(format!("{now} of {count}")),
    })
    .await;
}

const CONFIRMED: &str = "order_view where status = 'confirmed' and paid";

/// What is under way is judged when it is over, also behind a consumer that stands still; that one is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_stands_still_is_found_and_breaks_nothing() {
    let (mut suite, load) = under_load().await;
    suite.freeze("shipping").await;
    at_least(&suite, 50, "order", CONFIRMED).await;
    let between = between_two_looks(&mut suite).await;
    suite.freeze("shipping").await;
    at_least(&suite, 50, "order", CONFIRMED).await;
    let tally = load.stop().await;

    // Nothing but an unread record is under way for a confirmed order that shipping has not heard of: it looks as if
    // it stood still for good.
    let patience = std::time::Duration::from_secs(3);
    let report = audit::audit(&suite.sources(), &Options { patience, ..Options::default() })
        .await
        .expect("it can look");
    suite.thaw("shipping");
    all_have_ended(&suite, &tally, 4 * PATIENCE).await;
    suite.finish().await;

    assert!(between.violations.is_empty(), "{:#?}", between.violations);
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(report.in_flight >= 50, "{report:#?}");
    let stands = |it: &&audit::Finding| it.kind == Kind::Consumer && it.text.contains("does not move");
    assert!(report.findings.iter().filter(stands).any(|it| it.service == "shipping"), "{report:#?}");
}

/// Thaws shipping while an auditor is between its looks at two databases, so that parcels leave and arrive meanwhile:
/// what is looked at later shows their causes.
async fn between_two_looks(suite: &mut Processes) -> Report {
    let (pool, sources) = (suite.pools["inventory"].clone(), suite.sources());
    let mut holder = PgConnection::connect_with(&pool.connect_options()).await.expect("a connection");
    let mut holder = holder.begin().await.expect("a transaction");
    sqlx::query("lock table reservation in access exclusive mode")
        .execute(&mut *holder)
        .await
        .expect("the lock");
    let auditing = tokio::spawn(async move { look(&sources).await });
    let waits =
        "pg_stat_activity where wait_event_type = 'Lock' and query like '%from reservation%is null or%'";
    let waits = format!("{waits} and datname = '{}'", pool.connect_options().get_database().expect("a name"));
    at_least(suite, 1, "inventory", &waits).await;
    let shipped = suite.count("order", "order_view where status in ('shipped', 'delivered')").await;
    suite.thaw("shipping");
    at_least(suite, shipped + 20, "order", "order_view where status in ('shipped', 'delivered')").await;
    holder.rollback().await.expect("the lock is given back");
    auditing.await.expect("an auditor that can look")
}
