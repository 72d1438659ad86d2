//! What a mix orders has to be on sale.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    Mix, Target,
    call::{call, one_connection_a_request},
    clients::AGAIN,
    wish::{PLENTY, RARE, TOO_MANY, an_order},
};

const SHELF: i64 = 5_000_000;
/// A product that nobody puts on sale.
const NOTHING: &str = "LOAD-NOTHING";

impl Mix {
    /// Puts on the shelves what `orders` of this mix may take, and less of what is to run out; returns when the order
    /// service knows the prices. The products are the load's own, whatever else the suite sells. May be done again,
    /// for another load.
    pub async fn stock(&self, target: &Target, orders: usize) -> anyhow::Result<()> {
        let client = one_connection_a_request()?;
        for sku in PLENTY {
            put(&client, target, sku, SHELF).await.with_context(|| format!("putting {sku} on sale"))?;
        }
        let rare = i64::try_from(orders).unwrap_or(i64::MAX).saturating_mul(i64::from(self.rare)) / 2_000;
        let rare = rare.clamp(1, i64::from(TOO_MANY) - 1);
        put(&client, target, RARE, rare).await.with_context(|| format!("putting {RARE} on sale"))?;
        priced(&client, target).await.context("waiting for the order service's prices")
    }
}

/// Brings what can be promised of a product to `level`.
async fn put(client: &Client, target: &Target, sku: &str, level: i64) -> anyhow::Result<()> {
    let url = format!("{}/products/{sku}", target.inventory_url);
    let product = json!({"name": sku, "price": {"amount": 1999, "currency": "USD"}});
    let (status, body) =
        call(client.put(&url).json(&product)).await.map_err(|it| anyhow::anyhow!("{it:?}"))?;
    ensure!(matches!(status, 200 | 201), "inventory answers {status} {body}");
    let available = body["available"].as_i64().context("inventory does not say what is available")?;
    if available == level {
        return Ok(());
    }
    let adjustment = json!({"delta": level - available, "reason": "for a load"});
    let post = client.post(format!("{url}/adjustments")).json(&adjustment);
    let (status, body) = call(post).await.map_err(|it| anyhow::anyhow!("{it:?}"))?;
    ensure!(status == 200, "inventory answers {status} {body}");
    Ok(())
}

/// Asks for all products and for one that does not exist: that is always refused, and tells of each product that the
/// order service has not heard of.
async fn priced(client: &Client, target: &Target) -> anyhow::Result<()> {
    let skus = [NOTHING].into_iter().chain(PLENTY).chain([RARE]);
    let mut order = an_order(NOTHING, 1, "pm_card_visa");
    order["lines"] = skus.map(|sku| json!({"sku": sku, "quantity": 1})).collect();
    let begun = Instant::now();
    loop {
        let post = client.post(format!("{}/orders", target.order_url)).json(&order);
        let (status, body) = call(post).await.map_err(|it| anyhow::anyhow!("{it:?}"))?;
        ensure!(status == 422, "an order for {NOTHING} is answered with {status} {body}");
        let wrong = body["errors"].as_array().into_iter().flatten().map(|it| &it["pointer"]);
        let wrong: Vec<&Value> = wrong.collect();
        if wrong == [&json!("/lines/0/sku")] {
            return Ok(());
        }
        if begun.elapsed() >= target.patience {
            bail!("not all products can be ordered after {:?}: {body}", target.patience);
        }
        sleep(AGAIN).await;
    }
}
