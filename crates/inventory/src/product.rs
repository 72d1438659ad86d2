//! A product: what it is called, what it costs, and how many there are. Pure, from events to state and from
//! state to the next event.

use events::{Currency, Money};

use crate::reservation::ReservationEvent;

/// A product, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub name: String,
    pub price: Money,
    /// On the shelf, reserved ones included.
    pub on_hand: i64,
    /// Set aside for orders, and still on the shelf.
    pub reserved: i64,
    /// Left with parcels, ever.
    pub deducted: i64,
    /// How many of its events were published: those that were set off by hand.
    pub sequence: i64,
}

/// What was done to a product by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductEvent {
    Added { name: String, price: Money },
    Described { name: String, price: Money },
    Adjusted { delta: i32, reason: String },
}

/// Why something cannot be done to a product; a command for it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    UnknownProduct,
    /// The product is sold in this currency.
    CurrencyIsFixed(Currency),
    /// Fewer would be left than are reserved; as many as this could be taken away.
    BelowReserved {
        available: i64,
    },
    /// More than can be counted.
    TooMany,
}

use ProductEvent as E;
use Refusal as R;

/// Sets name and price, of a new product or a known one. Also when both are what they were: that tells the
/// product to its readers once more.
pub(crate) fn describe(known: Option<&Product>, name: &str, price: Money) -> Result<ProductEvent, R> {
    let name = name.to_owned();
    match known {
        None => Ok(E::Added { name, price }),
        Some(it) if it.price.currency == price.currency => Ok(E::Described { name, price }),
        Some(it) => Err(R::CurrencyIsFixed(it.price.currency)),
    }
}

/// Corrects the stock level: goods came in, or were counted, lost, broken.
pub(crate) fn adjust(known: Option<&Product>, delta: i32, reason: &str) -> Result<ProductEvent, R> {
    let product = known.ok_or(R::UnknownProduct)?;
    let available = product.available();
    // All that ever came in is counted, so that no later sum of its parts overflows.
    let supplied = product.on_hand.checked_add(product.deducted);
    supplied.and_then(|it| it.checked_add(delta.into())).ok_or(R::TooMany)?;
    if available + i64::from(delta) < 0 {
        return Err(R::BelowReserved { available });
    }
    Ok(E::Adjusted { delta, reason: reason.to_owned() })
}

impl Product {
    /// How many can be promised.
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// The product after an event; one that does not fit changes nothing.
    pub(crate) fn evolve(before: Option<Self>, event: &ProductEvent) -> Option<Self> {
        match (before, event) {
            (None, E::Added { name, price }) => Some(Self {
                name: name.clone(),
                price: *price,
                on_hand: 0,
                reserved: 0,
                deducted: 0,
                sequence: 1,
            }),
            (Some(it), E::Described { name, price }) => {
                Some(Self { name: name.clone(), price: *price, sequence: it.sequence + 1, ..it })
            }
            (Some(it), E::Adjusted { delta, .. }) => {
                Some(Self { on_hand: it.on_hand + i64::from(*delta), sequence: it.sequence + 1, ..it })
            }
            (unchanged, _) => unchanged,
        }
    }

    /// Moves `quantity` of it as a reservation's event says.
    pub(crate) fn follow(&mut self, event: &ReservationEvent, quantity: u32) {
        let quantity = i64::from(quantity);
        match event {
            ReservationEvent::Reserved { .. } => self.reserved += quantity,
            ReservationEvent::Released | ReservationEvent::Expired => self.reserved -= quantity,
            ReservationEvent::Deducted => {
                self.on_hand -= quantity;
                self.reserved -= quantity;
                self.deducted += quantity;
            }
            ReservationEvent::Rejected { .. }
            | ReservationEvent::Kept { .. }
            | ReservationEvent::Cancelled => {}
        }
    }
}

#[cfg(test)]
mod tests;
