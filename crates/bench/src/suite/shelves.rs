use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use hyper::Method;
use serde_json::json;
use tokio::time::sleep;

use super::Suite;
use crate::{
    http::Connection,
    orders::{NONE, PLENTY, sku},
};

const SHELF: u32 = 5_000_000;
const CONNECTIONS: usize = 16;
const KNOWN: Duration = Duration::from_secs(60);

impl Suite {
    /// Puts all products on sale, and pieces of those on the shelves that there are any of; returns when the order
    /// service knows every price.
    pub(super) async fn stock(&self) -> anyhow::Result<()> {
        let to = self.at("inventory")?;
        try_join_all((0..CONNECTIONS).map(async |first| {
            let mut connection = Connection::new(to);
            for number in (first..PLENTY + NONE).step_by(CONNECTIONS) {
                put(&mut connection, number)
                    .await
                    .with_context(|| format!("putting {} on sale", sku(number)))?;
            }
            anyhow::Ok(())
        }))
        .await?;
        let begun = Instant::now();
        loop {
            let known: i64 =
                sqlx::query_scalar("select count(*) from price").fetch_one(&self.pools["order"]).await?;
            if known.unsigned_abs() as usize == PLENTY + NONE {
                return Ok(());
            }
            ensure!(begun.elapsed() < KNOWN, "the order service knows {known} prices after {KNOWN:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn put(connection: &mut Connection, number: usize) -> anyhow::Result<()> {
    let path = format!("/products/{}", sku(number));
    let product = json!({"name": sku(number), "price": {"amount": 1999, "currency": "USD"}}).to_string();
    let answer = connection.send(Method::PUT, &path, None, product).await?;
    ensure!(answer.status.is_success(), "{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    if number >= PLENTY {
        return Ok(());
    }
    let (path, pieces) = (format!("{path}/adjustments"), json!({"delta": SHELF, "reason": "for a bench"}));
    let answer = connection.send(Method::POST, &path, None, pieces.to_string()).await?;
    ensure!(answer.status.is_success(), "{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(())
}
