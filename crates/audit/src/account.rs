//! Where the money of one order is: at the provider, by payment, and by the order itself.

use anyhow::Context;
use order::Status;
use serde::Deserialize;
use sqlx::Row;
use uuid::Uuid;

use crate::{
    Sources,
    answer::answered,
    ledger::{self, Intent},
    seen::{Moving, Paying},
};

/// What is known of one order's money. The provider was asked first, then payment, then the order: what the ledger
/// has was caused by what the others say, or by nobody here. Shipping comes last: a parcel may have left meanwhile.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// None: it was never placed.
    pub order: Option<Standing>,
    /// None: payment has never heard of it.
    pub payment: Option<Payment>,
    pub intents: Vec<Intent>,
    /// Inventory knows it, whatever came of its reservation.
    pub reserved: bool,
    /// None: shipping has never heard of it.
    pub parcel: Option<Parcel>,
}

/// Where an order's parcel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parcel {
    /// Not on its way, or stopped.
    Here,
    /// Whatever the others say of the order, the customer has it or will.
    Left,
}

/// How an order stands, by its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub status: Status,
    /// Shipping has been asked to stop the parcel.
    pub cancelling: bool,
}

/// What payment says of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub holds: Holds,
    /// The intent that it knows; none before it is authorised.
    pub reference: Option<String>,
}

/// What payment has of the customer's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Nothing was asked for yet.
    Nothing,
    /// It is asking the provider: what comes of it is not known.
    Unsure,
    /// It is held on the card, or taken.
    Money,
    /// None, for good.
    NoMore,
}

impl Holds {
    fn of(status: Paying, asks: bool) -> Self {
        match status {
            _ if asks => Self::Unsure,
            Paying::Authorizing | Paying::Capturing | Paying::Voiding | Paying::Refunding => Self::Unsure,
            Paying::Awaiting => Self::Nothing,
            Paying::Authorized | Paying::Captured => Self::Money,
            Paying::Voided | Paying::Refunded | Paying::Declined | Paying::Cancelled => Self::NoMore,
        }
    }
}

/// Looks at the money of one order, now.
pub async fn account(sources: &Sources, order: Uuid) -> anyhow::Result<Account> {
    let intents = ledger::of_order(sources, order).await?;
    let query = "select status, reference, exists (select from engine.effect where key = $2) as asks
        from payment where order_id = $1";
    let row = sqlx::query(query).bind(order).bind(order.to_string());
    let pool = sources.database("payment")?;
    let row = answered(pool, row.fetch_optional(pool)).await.context("looking at the payment")?;
    let payment = row.map(|it| {
        let holds = Holds::of(Paying::parse(it.try_get("status")?)?, it.try_get("asks")?);
        anyhow::Ok(Payment { holds, reference: it.try_get("reference")? })
    });
    let row = sqlx::query("select status, cancelling from order_view where order_id = $1").bind(order);
    let pool = sources.database("order")?;
    let row = answered(pool, row.fetch_optional(pool)).await.context("looking at the order")?;
    let standing = row.map(|it| {
        let status: &str = it.try_get("status")?;
        let status =
            Status::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(status))?;
        anyhow::Ok(Standing { status, cancelling: it.try_get("cancelling")? })
    });
    let reserved = sqlx::query_scalar("select exists (select from reservation where order_id = $1)");
    let pool = sources.database("inventory")?;
    let reserved = answered(pool, reserved.bind(order).fetch_one(pool)).await;
    let reserved = reserved.context("looking at the reservation")?;
    let parcel = parcel(sources, order).await?;
    Ok(Account { order: standing.transpose()?, payment: payment.transpose()?, intents, reserved, parcel })
}

async fn parcel(sources: &Sources, order: Uuid) -> anyhow::Result<Option<Parcel>> {
    let status = sqlx::query_scalar("select status from shipment where order_id = $1").bind(order);
    let pool = sources.database("shipping")?;
    let status = answered(pool, status.fetch_optional(pool)).await;
    let status: Option<String> = status.context("looking at the shipment")?;
    let of = |it: String| match Moving::parse(&it)? {
        Moving::Dispatched | Moving::Delivered => anyhow::Ok(Parcel::Left),
        _ => Ok(Parcel::Here),
    };
    status.map(of).transpose()
}
