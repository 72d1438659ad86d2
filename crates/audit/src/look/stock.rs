//! What inventory has on its shelves, and what the order service thinks that it costs.

use std::collections::BTreeMap;

use events::Money;
use sqlx::{Row, postgres::PgRow};

use super::Snapshot;
use crate::{
    law::Law,
    report::{Subject, Verdicts},
};

/// What a product is called and what one of it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Priced {
    pub(crate) name: String,
    pub(crate) price: Money,
}

pub(super) fn money(amount: i64, currency: &str) -> anyhow::Result<Money> {
    Ok(Money { amount, currency: currency.parse()? })
}

fn priced(row: &PgRow) -> anyhow::Result<Priced> {
    let price = money(row.try_get("amount")?, row.try_get("currency")?)?;
    Ok(Priced { name: row.try_get("name")?, price })
}

pub(super) async fn prices(tx: &mut Snapshot) -> anyhow::Result<BTreeMap<String, Priced>> {
    let rows = sqlx::query("select sku, name, amount, currency from price").fetch_all(&mut **tx).await?;
    rows.iter().map(|row| Ok((row.try_get("sku")?, priced(row)?))).collect()
}

pub(super) async fn products(tx: &mut Snapshot) -> anyhow::Result<BTreeMap<String, (Priced, i64)>> {
    let query = "select sku, name, price_amount as amount, price_currency as currency, sequence from product";
    let rows = sqlx::query(query).fetch_all(&mut **tx).await?;
    rows.iter().map(|row| Ok((row.try_get("sku")?, (priced(row)?, row.try_get("sequence")?)))).collect()
}

/// Per SKU, in one snapshot: every transaction that commits keeps it.
pub(super) async fn check(tx: &mut Snapshot, verdicts: &mut Verdicts) -> anyhow::Result<()> {
    let rows = sqlx::query(include_str!("stock.sql")).fetch_all(&mut **tx).await?;
    verdicts.check(Law::Stock, rows.len() as u64);
    for row in rows {
        let [on_hand, reserved, deducted, seeded, held, gone] =
            ["on_hand", "reserved", "deducted", "seeded", "held", "gone"].map(|it| row.try_get::<i64, _>(it));
        let (on_hand, reserved, deducted) = (on_hand?, reserved?, deducted?);
        let (seeded, held, gone) = (seeded?, held?, gone?);
        if on_hand + deducted == seeded
            && reserved == held
            && deducted == gone
            && (0..=on_hand).contains(&reserved)
        {
            continue;
        }
        let sku: String = row.try_get("sku")?;
        let text = format!(
            "on hand {on_hand} + deducted {deducted}, of {seeded} put there; reserved {reserved}, live reservations \
             hold {held}; {gone} left with parcels"
        );
        verdicts.violate(Law::Stock, Subject::Sku(sku), vec![], text);
    }
    Ok(())
}
