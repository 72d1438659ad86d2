//! What the pure core and the codec do for one order, for those who count what it takes.
//!
//! One order goes to its delivery through each service's decider alone; the events that it meets on the way are the
//! examples of the published language.

use std::{borrow::Cow, sync::LazyLock, time::Duration};

use bus::{CloudEvent, Received, Record, Trace, topics};
use engine::{Arrival, Decider, Publication};
use events::{Event, OrderPlaced, Timestamp};
use inventory::Inventory;
use order::{Orders, PlaceOrder, Price};
use payment::{Answer, Payments};
use shipping::{Carrier, Leg, Shipments};
use time::macros::datetime;
use uuid::Uuid;

/// When everything happens.
const NOW: Timestamp = datetime!(2025-08-19 09:30 UTC);

/// Counts what operations take.
pub(crate) trait Meter {
    /// Does one of the operations of `column` that belong to `row`.
    fn count<T>(&mut self, row: &'static str, column: &'static str, operation: impl FnOnce() -> T) -> T;
}

/// Something to be done.
pub(crate) trait Way {
    /// Does all of it.
    fn go(&self, meter: &mut impl Meter);
}

/// What a service does for the order: from `world` on through the inputs, in this order.
pub(crate) struct Walk<D: Decider> {
    decider: D,
    world: D::World,
    inputs: Vec<(&'static str, D::Input)>,
}

/// The columns are the decider's functions.
impl<D: Decider<World: Clone>> Way for Walk<D> {
    fn go(&self, meter: &mut impl Meter) {
        let (decider, mut world) = (&self.decider, self.world.clone());
        for (name, input) in &self.inputs {
            let decided = meter.count(name, "decide", || decider.decide(&world, input, NOW));
            let Ok(decision) = decided else { panic!("{name} is refused") };
            assert!(!decision.events.is_empty(), "nothing follows from {name}: it is not its turn");
            for event in &decision.events {
                meter.count(name, "evolve", || decider.evolve(&mut world, event));
                meter.count(name, "publish", || decider.publish(&world, event));
            }
        }
    }
}

/// An example of the newest version of an event, as it travels.
fn example(name: &str) -> (u32, Vec<u8>) {
    static ALL: LazyLock<Vec<events::Published>> = LazyLock::new(events::catalogue);
    let all = ALL.iter().filter(|it| it.name == name);
    let newest = all.max_by_key(|it| it.version).unwrap_or_else(|| panic!("there is no event {name}"));
    (newest.version, newest.example.to_string().into_bytes())
}

/// The order that the examples tell of.
fn placed() -> OrderPlaced {
    let (version, data) = example(OrderPlaced::NAME);
    OrderPlaced::decode(version, &data).expect("an example can be read")
}

/// What an event of that name is to a service.
fn heard<D: Decider>(decider: &D, name: &'static str) -> (&'static str, D::Input) {
    let (version, data) = example(name);
    let input = decider.read(&Arrival { name, version, data: &data }).expect("an example can be read");
    (name, input.unwrap_or_else(|| panic!("{} does not handle {name}", D::SERVICE)))
}

pub(crate) fn order() -> Walk<Orders> {
    let (decider, placed) = (Orders::default(), placed());
    let mut world = order::World::default();
    for line in &placed.lines {
        world.prices.insert(line.sku.clone(), Price { name: line.name.clone(), price: line.unit_price });
    }
    let place = PlaceOrder {
        order_id: placed.order_id,
        customer: placed.customer,
        currency: placed.currency,
        lines: placed.lines.into_iter().map(|it| (it.sku, it.quantity)).collect(),
        ship_to: placed.ship_to,
        payment_method: placed.payment_method,
    };
    let inputs = vec![
        ("POST /orders", order::Input::Place(place.into())),
        heard(&decider, "inventory.stock-reserved"),
        heard(&decider, "payment.authorized"),
        heard(&decider, "payment.captured"),
        heard(&decider, "shipping.dispatched"),
        heard(&decider, "shipping.delivered"),
    ];
    Walk { decider, world, inputs }
}

pub(crate) fn stock() -> Walk<Inventory> {
    let decider = Inventory { reservation_ttl: Some(Duration::from_secs(3_600)) };
    let mut world = inventory::World::default();
    for line in placed().lines {
        let (sku, reason) = (line.sku, "goods received".into());
        let described =
            inventory::Input::Describe { sku: sku.clone(), name: line.name, price: line.unit_price };
        for input in [described, inventory::Input::Adjust { sku, delta: 100, reason }] {
            let Ok(decision) = decider.decide(&world, &input, NOW) else { panic!("{input:?} is refused") };
            decision.events.iter().for_each(|it| decider.evolve(&mut world, it));
        }
    }
    let inputs = vec![
        heard(&decider, "order.placed"),
        heard(&decider, "order.confirmed"),
        heard(&decider, "shipping.dispatched"),
    ];
    Walk { decider, world, inputs }
}

pub(crate) fn payment() -> Walk<Payments> {
    let order_id = placed().order_id;
    let answered = |answer| payment::Input::Answered(order_id, answer);
    let inputs = vec![
        heard(&Payments, "order.placed"),
        heard(&Payments, "inventory.stock-reserved"),
        ("authorised", answered(Answer::Authorized { reference: "pi_3S1WaybillExample01".into() })),
        heard(&Payments, "order.confirmed"),
        ("captured", answered(Answer::Captured)),
    ];
    Walk { decider: Payments, world: payment::World::default(), inputs }
}

pub(crate) fn parcel() -> Walk<Shipments> {
    let decider = Shipments { carrier: Carrier::Simulated { delay: Duration::from_secs(1) } };
    let order_id = placed().order_id;
    let inputs = vec![
        heard(&decider, "order.confirmed"),
        heard(&decider, "payment.captured"),
        heard(&decider, "inventory.stock-kept"),
        ("dispatch is due", shipping::Input::Due(order_id, Leg::Dispatch)),
        ("delivery is due", shipping::Input::Due(order_id, Leg::Deliver)),
    ];
    Walk { decider, world: shipping::World::default(), inputs }
}

/// The first event of an order on its way: published, and read by those who hear of it.
pub(crate) struct Codec {
    placed: OrderPlaced,
    inventory: Inventory,
    shipments: Shipments,
}

pub(crate) fn codec() -> Codec {
    let shipments = Shipments { carrier: Carrier::Manual };
    Codec { placed: placed(), inventory: Inventory::default(), shipments }
}

/// There is one column, without a name.
impl Way for Codec {
    fn go(&self, meter: &mut impl Meter) {
        let publication = meter.count("publication", "", || Publication::of(&self.placed, 1));
        let topic = topics::name("waybill", publication.aggregate.name());
        let event = cloud_event(&publication);
        let record = meter.count("record", "", || {
            event.into_record(topic.as_str().into(), publication.key.as_str().into())
        });
        let record = received(record);
        let read = meter.count("read by inventory", "", || engine::read(&self.inventory, &record));
        assert!(matches!(read, Ok(Some(_))));
        let read = meter.count("read by payment", "", || engine::read(&Payments, &record));
        assert!(matches!(read, Ok(Some(_))));
        let read = meter.count("skipped by shipping", "", || engine::read(&self.shipments, &record));
        assert!(matches!(read, Ok(None)));
    }
}

/// An event as the relay has it in a row of the outbox.
fn cloud_event(it: &Publication) -> CloudEvent<'_> {
    let id = |number| Uuid::from_u128(number);
    CloudEvent {
        id: id(1),
        source: "/waybill/order".into(),
        r#type: it.r#type.into(),
        subject: Some(it.key.as_str().into()),
        time: Some(NOW),
        sequence: Some(it.sequence),
        correlation_id: Some(id(2)),
        causation_id: Some(id(2)),
        actor: Some("customer:c-1815".into()),
        trace: Trace {
            parent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            ..Trace::default()
        },
        data: it.data.as_slice().into(),
    }
}

/// The record as a consumer gets it.
fn received(record: Record<'_>) -> Received {
    let headers = record
        .headers
        .into_iter()
        .map(|(name, value)| (name.into_owned().into(), value.map(|it| it.into_owned().into())));
    let [key, payload] = [record.key, record.payload].map(|it| it.map(Cow::into_owned));
    Received::replayed((&record.topic, 0, 0), key, headers.collect(), payload)
}
