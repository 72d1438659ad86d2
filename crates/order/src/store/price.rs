//! The price list, as inventory tells it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use engine::{Recorded, Writes};
use events::{Currency, Money, Sku};
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::decode_error;
use crate::decider::{Fact, Price};

/// The prices of those of `skus` that are products.
pub(crate) async fn prices(tx: &mut PgConnection, skus: BTreeSet<&str>) -> sqlx::Result<HashMap<Sku, Price>> {
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("select sku, name, amount, currency from price where sku = any($1)")
        .bind(skus.into_iter().collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    let price = |row: &PgRow| {
        let sku: Sku = row.try_get::<&str, _>("sku")?.parse().map_err(decode_error)?;
        let currency: Currency = row.try_get::<&str, _>("currency")?.parse().map_err(decode_error)?;
        let price = Money { amount: row.try_get("amount")?, currency };
        Ok((sku, Price { name: row.try_get("name")?, price }))
    };
    rows.iter().map(price).collect()
}

/// The last price of each product in the batch.
pub(crate) fn save_prices(writes: &mut Writes, facts: &[Recorded<Fact>]) {
    let mut prices = BTreeMap::new();
    for fact in facts {
        if let Fact::Priced(product) = &fact.event {
            prices.insert(product.sku.as_str(), product);
        }
    }
    if prices.is_empty() {
        return;
    }
    writes
        .add(
            "insert into price (sku, name, amount, currency)
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[])
         on conflict (sku) do update
         set name = excluded.name, amount = excluded.amount, currency = excluded.currency",
        )
        .bind(prices.keys().copied().collect::<Vec<_>>())
        .bind(prices.values().map(|it| it.name.as_str()).collect::<Vec<_>>())
        .bind(prices.values().map(|it| it.price.amount).collect::<Vec<_>>())
        .bind(prices.values().map(|it| it.price.currency.code()).collect::<Vec<_>>());
}
