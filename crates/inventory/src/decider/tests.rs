//! Whole stories through the decider, as the engine tells them.

mod properties;
mod table;

use std::fmt::Write as _;

use events::Currency;
use expect_test::{Expect, expect};
use uuid::Uuid;

use super::*;
use crate::view::Status;

fn sku(text: &str) -> Sku {
    text.parse().unwrap()
}

fn order(number: u128) -> OrderId {
    OrderId(Uuid::from_u128(number))
}

fn placed(number: u128, demand: &[(&str, u32)]) -> Input {
    let items = demand.iter().map(|(it, quantity)| Item { sku: sku(it), quantity: *quantity });
    Input::OrderPlaced(order(number), items.collect())
}

fn described(name: &str) -> Input {
    Input::Describe { sku: sku(name), name: name.into(), price: Money { amount: 5, currency: Currency::USD } }
}

fn adjusted(name: &str, delta: i32) -> Input {
    Input::Adjust { sku: sku(name), delta, reason: "counted".into() }
}

/// Applies `inputs` as one batch and tells all that follows, then how things stand; and that the laws hold.
#[track_caller]
fn check(inventory: &Inventory, inputs: &[Input], expected: Expect) {
    let (mut world, mut told) = (World::default(), String::new());
    let mut supplied: BTreeMap<Sku, i64> = BTreeMap::new();
    for input in inputs {
        match inventory.decide(&world, input, Timestamp::UNIX_EPOCH) {
            Err(declined) => writeln!(told, "{declined:?}").unwrap(),
            Ok(decision) => {
                for event in decision.events {
                    if let Fact::Product(name, ProductEvent::Adjusted { delta, .. }) = &event {
                        *supplied.entry(name.clone()).or_default() += i64::from(*delta);
                    }
                    inventory.evolve(&mut world, &event);
                    if let Some(it) = inventory.publish(&world, &event) {
                        let data = String::from_utf8(it.data).unwrap().replace('"', "");
                        writeln!(told, "{} {} {data}", it.sequence, it.r#type).unwrap();
                    }
                }
                decision.deadlines.iter().for_each(|it| writeln!(told, "{it:?}").unwrap());
            }
        }
        let reserved = |it: &Sku| -> u32 {
            let live = world.reservations.values().filter(|it| it.is_live()).flat_map(Reservation::items);
            live.filter(|item| item.sku == *it).map(|item| item.quantity).sum()
        };
        for (name, product) in &world.products {
            assert_eq!(product.reserved, i64::from(reserved(name)), "{name}: {told}");
            let sum = supplied.get(name).copied().unwrap_or(0);
            assert_eq!(product.on_hand + product.deducted, sum, "{name}: {told}");
            assert!(0 <= product.reserved && product.reserved <= product.on_hand, "{name}: {told}");
        }
    }
    for (name, it) in &world.products {
        writeln!(told, "= {name}: {} on hand, {} reserved, {} gone", it.on_hand, it.reserved, it.deducted)
            .unwrap();
    }
    for (id, it) in &world.reservations {
        writeln!(told, "= order {}: {}", id.0.as_u128(), Status::of(&it.state).name()).unwrap();
    }
    let told = told.replace("00000000-0000-0000-0000-0000000000", "..");
    expected.assert_eq(&told);
}

const FOR_GOOD: Inventory = Inventory { reservation_ttl: None };
const FOR_A_MINUTE: Inventory = Inventory { reservation_ttl: Some(Duration::from_secs(60)) };

#[test]
fn an_order_from_placing_to_dispatch() {
    check(
        &FOR_GOOD,
        &[
            described("MUG"),
            adjusted("MUG", 10),
            placed(1, &[("MUG", 2)]),
            Input::OrderConfirmed(order(1)),
            Input::Dispatched(order(1)),
        ],
        expect![[r#"
            1 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:0}
            2 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:10}
            1 waybill.inventory.stock-reserved.v1 {order_id:..01,items:[{sku:MUG,quantity:2}]}
            2 waybill.inventory.stock-deducted.v1 {order_id:..01,items:[{sku:MUG,quantity:2}]}
            = MUG: 8 on hand, 0 reserved, 2 gone
            = order 1: deducted
        "#]],
    );
}

#[test]
fn a_cancelled_order_gives_back_what_it_had() {
    check(
        &FOR_GOOD,
        &[
            described("MUG"),
            adjusted("MUG", 2),
            placed(1, &[("MUG", 2)]),
            placed(2, &[("MUG", 1)]),
            Input::OrderCancelled(order(1)),
            placed(3, &[("MUG", 1)]),
            Input::OrderCancelled(order(2)),
        ],
        expect![[r#"
            1 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:0}
            2 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:2}
            1 waybill.inventory.stock-reserved.v1 {order_id:..01,items:[{sku:MUG,quantity:2}]}
            1 waybill.inventory.stock-rejected.v1 {order_id:..02,shortages:[{sku:MUG,requested:1,available:0}]}
            2 waybill.inventory.stock-released.v1 {order_id:..01,items:[{sku:MUG,quantity:2}]}
            1 waybill.inventory.stock-reserved.v1 {order_id:..03,items:[{sku:MUG,quantity:1}]}
            = MUG: 2 on hand, 1 reserved, 0 gone
            = order 1: released
            = order 2: rejected
            = order 3: reserved
        "#]],
    );
}

#[test]
fn an_order_cancelled_before_it_was_placed_gets_nothing() {
    check(
        &FOR_GOOD,
        &[described("MUG"), adjusted("MUG", 2), Input::OrderCancelled(order(1)), placed(1, &[("MUG", 2)])],
        expect![[r#"
            1 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:0}
            2 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:2}
            = MUG: 2 on hand, 0 reserved, 0 gone
            = order 1: cancelled
        "#]],
    );
}

#[test]
fn a_reservation_expires_unless_the_order_is_confirmed() {
    check(
        &FOR_A_MINUTE,
        &[
            described("MUG"),
            adjusted("MUG", 5),
            placed(1, &[("MUG", 1)]),
            placed(2, &[("MUG", 2)]),
            Input::OrderConfirmed(order(2)),
            Input::ReservationDue(order(1)),
            Input::ReservationDue(order(2)),
            // The confirmation that crossed the expiry; then the order is cancelled.
            Input::OrderConfirmed(order(1)),
            Input::OrderCancelled(order(1)),
        ],
        expect![[r#"
            1 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:0}
            2 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:5}
            1 waybill.inventory.stock-reserved.v1 {order_id:..01,items:[{sku:MUG,quantity:1}],expires_at:1970-01-01T00:01:00Z}
            Set { key: "..01", kind: "reservation", after: 60s }
            1 waybill.inventory.stock-reserved.v1 {order_id:..02,items:[{sku:MUG,quantity:2}],expires_at:1970-01-01T00:01:00Z}
            Set { key: "..02", kind: "reservation", after: 60s }
            2 waybill.inventory.stock-kept.v1 {order_id:..02,items:[{sku:MUG,quantity:2}]}
            Clear { key: "..02", kind: "reservation" }
            2 waybill.inventory.reservation-expired.v1 {order_id:..01,items:[{sku:MUG,quantity:1}]}
            = MUG: 5 on hand, 2 reserved, 0 gone
            = order 1: expired
            = order 2: kept
        "#]],
    );
}

#[test]
fn release_and_dispatch_clear_the_deadline_once() {
    check(
        &FOR_A_MINUTE,
        &[
            described("MUG"),
            adjusted("MUG", 5),
            placed(1, &[("MUG", 1)]),
            placed(2, &[("MUG", 1)]),
            placed(3, &[("MUG", 1)]),
            Input::OrderCancelled(order(1)),
            Input::Dispatched(order(2)),
            Input::OrderConfirmed(order(3)),
            Input::Dispatched(order(3)),
        ],
        expect![[r#"
            1 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:0}
            2 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:5}
            1 waybill.inventory.stock-reserved.v1 {order_id:..01,items:[{sku:MUG,quantity:1}],expires_at:1970-01-01T00:01:00Z}
            Set { key: "..01", kind: "reservation", after: 60s }
            1 waybill.inventory.stock-reserved.v1 {order_id:..02,items:[{sku:MUG,quantity:1}],expires_at:1970-01-01T00:01:00Z}
            Set { key: "..02", kind: "reservation", after: 60s }
            1 waybill.inventory.stock-reserved.v1 {order_id:..03,items:[{sku:MUG,quantity:1}],expires_at:1970-01-01T00:01:00Z}
            Set { key: "..03", kind: "reservation", after: 60s }
            2 waybill.inventory.stock-released.v1 {order_id:..01,items:[{sku:MUG,quantity:1}]}
            Clear { key: "..01", kind: "reservation" }
            2 waybill.inventory.stock-deducted.v1 {order_id:..02,items:[{sku:MUG,quantity:1}]}
            Clear { key: "..02", kind: "reservation" }
            2 waybill.inventory.stock-kept.v1 {order_id:..03,items:[{sku:MUG,quantity:1}]}
            Clear { key: "..03", kind: "reservation" }
            3 waybill.inventory.stock-deducted.v1 {order_id:..03,items:[{sku:MUG,quantity:1}]}
            = MUG: 3 on hand, 0 reserved, 2 gone
            = order 1: released
            = order 2: deducted
            = order 3: deducted
        "#]],
    );
}

#[test]
fn goods_that_left_without_a_reservation_are_not_deducted() {
    check(
        &FOR_GOOD,
        &[
            described("MUG"),
            adjusted("MUG", 2),
            placed(1, &[("MUG", 2)]),
            Input::OrderCancelled(order(1)),
            Input::Dispatched(order(1)),
            Input::Dispatched(order(2)),
        ],
        expect![[r#"
            1 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:0}
            2 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:2}
            1 waybill.inventory.stock-reserved.v1 {order_id:..01,items:[{sku:MUG,quantity:2}]}
            2 waybill.inventory.stock-released.v1 {order_id:..01,items:[{sku:MUG,quantity:2}]}
            Impossible("a parcel has left for an order that no stock is reserved for")
            Impossible("a parcel has left for an order that no stock is reserved for")
            = MUG: 2 on hand, 0 reserved, 0 gone
            = order 1: released
        "#]],
    );
}

#[test]
fn a_refused_command_leaves_all_as_it_was() {
    check(
        &FOR_GOOD,
        &[
            adjusted("MUG", 1),
            described("MUG"),
            adjusted("MUG", 1),
            placed(1, &[("MUG", 1)]),
            adjusted("MUG", -1),
        ],
        expect![[r#"
            Refused(UnknownProduct)
            1 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:0}
            2 waybill.product.changed.v1 {sku:MUG,name:MUG,price:{amount:5,currency:USD},on_hand:1}
            1 waybill.inventory.stock-reserved.v1 {order_id:..01,items:[{sku:MUG,quantity:1}]}
            Refused(BelowReserved { available: 0 })
            = MUG: 1 on hand, 1 reserved, 0 gone
            = order 1: reserved
        "#]],
    );
}

#[test]
fn deadlines_are_known_by_kind_and_key() {
    let due = |kind, key: &str| FOR_GOOD.due(kind, key).and_then(|it| it.order_id());
    assert_eq!(due(RESERVATION, &order(1).to_string()), Some(order(1)));
    assert_eq!(due("payment", &order(1).to_string()), None);
    assert_eq!(due(RESERVATION, "MUG"), None);
}

/// Which products have to be locked for a batch: an order's own words count only while it is unknown.
#[test]
fn live_reservations_and_new_orders_tell_the_products() {
    let reservation = |it: &str, live| {
        let items = vec![Item { sku: sku(it), quantity: 1 }];
        let state = if live { crate::State::Kept { items } } else { crate::State::Released { items } };
        Reservation { sequence: 1, state }
    };
    let reservations = [(order(1), reservation("A-LIVE", true)), (order(2), reservation("B-OVER", false))];
    let world = World { reservations: reservations.into(), ..World::default() };
    let inputs = [
        Input::OrderCancelled(order(1)),
        Input::OrderCancelled(order(2)),
        placed(2, &[("C-LATE", 1)]),
        placed(3, &[("E-NEW", 1), ("D-NEW", 1), ("E-NEW", 1)]),
        described("F-SET"),
        adjusted("A-LIVE", 1),
    ];
    let skus = world.skus(&inputs.iter().collect::<Vec<_>>());
    let skus: Vec<_> = skus.into_iter().map(Sku::as_str).collect();
    assert_eq!(skus, ["A-LIVE", "D-NEW", "E-NEW", "F-SET"]);
}
