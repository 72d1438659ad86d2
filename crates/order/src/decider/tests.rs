mod placing;
mod properties;
mod races;
mod table;
mod walks;

use events::{Address, Customer, Event as _, OrderPlaced, StockReserved};
use expect_test::expect;
use time::macros::datetime;

use super::*;
use crate::order::{State, every::every};

const AT: Timestamp = datetime!(2025-08-19 09:30 UTC);

fn id(number: u128) -> OrderId {
    OrderId(uuid::Uuid::from_u128(number))
}

fn money(amount: i64, currency: &str) -> Money {
    Money { amount, currency: currency.parse().unwrap() }
}

fn product(sku: &str, amount: i64, currency: &str) -> ProductChanged {
    let price = money(amount, currency);
    ProductChanged { sku: sku.parse().unwrap(), name: format!("Product {sku}"), price, on_hand: 10 }
}

fn wants(order_id: OrderId, currency: &str, lines: &[(&str, u32)]) -> PlaceOrder {
    PlaceOrder {
        order_id,
        customer: Customer {
            id: "c-1".parse().unwrap(),
            name: "Ada Lovelace".into(),
            email: "ada@example.com".into(),
        },
        currency: currency.parse().unwrap(),
        lines: lines.iter().map(|(sku, quantity)| (sku.parse().unwrap(), *quantity)).collect(),
        ship_to: Address {
            name: "Ada Lovelace".into(),
            line1: "12 Analytical St".into(),
            line2: None,
            city: "London".into(),
            postal_code: "N1".into(),
            country: "GB".into(),
        },
        payment_method: "pm_card_visa".into(),
    }
}

/// The world after `inputs`, all of which have to be carried out.
fn world(inputs: &[Input]) -> World {
    let mut world = World::default();
    for input in inputs {
        step(&mut world, input).unwrap();
    }
    world
}

/// Decides and evolves as the engine does; what is published comes along.
fn step(world: &mut World, input: &Input) -> Result<(Decision<Fact>, Vec<Publication>), Declined<Refusal>> {
    let decision = Orders::default().decide(world, input, AT)?;
    let mut published = Vec::new();
    for fact in &decision.events {
        Orders::default().evolve(world, fact);
        published.extend(Orders::default().publish(world, fact));
    }
    Ok((decision, published))
}

const UNTIL: Timestamp = datetime!(2025-08-19 10:30 UTC);

// One of each input, all of the same order.
every! { inputs: Input {
    Input::Place(_) => [Input::Place(wants(id(1), "USD", &[("MUG-01", 2)]).into())],
    Input::StockReserved(..) => [Input::StockReserved(id(1), Some(UNTIL))],
    Input::PaymentAuthorized(_) => [Input::PaymentAuthorized(id(1))],
    Input::PaymentCaptured(_) => [Input::PaymentCaptured(id(1))],
    Input::Dispatched(..) => [Input::Dispatched(id(1), "WB2".into())],
    Input::Delivered(_) => [Input::Delivered(id(1))],
    Input::StockRejected(_) => [Input::StockRejected(id(1))],
    Input::PaymentDeclined(_) => [Input::PaymentDeclined(id(1))],
    Input::CaptureFailed(_) => [Input::CaptureFailed(id(1))],
    Input::ReservationExpired(_) => [Input::ReservationExpired(id(1))],
    Input::ShipmentCancelled(_) => [Input::ShipmentCancelled(id(1))],
    Input::CancellationRefused(_) => [Input::CancellationRefused(id(1))],
    Input::StockReleased(_) => [Input::StockReleased(id(1))],
    Input::PaymentVoided(_) => [Input::PaymentVoided(id(1))],
    Input::PaymentRefunded(_) => [Input::PaymentRefunded(id(1))],
    Input::PaymentCancelled(_) => [Input::PaymentCancelled(id(1))],
    Input::Cancel(..) => [Input::Cancel(id(1), Some("ordered twice".into()))],
    Input::Refold(_) => [Input::Refold(id(1))],
    Input::ConfirmationDue(_) => [Input::ConfirmationDue(id(1))],
    Input::ProductChanged(_) => [Input::ProductChanged(product("MUG-01", 2500, "USD"))],
} }

fn name(input: &Input) -> String {
    format!("{input:?}").split('(').next().unwrap().to_owned()
}

/// The world of an order in any state.
fn world_of(state: State) -> World {
    let mut world = placed();
    world.orders.get_mut(&id(1)).unwrap().state = state;
    world
}

/// The world after an order was placed.
fn placed() -> World {
    let place = Input::Place(wants(id(1), "USD", &[("MUG-01", 2)]).into());
    world(&[Input::ProductChanged(product("MUG-01", 1999, "USD")), place])
}

#[test]
fn a_price_below_zero_is_poison() {
    let decided =
        Orders::default().decide(&World::default(), &Input::ProductChanged(product("MUG-01", -1, "USD")), AT);
    assert_eq!(decided, Err(Declined::Impossible("a price below zero".into())));
}

#[test]
fn a_command_is_answered_with_the_order_after_it() {
    let world = world(&[
        Input::ProductChanged(product("MUG-01", 1999, "USD")),
        Input::Place(wants(id(1), "USD", &[("MUG-01", 2)]).into()),
    ]);
    let reply = Orders::default().reply(&world, &Input::Cancel(id(1), None)).unwrap();
    assert_eq!((reply.order_id, reply.version, reply.total), (id(1), 1, money(3998, "USD")));
}

#[test]
fn deadlines_are_told_by_their_kind() {
    let due = |kind, key: &str| Orders::default().due(kind, key).map(|it| it.order_id());
    assert_eq!(due("confirmation", &id(7).to_string()), Some(Some(id(7))));
    assert_eq!(due("confirmation", "MUG-01"), None);
    assert_eq!(due("reservation", &id(7).to_string()), None);
}

/// Every published event of the suite, as the decider reads it.
#[test]
fn what_is_read_and_what_is_skipped() {
    let mut table = String::new();
    for published in events::catalogue() {
        let data = serde_json::to_vec(&published.example).unwrap();
        let arrival = Arrival { name: published.name, version: published.version, data: &data };
        let read = match Orders::default().read(&arrival).unwrap() {
            Some(input) => name(&input),
            None => "-".to_owned(),
        };
        table.push_str(&format!("{} -> {read}\n", published.ty()));
    }
    expect![[r#"
        waybill.order.placed.v1 -> -
        waybill.order.placed.v2 -> -
        waybill.order.confirmed.v1 -> -
        waybill.order.paid.v1 -> -
        waybill.order.shipped.v1 -> -
        waybill.order.delivered.v1 -> -
        waybill.order.cancellation-requested.v1 -> -
        waybill.order.cancelled.v1 -> -
        waybill.inventory.stock-reserved.v1 -> StockReserved
        waybill.inventory.stock-rejected.v1 -> StockRejected
        waybill.inventory.stock-kept.v1 -> -
        waybill.inventory.stock-released.v1 -> StockReleased
        waybill.inventory.reservation-expired.v1 -> ReservationExpired
        waybill.inventory.stock-deducted.v1 -> -
        waybill.payment.authorized.v1 -> PaymentAuthorized
        waybill.payment.declined.v1 -> PaymentDeclined
        waybill.payment.captured.v1 -> PaymentCaptured
        waybill.payment.capture-failed.v1 -> CaptureFailed
        waybill.payment.voided.v1 -> PaymentVoided
        waybill.payment.refunded.v1 -> PaymentRefunded
        waybill.payment.cancelled.v1 -> PaymentCancelled
        waybill.shipping.shipment-scheduled.v1 -> -
        waybill.shipping.dispatched.v1 -> Dispatched
        waybill.shipping.delivered.v1 -> Delivered
        waybill.shipping.cancelled.v1 -> ShipmentCancelled
        waybill.shipping.cancellation-refused.v1 -> CancellationRefused
        waybill.product.changed.v1 -> ProductChanged
    "#]]
    .assert_eq(&table);
    let newer = Arrival { name: StockReserved::NAME, version: 9, data: b"{}" };
    assert!(Orders::default().read(&newer).is_err());
    let broken = Arrival { name: StockReserved::NAME, version: 1, data: b"{}" };
    assert!(Orders::default().read(&broken).is_err());
}
