use std::time::{Duration, Instant};

use anyhow::ensure;
use audit::number;
use fastrand::Rng;
use local::Proxy;
use tokio::time::sleep;

use super::Way;
use crate::suite::Suite;

impl Way {
    fn proxy(self, suite: &Suite) -> anyhow::Result<&Proxy> {
        match self {
            Self::Kafka => Ok(&suite.ground.to_kafka),
            Self::Postgres(service) => suite.ground.to_postgres(service),
            Self::Provider => Ok(&suite.to_provider),
        }
    }
}

pub(super) async fn slow(suite: &Suite, way: Way, hold: Duration, rng: &mut Rng) -> anyhow::Result<String> {
    let (proxy, by) = (way.proxy(suite)?, Duration::from_millis(rng.u64(50..300)));
    let before = proxy.delayed();
    proxy.delay(by);
    sleep(hold).await;
    proxy.heal();
    let count = proxy.delayed() - before;
    ensure!(count > 0, "nothing went over the way");
    Ok(format!("{} delayed by {by:?}", number(count, "piece")))
}

pub(super) async fn cut(suite: &Suite, way: Way, hold: Duration) -> anyhow::Result<String> {
    let (proxy, begun, mut count) = (way.proxy(suite)?, Instant::now(), 0);
    while begun.elapsed() < hold {
        count += proxy.cut();
        sleep(Duration::from_millis(200)).await;
    }
    ensure!(count > 0, "nobody was connected");
    Ok(format!("{} reset", number(count, "connection")))
}

pub(super) async fn half_open(suite: &Suite, way: Way, hold: Duration) -> anyhow::Result<String> {
    let proxy = way.proxy(suite)?;
    let (before, opened) = (proxy.swallowed(), proxy.opened());
    let open = proxy.silence();
    sleep(hold).await;
    let (swallowed, new) = (proxy.swallowed() - before, proxy.opened() - opened);
    proxy.heal();
    let (silent, bytes) = (number(open, "connection"), number(swallowed, "byte"));
    ensure!(open as u64 + new > 0 && swallowed > 0, "{silent} fell silent, and nobody spoke");
    Ok(format!("{silent} fell silent for good, and {new} more that were opened then; {bytes} never arrived"))
}
