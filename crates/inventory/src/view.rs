use events::{Item, Money, OrderId, Sku, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    product::Product,
    reservation::{Reservation, State},
};

/// A product as its readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductView {
    #[schema(value_type = String, example = "MUG-01")]
    pub sku: Sku,
    pub name: String,
    #[schema(value_type = Amount)]
    pub price: Money,
    /// On the shelf, reserved ones included.
    pub on_hand: i64,
    /// Set aside for orders, and still on the shelf.
    pub reserved: i64,
    /// What can be promised: on hand and not reserved.
    pub available: i64,
}

impl ProductView {
    pub(crate) fn of(sku: Sku, product: &Product) -> Self {
        Self {
            sku,
            name: product.name.clone(),
            price: product.price,
            on_hand: product.on_hand,
            reserved: product.reserved,
            available: product.available(),
        }
    }
}

/// What is set aside for an order, as its readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReservationView {
    #[schema(value_type = uuid::Uuid)]
    pub order_id: OrderId,
    pub status: Status,
    /// What is, or was, set aside.
    #[schema(value_type = Vec<ItemView>)]
    pub items: Vec<Item>,
    /// When the reservation runs out, if it does.
    #[serde(with = "events::timestamp::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

impl ReservationView {
    pub(crate) fn of(order_id: OrderId, reservation: &Reservation) -> Self {
        Self {
            order_id,
            status: Status::of(&reservation.state),
            items: reservation.items().to_vec(),
            expires_at: reservation.expires_at(),
        }
    }
}

/// The states of a reservation by name, in the database and over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Reserved,
    Kept,
    Rejected,
    Released,
    Expired,
    Deducted,
    /// The order was cancelled before it was placed here.
    Cancelled,
}

impl Status {
    const ALL: [Self; 7] = [
        Self::Reserved,
        Self::Kept,
        Self::Rejected,
        Self::Released,
        Self::Expired,
        Self::Deducted,
        Self::Cancelled,
    ];

    pub(crate) fn of(state: &State) -> Self {
        match state {
            State::Reserved { .. } => Self::Reserved,
            State::Kept { .. } => Self::Kept,
            State::Rejected => Self::Rejected,
            State::Released { .. } => Self::Released,
            State::Expired { .. } => Self::Expired,
            State::Deducted { .. } => Self::Deducted,
            State::Cancelled => Self::Cancelled,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Kept => "kept",
            Self::Rejected => "rejected",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Deducted => "deducted",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The state of this name.
    pub(crate) fn state(self, items: Vec<Item>, expires_at: Option<Timestamp>) -> State {
        match self {
            Self::Reserved => State::Reserved { items, expires_at },
            Self::Kept => State::Kept { items },
            Self::Rejected => State::Rejected,
            Self::Released => State::Released { items },
            Self::Expired => State::Expired { items },
            Self::Deducted => State::Deducted { items },
            Self::Cancelled => State::Cancelled,
        }
    }
}

// The shapes of the published language, for the OpenAPI description alone.

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `events::Item`")]
pub(crate) struct ItemView {
    #[schema(example = "MUG-01")]
    sku: String,
    quantity: u32,
}

/// Minor units of an ISO 4217 currency: 1999 USD is 19.99 dollars.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `events::Money`")]
pub(crate) struct Amount {
    #[schema(example = 1999)]
    amount: i64,
    #[schema(example = "USD")]
    currency: String,
}
