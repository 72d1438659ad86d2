//! An event that a service has read, and that has had no effect there.

use std::time::Duration;

use ::load::{PLAIN, an_order};
use audit::{Law, Violation};
use bus::topics;
use events::{Event as _, OrderId, PaymentAuthorized};
use saga_tests::processes::Setup;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use testkit::eventually;
use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

use super::{PATIENCE, Processes, at_least, look, publish};

/// Another authorisation of an order, which changes nothing.
pub(super) fn authorized(order: Uuid) -> Vec<u8> {
    let event = PaymentAuthorized {
        order_id: OrderId(order),
        amount: "USD".parse().map(|currency| events::Money { amount: 1999, currency }).expect("a currency"),
        provider_reference: "pi_1".into(),
    };
    serde_json::to_vec(&event).expect("JSON")
}

/// Two events that a service has taken in, of a day that its inbox may have dropped and of today.
pub(super) struct TakenIn {
    old: Uuid,
    pub(super) lost: Uuid,
}

impl TakenIn {
    /// Publishes both, of an order that has ended, and waits until the order service has them.
    pub(super) async fn publish(suite: &Processes, order: Uuid) -> Self {
        let ago = OffsetDateTime::now_utc() - Duration::from_secs(30 * 24 * 3_600);
        let ago = Timestamp::from_unix(NoContext, ago.unix_timestamp().unsigned_abs(), 0);
        let it = Self { old: Uuid::new_v7(ago), lost: Uuid::now_v7() };
        for event in [it.old, it.lost] {
            let event = (event, PaymentAuthorized::TYPE, None, authorized(order));
            publish(suite, "payment", order, event).await;
        }
        let taken = format!("engine.inbox where event_id in ('{}', '{}')", it.old, it.lost);
        at_least(suite, 2, "order", &taken).await;
        it
    }

    pub(super) async fn forget(&self, suite: &Processes) {
        let delete =
            sqlx::query("delete from engine.inbox where event_id = any($1)").bind([self.old, self.lost]);
        assert_eq!(delete.execute(&suite.pools["order"]).await.expect("a delete").rows_affected(), 2);
    }
}

pub(super) async fn place(suite: &Processes) -> Uuid {
    place_with(suite, "pm_card_visa").await
}

pub(super) async fn place_with(suite: &Processes, token: &str) -> Uuid {
    let post = suite.http.post(suite.url("order", "/orders")).json(&an_order("LOAD-MUG", 1, token));
    let placed: Value = post.send().await.expect("an answer").json().await.expect("JSON");
    placed["order_id"].as_str().and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{placed}"))
}

/// Inventory does not write its inbox, and shipping stores offsets before it commits: killed with a transaction open,
/// it loses what that was about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_forget_or_lose_what_they_have_read_are_found() {
    let mutant = |service, name: &str| (service, "WAYBILL_MUTANT", name.to_owned());
    let env = vec![mutant("inventory", "no-inbox"), mutant("shipping", "offset-before-commit")];
    let mut suite = Processes::start_with(Setup { env, ..Setup::default() }).await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let mut holder =
        PgConnection::connect_with(&suite.pools["shipping"].connect_options()).await.expect("a connection");
    let mut holder = holder.begin().await.expect("a transaction");
    let lock = sqlx::query("lock table shipment in access exclusive mode");
    lock.execute(&mut *holder).await.expect("the lock");

    let id = place(&suite).await;
    let (group, topic) = (topics::name(&suite.prefix, "shipping"), topics::name(&suite.prefix, "order"));
    eventually(PATIENCE, "the confirmation, after the placing, is read past", async || {
        let progress = suite.bus.progress(&group, std::slice::from_ref(&topic)).await;
        let progress = progress.map_err(|error| error.to_string())?;
        if progress.iter().any(|it| it.committed >= Some(2)) { Ok(()) } else { Err(format!("{progress:?}")) }
    })
    .await;
    suite.kill("shipping").await;
    holder.rollback().await.expect("the lock is given back");
    suite.restart("shipping");
    suite.ready("shipping").await;
    let report = look(&suite.sources()).await;
    suite.clear().await;

    let consumed = report.violations.iter().filter(|it| it.law == Law::Consumed);
    let told = |service: &str, name: &str| {
        let by = |it: &&Violation| it.text.split(" read past").next().is_some_and(|it| it.contains(service));
        let named = |it: &&Violation| it.order_id == Some(id) && it.events[0].contains(name);
        consumed.clone().filter(by).filter(named).count()
    };
    assert_eq!(told("shipping", "waybill.order.confirmed."), 1, "{:#?}", report.violations);
    assert_eq!(told("inventory", "waybill.order.placed."), 1, "{:#?}", report.violations);
    assert_eq!(told("payment", "waybill."), 0, "{:#?}", report.violations);
}
