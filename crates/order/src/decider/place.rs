//! Placing an order: what the request asks for becomes lines with the shop's prices, or is refused.

use engine::{Deadline, Decided, Decision, Declined, Timestamp};
use events::{Address, Currency, Customer, Line, Money, OrderId, OrderPlaced, Sku};

use super::{CONFIRMATION, Fact, Orders, Price, Refusal, World};
use crate::order::{self, OrderEvent};

/// An order that somebody wants to place; prices are not theirs to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    pub order_id: OrderId,
    pub customer: Customer,
    pub currency: Currency,
    /// Each SKU once, with a quantity above zero.
    pub lines: Vec<(Sku, u32)>,
    pub ship_to: Address,
    pub payment_method: String,
}

impl Orders {
    pub(super) fn place(&self, world: &World, order: &PlaceOrder, at: Timestamp) -> Decided<Self> {
        if world.orders.contains_key(&order.order_id) {
            return Ok(Decision::nothing());
        }
        let (lines, total) = price(world, order).map_err(Declined::Refused)?;
        let placed = OrderPlaced {
            order_id: order.order_id,
            customer: order.customer.clone(),
            currency: order.currency,
            lines,
            total,
            ship_to: order.ship_to.clone(),
            payment_method: order.payment_method.clone(),
            placed_at: at,
        };
        let deadline =
            Deadline::Set { key: order.order_id.to_string(), kind: CONFIRMATION, after: self.confirm_within };
        let placed = Fact::Order(order.order_id, OrderEvent::Placed(placed.into()));
        Ok(Decision::events([placed]).with_deadline(deadline))
    }
}

/// The lines with their prices and the total; or all that is wrong, with pointers into the request.
fn price(world: &World, order: &PlaceOrder) -> Result<(Vec<Line>, Money), Refusal> {
    let mut lines = Vec::with_capacity(order.lines.len());
    let mut wrong = Vec::new();
    for (index, (sku, quantity)) in order.lines.iter().enumerate() {
        match price_line(world.prices.get(sku), order.currency, sku, *quantity) {
            Ok(line) => lines.push(line),
            Err(detail) => wrong.push((format!("/lines/{index}/sku"), detail)),
        }
    }
    if !wrong.is_empty() {
        return Err(Refusal::Invalid(wrong));
    }
    let refuse = |detail: &str| Err(Refusal::Invalid(vec![("/lines".into(), detail.into())]));
    match order::total(Money::zero(order.currency), &lines) {
        // Providers refuse a payment of nothing, so that such an order could never be confirmed.
        Some(total) if total.amount <= 0 => refuse("the total must be more than zero"),
        Some(total) => Ok((lines, total)),
        None => refuse("the total is more than an amount can be"),
    }
}

fn price_line(price: Option<&Price>, currency: Currency, sku: &Sku, quantity: u32) -> Result<Line, String> {
    let Some(Price { name, price }) = price else { return Err(format!("there is no product {sku}")) };
    if price.currency != currency {
        return Err(format!("{sku} is sold in {}, not in {currency}", price.currency));
    }
    Ok(Line { sku: sku.clone(), name: name.clone(), quantity, unit_price: *price })
}
