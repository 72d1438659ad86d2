//! What inventory has on its shelves, and what the order service thinks that it costs.

use std::{collections::BTreeMap, num::ParseIntError};

use events::Currency;
use sqlx::{Row, postgres::PgRow};

use super::Snapshot;
use crate::{
    law::Law,
    report::{Subject, Verdicts},
    words::number,
};

/// What a product is called and what one of it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Priced {
    pub(crate) name: String,
    pub(crate) price: Price,
}

/// A price as it stands there: what a hand has made of a currency differs from another's as one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Price {
    pub(crate) amount: i64,
    pub(crate) currency: String,
}

/// The SKU of a row, and what it costs there; `whose` price it is is told if that is in no currency.
fn priced(row: &PgRow, whose: &str, verdicts: &mut Verdicts) -> sqlx::Result<(String, Priced)> {
    let (sku, currency): (String, String) = (row.try_get("sku")?, row.try_get("currency")?);
    if let Some(text) = no_currency(whose, &currency) {
        verdicts.violate(Law::Prices, Subject::Sku(sku.clone()), vec![], text);
    }
    let price = Price { amount: row.try_get("amount")?, currency };
    Ok((sku, Priced { name: row.try_get("name")?, price }))
}

fn no_currency(whose: &str, code: &str) -> Option<String> {
    code.parse::<Currency>().is_err().then(|| format!("{whose} price is in {code:?}, which is no currency"))
}

pub(super) async fn prices(
    tx: &mut Snapshot,
    verdicts: &mut Verdicts,
) -> sqlx::Result<BTreeMap<String, Priced>> {
    let rows = sqlx::query("select sku, name, amount, currency from price").fetch_all(&mut **tx).await?;
    rows.iter().map(|row| priced(row, "the order service's", verdicts)).collect()
}

pub(super) async fn products(
    tx: &mut Snapshot,
    verdicts: &mut Verdicts,
) -> sqlx::Result<BTreeMap<String, (Priced, i64)>> {
    let query = "select sku, name, price_amount as amount, price_currency as currency, sequence from product";
    let mut products = BTreeMap::new();
    for row in sqlx::query(query).fetch_all(&mut **tx).await? {
        let (sku, priced) = priced(&row, "inventory's", verdicts)?;
        let counted = row.try_get("sequence")?;
        if counted < 0 {
            let text = format!("product {sku} has counted {}", number(counted, "event"));
            verdicts.violate(Law::Published, Subject::Sku(sku.clone()), vec![], text);
        }
        products.insert(sku, (priced, counted));
    }
    Ok(products)
}

/// Per SKU, in one snapshot: every transaction that commits keeps it.
pub(super) async fn check(tx: &mut Snapshot, verdicts: &mut Verdicts) -> sqlx::Result<()> {
    let rows = sqlx::query(include_str!("stock.sql")).fetch_all(&mut **tx).await?;
    verdicts.check(Law::Stock, rows.len() as u64);
    for row in rows {
        if let Some(text) = Shelf::read(&row)?.broken() {
            verdicts.violate(Law::Stock, Subject::Sku(row.try_get("sku")?), vec![], text);
        }
    }
    Ok(())
}

/// A product's numbers beside what they should add up to: each is at most a sum of what a row can hold, so that no sum
/// of these is too high.
struct Shelf {
    on_hand: i128,
    reserved: i128,
    deducted: i128,
    seeded: i128,
    held: i128,
    gone: i128,
}

impl Shelf {
    fn read(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            on_hand: integer(row, "on_hand")?,
            reserved: integer(row, "reserved")?,
            deducted: integer(row, "deducted")?,
            seeded: integer(row, "seeded")?,
            held: integer(row, "held")?,
            gone: integer(row, "gone")?,
        })
    }

    fn broken(&self) -> Option<String> {
        let Self { on_hand, reserved, deducted, seeded, held, gone } = *self;
        let kept = on_hand + deducted == seeded
            && reserved == held
            && deducted == gone
            && (0..=on_hand).contains(&reserved);
        (!kept).then(|| {
            format!(
                "on hand {on_hand} + deducted {deducted}, of {seeded} put there; reserved {reserved}, live \
                 reservations hold {held}; {gone} left with parcels"
            )
        })
    }
}

/// A column that is the text of a whole number.
fn integer(row: &PgRow, column: &str) -> sqlx::Result<i128> {
    let number = row.try_get::<&str, _>(column)?.parse();
    number.map_err(|error: ParseIntError| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check([on_hand, reserved, deducted, seeded, held, gone]: [i64; 6], expected: Option<&str>) {
        let [on_hand, reserved, deducted] = [on_hand, reserved, deducted].map(i128::from);
        let [seeded, held, gone] = [seeded, held, gone].map(i128::from);
        let broken = Shelf { on_hand, reserved, deducted, seeded, held, gone }.broken();
        assert_eq!(broken.as_deref(), expected);
    }

    #[test]
    fn a_shelf_adds_up_whatever_its_numbers_are() {
        check([7, 2, 3, 10, 2, 3], None);
        check([0, 0, 0, 0, 0, 0], None);
        let told = "on hand 9223372036854775807 + deducted 3, of 10 put there; reserved 2, live reservations hold 2; \
             3 left with parcels";
        check([i64::MAX, 2, 3, 10, 2, 3], Some(told));
        let told = "on hand 1 + deducted 0, of 1 put there; reserved 2, live reservations hold 2; 0 left with parcels";
        check([1, 2, 0, 1, 2, 0], Some(told));
    }

    #[test]
    fn a_price_is_in_a_currency() {
        assert_eq!(no_currency("inventory's", "USD"), None);
        for code in ["usd", "QQQ", ""] {
            let told = format!("inventory's price is in {code:?}, which is no currency");
            assert_eq!(no_currency("inventory's", code), Some(told));
        }
    }
}
