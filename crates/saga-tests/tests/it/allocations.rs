//! What the pure core and the codec take from the heap, counted and not timed, so that it is the same on every machine
//! and at every load.
//!
//! One order goes to its delivery through each service's decider alone; the events that it meets on the way are the
//! examples of the published language. Counted are the blocks that the test's own thread asks for, whatever other tests
//! do meanwhile, and their bytes; a block that grows counts anew. Everything is done once before it is counted: what a
//! process makes once is no cost of an order. A new compiler or library may move the counts as well as we do; the
//! difference shows where.

use std::{borrow::Cow, fmt, time::Duration};

use allocation_counter::measure;
use bus::{CloudEvent, Received, Record, Trace, topics};
use engine::{Arrival, Decider, Publication};
use events::{Event, OrderPlaced, Timestamp};
use expect_test::{ExpectFile, expect_file};
use inventory::Inventory;
use order::{Orders, PlaceOrder, Price};
use payment::{Answer, Payments};
use shipping::{Carrier, Leg, Shipments};
use time::macros::datetime;
use uuid::Uuid;

/// When everything happens.
const NOW: Timestamp = datetime!(2025-08-19 09:30 UTC);

/// What operations take: the blocks, and the bytes of all of them.
#[derive(Default)]
struct Taken {
    blocks: u64,
    bytes: u64,
}

impl Taken {
    /// Adds what `operation` takes.
    fn count<T>(&mut self, operation: impl FnOnce() -> T) -> T {
        let mut outcome = None;
        let taken = measure(|| outcome = Some(operation()));
        self.blocks += taken.count_total;
        self.bytes += taken.bytes_total;
        outcome.expect("it was measured")
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} blocks, {} B", self.blocks, self.bytes))
    }
}

/// Holds exactly what `counted` tells, the second time.
#[track_caller]
fn check(expected: ExpectFile, counted: impl Fn() -> String) {
    counted();
    // The difference names what has moved; one that is meant is taken over by UPDATE_EXPECT=1.
    expected.assert_eq(&counted());
}

/// An example of the newest version of an event, as it travels.
fn example(name: &str) -> (u32, Vec<u8>) {
    let all = events::catalogue().into_iter().filter(|it| it.name == name);
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

/// Takes a service from `world` on through its inputs, in this order, and counts for each of them.
fn walk<D: Decider<World: Clone>>(decider: &D, world: &D::World, inputs: &[(&str, D::Input)]) -> String {
    let mut world = world.clone();
    let mut told = row("", "decide", "evolve", "publish");
    for (name, input) in inputs {
        let (mut decide, mut evolve, mut publish) = (Taken::default(), Taken::default(), Taken::default());
        let decided = decide.count(|| decider.decide(&world, input, NOW));
        let Ok(decision) = decided else { panic!("{name} is refused") };
        assert!(!decision.events.is_empty(), "nothing follows from {name}: it is not its turn");
        for event in &decision.events {
            evolve.count(|| decider.evolve(&mut world, event));
            publish.count(|| decider.publish(&world, event));
        }
        told.push_str(&row(name, decide, evolve, publish));
    }
    told
}

fn row(
    name: &str,
    decide: impl fmt::Display,
    evolve: impl fmt::Display,
    publish: impl fmt::Display,
) -> String {
    let row = format!("{name:<26}{decide:<20}{evolve:<20}{publish}");
    format!("{}\n", row.trim_end())
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimiser may spare a block, and not the next one")]
fn an_order_takes() {
    let (orders, placed) = (Orders::default(), placed());
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
    let inputs = [
        ("POST /orders", order::Input::Place(place.into())),
        heard(&orders, "inventory.stock-reserved"),
        heard(&orders, "payment.authorized"),
        heard(&orders, "payment.captured"),
        heard(&orders, "shipping.dispatched"),
        heard(&orders, "shipping.delivered"),
    ];
    check(expect_file!["allocations/order.txt"], || walk(&orders, &world, &inputs));
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimiser may spare a block, and not the next one")]
fn its_stock_takes() {
    let inventory = Inventory { reservation_ttl: Some(Duration::from_secs(3_600)) };
    let mut world = inventory::World::default();
    for line in placed().lines {
        let (sku, reason) = (line.sku, "goods received".into());
        let described =
            inventory::Input::Describe { sku: sku.clone(), name: line.name, price: line.unit_price };
        for input in [described, inventory::Input::Adjust { sku, delta: 100, reason }] {
            let Ok(decision) = inventory.decide(&world, &input, NOW) else { panic!("{input:?} is refused") };
            decision.events.iter().for_each(|it| inventory.evolve(&mut world, it));
        }
    }
    let inputs = [
        heard(&inventory, "order.placed"),
        heard(&inventory, "order.confirmed"),
        heard(&inventory, "shipping.dispatched"),
    ];
    check(expect_file!["allocations/inventory.txt"], || walk(&inventory, &world, &inputs));
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimiser may spare a block, and not the next one")]
fn its_payment_takes() {
    let (world, order_id) = (payment::World::default(), placed().order_id);
    let answered = |answer| payment::Input::Answered(order_id, answer);
    let inputs = [
        heard(&Payments, "order.placed"),
        heard(&Payments, "inventory.stock-reserved"),
        ("authorised", answered(Answer::Authorized { reference: "pi_3S1WaybillExample01".into() })),
        heard(&Payments, "order.confirmed"),
        ("captured", answered(Answer::Captured)),
    ];
    check(expect_file!["allocations/payment.txt"], || walk(&Payments, &world, &inputs));
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimiser may spare a block, and not the next one")]
fn its_parcel_takes() {
    let shipments = Shipments { carrier: Carrier::Simulated { delay: Duration::from_secs(1) } };
    let (world, order_id) = (shipping::World::default(), placed().order_id);
    let inputs = [
        heard(&shipments, "order.confirmed"),
        heard(&shipments, "payment.captured"),
        heard(&shipments, "inventory.stock-kept"),
        ("dispatch is due", shipping::Input::Due(order_id, Leg::Dispatch)),
        ("delivery is due", shipping::Input::Due(order_id, Leg::Deliver)),
    ];
    check(expect_file!["allocations/shipping.txt"], || walk(&shipments, &world, &inputs));
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

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimiser may spare a block, and not the next one")]
fn its_first_event_takes_on_its_way() {
    let placed = placed();
    let shipments = Shipments { carrier: Carrier::Manual };
    check(expect_file!["allocations/codec.txt"], || {
        let mut told = String::new();
        let mut tell = |what: &str, taken: Taken| told.push_str(&format!("{what:<26}{taken}\n"));

        let mut taken = Taken::default();
        let publication = taken.count(|| Publication::of(&placed, 1));
        tell("publication", taken);

        let (mut taken, topic) = (Taken::default(), topics::name("waybill", publication.aggregate.name()));
        let event = cloud_event(&publication);
        let record =
            taken.count(|| event.into_record(topic.as_str().into(), publication.key.as_str().into()));
        tell("record", taken);

        let (mut taken, record) = (Taken::default(), received(record));
        assert!(matches!(taken.count(|| engine::read(&Inventory::default(), &record)), Ok(Some(_))));
        tell("read by inventory", taken);

        let mut taken = Taken::default();
        assert!(matches!(taken.count(|| engine::read(&Payments, &record)), Ok(Some(_))));
        tell("read by payment", taken);

        let mut taken = Taken::default();
        assert!(matches!(taken.count(|| engine::read(&shipments, &record)), Ok(None)));
        tell("skipped by shipping", taken);
        told
    });
}
