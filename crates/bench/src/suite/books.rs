use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use audit::{Options, SERVICES, Sources};
use sqlx::AssertSqlSafe;
use tokio::time::sleep;

use super::Suite;
use crate::{figures::PROVIDER, progress::Progress, stage::Given};

/// Orders that have not ended, or whose compensation has not.
const OPEN: &str = "order_view where status not in ('delivered', 'cancelled')
    or 'pending' in (coalesce(stock_compensation, ''), coalesce(payment_compensation, ''))";

const UNDER_WAY: &str = "orders under way";
/// Whoever waits for the end of many orders is told how many are left.
const TELL_EVERY: Duration = Duration::from_secs(10);

impl Suite {
    /// Waits for rest and has the books audited: why they are not in order. What is accepted has to be there; so may
    /// some of what was not answered.
    pub(crate) async fn audit(
        &self,
        given: Given,
        patience: Duration,
        progress: &Progress<'_>,
    ) -> anyhow::Result<Vec<String>> {
        let (mut failures, Given { accepted, unanswered }) = (Vec::new(), given);
        let left = self.rest(patience, progress).await?;
        if !left.is_empty() {
            failures.push(format!("nothing has got on for {patience:?}, and there are {left:?}"));
        }
        let there = self.count("order", "order_view").await?;
        if !(accepted..=accepted + unanswered).contains(&there) {
            failures.push(format!("{accepted} orders were accepted, and {there} are there"));
        }
        let sources = Sources {
            databases: self.pools.clone(),
            bus: self.ground.bus.clone(),
            topic_prefix: self.prefix.clone(),
            http: self.http.clone(),
            provider_url: format!("http://{}", self.at(PROVIDER)?),
        };
        // All ids are made by the one clock of this machine.
        let report = audit::audit(&sources, &Options { patience, clocks: Duration::ZERO }).await?;
        failures.extend(report.violations.iter().map(|it| format!("{}: {}", it.law.name(), it.text)));
        failures
            .extend(report.findings.iter().map(|it| format!("{} {:?}: {}", it.service, it.kind, it.text)));
        Ok(failures)
    }

    /// Waits until nothing is left to do anywhere, for as long as it gets less; what is left all the same.
    pub(crate) async fn rest(
        &self,
        patience: Duration,
        progress: &Progress<'_>,
    ) -> anyhow::Result<BTreeMap<String, u64>> {
        let (mut least, mut since) = (u64::MAX, Instant::now());
        let mut told = Instant::now();
        loop {
            let mut left = BTreeMap::new();
            left.insert(UNDER_WAY.to_owned(), self.count("order", OPEN).await?);
            for service in SERVICES {
                for table in ["outbox", "effect", "dead_letter"] {
                    let rows = self.count(service, &format!("engine.{table}")).await?;
                    left.insert(format!("rows in {table} of {service}"), rows);
                }
            }
            left.retain(|_, count| *count > 0);
            let sum = left.values().sum();
            if sum < least {
                (least, since) = (sum, Instant::now());
            }
            if left.is_empty() || since.elapsed() > patience {
                return Ok(left);
            }
            if told.elapsed() > TELL_EVERY {
                progress.tell(&format!("{} orders are under way yet", left.get(UNDER_WAY).unwrap_or(&0)));
                told = Instant::now();
            }
            sleep(Duration::from_millis(300)).await;
        }
    }

    async fn count(&self, service: &str, from: &str) -> anyhow::Result<u64> {
        let query = AssertSqlSafe(format!("select count(*) from {from}"));
        let count: i64 = sqlx::query_scalar(query).fetch_one(&self.pools[service]).await?;
        Ok(count.unsigned_abs())
    }
}
