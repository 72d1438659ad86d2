//! The shop of the model: two products, one order.

use engine::{Arrival, Decider as _, Publication};
use events::{Currency, EventType, Money, OrderId};
use order::PlaceOrder;
use uuid::Uuid;

use super::Scenario;

pub(super) const ORDER_ID: OrderId = OrderId(Uuid::from_u128(1));

/// What the order asks for, and what it costs.
const LINES: [(&str, u32, i64); 2] = [("MUG-01", 2, 1_999), ("TEA-02", 1, 950)];
pub(super) const TOTAL: i64 = 2 * 1_999 + 950;

/// How many of each product there are at first: all that there is room for, or too few of the last.
pub(super) fn seeded(scenario: &Scenario) -> [(&'static str, i64); 2] {
    [("MUG-01", 5), ("TEA-02", if scenario.in_stock { 1 } else { 0 })]
}

/// The products come in.
pub(super) fn stocked(scenario: &Scenario) -> Vec<inventory::Input> {
    let mut inputs = Vec::new();
    for ((sku, on_hand), (_, _, amount)) in seeded(scenario).into_iter().zip(LINES) {
        let sku: events::Sku = sku.parse().expect("a SKU");
        let price = Money { amount, currency: Currency::USD };
        let (delta, reason) = (on_hand as i32, "goods received".into());
        inputs.push(inventory::Input::Describe { sku: sku.clone(), name: sku.to_string(), price });
        inputs.push(inventory::Input::Adjust { sku, delta, reason });
    }
    inputs
}

/// What the order service reads of the products.
pub(super) fn priced(told: &[Publication]) -> Vec<order::Input> {
    let read = |it: &Publication| {
        let event_type = EventType::parse(it.r#type).expect("a type");
        let arrival = Arrival { name: event_type.name, version: event_type.version, data: &it.data };
        order::Orders::default().read(&arrival).expect("an event").expect("a product")
    };
    told.iter().map(read).collect()
}

pub(super) fn place(scenario: &Scenario) -> order::Input {
    let lines = LINES.map(|(sku, quantity, _)| (sku.parse().expect("a SKU"), quantity));
    order::Input::Place(Box::new(PlaceOrder {
        order_id: ORDER_ID,
        customer: events::Customer {
            id: "c-1".parse().expect("an id"),
            name: "Ada".into(),
            email: "ada@example.com".into(),
        },
        currency: Currency::USD,
        lines: lines.into(),
        ship_to: events::Address {
            name: "Ada".into(),
            line1: "12 Analytical St".into(),
            line2: None,
            city: "London".into(),
            postal_code: "N1".into(),
            country: "GB".into(),
        },
        payment_method: scenario.card.into(),
    }))
}
