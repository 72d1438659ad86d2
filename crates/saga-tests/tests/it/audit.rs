//! The auditor on a suite of processes under load: clean, and not blind.

mod changed;
mod command;
mod consumed;
mod foreign;
mod found;
mod hand;
mod in_flight;
mod odd;
mod sound;

use ::load::{Load, PLAIN, Pace};
use audit::{Options, Report, Sources};
use bus::{CloudEvent, Trace, topics};
use saga_tests::{Processes, processes::Setup};
use sqlx::{Connection, PgConnection, PgPool};
use testkit::eventually;
use uuid::Uuid;

use self::in_flight::at_least;
use crate::PATIENCE;

async fn look(sources: &Sources) -> Report {
    audit::audit(sources, &Options { patience: PATIENCE, ..Options::default() })
        .await
        .expect("everything can be looked at")
}

/// Suite, load and time enough that orders are in every state. The carrier takes a moment, so that some always are under
/// way.
async fn under_load() -> (Processes, Load) {
    let env = vec![("shipping", "CARRIER_DELAY_MS", "500".to_owned())];
    let suite = Processes::start_with(Setup { env, ..Setup::default() }).await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let load = Load::begin(&suite.target(), PLAIN, Pace::PerSecond(30), usize::MAX).expect("a load");
    at_least(&suite, 100, "order", "order_view where status = 'delivered'").await;
    (suite, load)
}

/// Whether there were orders that had not come to an end.
fn under_way(report: &Report) -> bool {
    ["placed", "confirmed", "shipped"].iter().any(|it| report.orders.contains_key(*it))
}

/// "Waybill" and a number: what the active relay holds.
const RELAY: i64 = 0x5741_5942_494c_4c01;

/// Takes the relay's lock, for which it waits as the first: nobody publishes while the connection is there.
async fn hold_relay(pool: &PgPool) -> PgConnection {
    let mut holder = PgConnection::connect_with(&pool.connect_options()).await.expect("a connection");
    let waiting = tokio::spawn(async move {
        let lock = sqlx::query("select pg_advisory_lock($1)").bind(RELAY).execute(&mut holder).await;
        lock.expect("the lock");
        holder
    });
    eventually(PATIENCE, "the lock is waited for", async || {
        let end =
            "select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and granted
            and database = (select oid from pg_database where datname = current_database())
            and exists (select from pg_locks where locktype = 'advisory' and not granted
                and database = (select oid from pg_database where datname = current_database()))";
        match sqlx::query_scalar(end).fetch_one(pool).await {
            Ok(0_i64) => Err("nobody waits".to_owned()),
            other => other.map_err(|error| error.to_string()),
        }
    })
    .await;
    waiting.await.expect("the lock")
}

/// Puts an event of an order on the topic of a service, as if that had published it: id, type, sequence and data.
async fn publish(
    suite: &Processes,
    service: &str,
    order: Uuid,
    (id, r#type, sequence, data): (Uuid, &str, Option<i64>, Vec<u8>),
) {
    let event = CloudEvent {
        id,
        source: format!("/waybill/{service}").into(),
        r#type: r#type.into(),
        subject: Some(order.to_string().into()),
        time: None,
        sequence,
        correlation_id: None,
        causation_id: None,
        actor: None,
        trace: Trace::default(),
        data: data.into(),
    };
    let record = event.into_record(topics::name(&suite.prefix, service).into(), order.to_string().into());
    let producer = suite.bus.producer().expect("a producer");
    producer.enqueue([record]).acknowledged().await.expect("it is written");
}
