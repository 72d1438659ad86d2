//! A suite whose services' databases are on a Postgres that counts.

use std::collections::BTreeMap;

use audit::reads;
use bus::topics;
use futures::future::join_all;
use saga_tests::{
    Options, Suite,
    suite::{SERVICES, an_order},
    topic,
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use testkit::eventually;

use super::{
    DECLINED, DELIVERED, OUT_OF_STOCK,
    meter::{Counted, Meter},
};
use crate::PATIENCE;

/// A suite on a Postgres that counts.
pub(super) struct Counting {
    pub(super) suite: Suite,
    /// Not the services' own: what is asked here is not counted.
    pools: BTreeMap<&'static str, PgPool>,
}

impl Counting {
    pub(super) async fn start(meter: &mut Meter, flags: &[(&'static str, &'static str)]) -> Self {
        let databases = meter.databases().await;
        let pool = |service: &&'static str| {
            let url = meter.url(&format!("{service}_cost"));
            (*service, PgPoolOptions::new().max_connections(1).connect_lazy(&url).expect("a url"))
        };
        let pools = databases.keys().map(pool).collect();
        let all =
            SERVICES.into_iter().flat_map(|it| flags.iter().map(move |(flag, value)| (it, *flag, *value)));
        let flags = all.chain([("shipping", "--carrier-delay-ms", "0")]).collect();
        let suite =
            Suite::start_with(Options { databases: Some(databases), flags, ..Options::default() }).await;
        suite.stock("MUG-01", 1999, 1_000).await;
        let it = Self { suite, pools };
        // So that all that is done once has been done: plans are made, pages and partitions are there.
        for order in [DELIVERED, OUT_OF_STOCK, DECLINED] {
            it.place(1, order).await;
        }
        it.rest().await;
        it
    }

    /// Places orders and returns their ids.
    async fn place(&self, count: i64, (quantity, token): (u32, &str)) -> Vec<String> {
        let order = an_order("MUG-01", quantity, token);
        join_all((0..count).map(|_| self.suite.place(&order))).await
    }

    /// Waits until all orders have ended and everybody has read all that there is to be read.
    async fn rest(&self) {
        eventually(PATIENCE, "all is at rest", async || {
            self.is_at_rest().await.map_err(|it| it.to_string())?.map_or(Ok(()), Err)
        })
        .await;
    }

    /// Who still has something to do. What is read first can only follow from what is read after it, so that there is
    /// nothing left when all of it was found done in one go, twice.
    async fn is_at_rest(&self) -> anyhow::Result<Option<String>> {
        for _ in 0..2 {
            let open = "select count(*) from order_view where status not in ('delivered', 'cancelled')";
            let open: i64 = sqlx::query_scalar(open).fetch_one(&self.pools["order"]).await?;
            if open > 0 {
                return Ok(Some(format!("{open} orders are under way")));
            }
            for service in SERVICES {
                let left =
                    "select (select count(*) from engine.outbox) + (select count(*) from engine.effect)";
                let left: i64 = sqlx::query_scalar(left).fetch_one(&self.pools[service]).await?;
                if left > 0 {
                    return Ok(Some(format!("{service} has {left} to publish and to ask")));
                }
                let prefix = &self.suite.prefix;
                let topics: Vec<String> =
                    reads(service).iter().map(|it| topics::name(prefix, it.name())).collect();
                let progress = self.suite.bus.progress(&topics::name(prefix, service), &topics).await?;
                if let Some(it) = progress.iter().find(|it| it.committed.unwrap_or(it.low) < it.end) {
                    return Ok(Some(format!("{service} reads {} of {}", it.partition, it.topic)));
                }
            }
        }
        Ok(None)
    }

    /// What orders of one kind cost, from their POST until all is at rest; and the messages that they caused, by type.
    /// Nobody asks for them over HTTP meanwhile: that would be counted too.
    pub(super) async fn cost(
        &self,
        meter: &mut Meter,
        count: i64,
        order: (u32, &str),
    ) -> (Counted, BTreeMap<String, i64>) {
        let mark = meter.mark().await;
        let ids = self.place(count, order).await;
        self.rest().await;
        let counted = meter.since(&mark).await;
        let mut messages = BTreeMap::new();
        for aggregate in SERVICES {
            for record in topic::read(&self.suite.bus, &topics::name(&self.suite.prefix, aggregate)).await {
                let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
                if ids.contains(&key) {
                    let name =
                        String::from_utf8_lossy(record.header("ce_type").expect("a type")).into_owned();
                    *messages.entry(name.replacen("waybill.", "", 1)).or_default() += 1;
                }
            }
        }
        (counted, messages)
    }
}
