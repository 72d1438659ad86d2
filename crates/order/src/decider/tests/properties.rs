//! Random lives of two orders, shrunk to the shortest that breaks a rule.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

/// An input for one of the orders; what concerns no order is left out.
fn life() -> impl Strategy<Value = Vec<Input>> {
    let one = (any::<bool>(), any::<Index>(), 1..4u32).prop_map(|(second, index, quantity)| {
        let order_id = id(1 + u128::from(second));
        match index.get(&inputs()).clone() {
            Input::Place(_) => Input::Place(wants(order_id, "USD", &[("MUG-01", quantity)]).into()),
            Input::ProductChanged(_) => {
                Input::ProductChanged(product("MUG-01", 1_000 + i64::from(quantity), "USD"))
            }
            input => about(order_id, input),
        }
    });
    vec(one, 0..40).prop_map(|life| {
        let first = [1, 2].map(|it| Input::Place(wants(id(it), "USD", &[("MUG-01", 2)]).into()));
        let priced = Input::ProductChanged(product("MUG-01", 1999, "USD"));
        [priced].into_iter().chain(first).chain(life).collect()
    })
}

/// The same of another order.
fn about(to: OrderId, input: Input) -> Input {
    use Input as I;
    match input {
        I::Place(_) | I::ProductChanged(_) => input,
        I::Cancel(_, note) => I::Cancel(to, note),
        I::Refold(_) => I::Refold(to),
        I::StockReserved(_, until) => I::StockReserved(to, until),
        I::StockRejected(_) => I::StockRejected(to),
        I::StockReleased(_) => I::StockReleased(to),
        I::ReservationExpired(_) => I::ReservationExpired(to),
        I::PaymentAuthorized(_) => I::PaymentAuthorized(to),
        I::PaymentDeclined(_) => I::PaymentDeclined(to),
        I::PaymentCaptured(_) => I::PaymentCaptured(to),
        I::CaptureFailed(_) => I::CaptureFailed(to),
        I::PaymentVoided(_) => I::PaymentVoided(to),
        I::PaymentRefunded(_) => I::PaymentRefunded(to),
        I::PaymentCancelled(_) => I::PaymentCancelled(to),
        I::Dispatched(_, number) => I::Dispatched(to, number),
        I::Delivered(_) => I::Delivered(to),
        I::ShipmentCancelled(_) => I::ShipmentCancelled(to),
        I::CancellationRefused(_) => I::CancellationRefused(to),
        I::ConfirmationDue(_) => I::ConfirmationDue(to),
    }
}

/// How far along an order is: it never goes back, and there is no way from one end to the other.
fn stage(state: &State) -> &'static str {
    match state {
        State::Placed { .. } => "placed",
        State::Confirmed { .. } => "confirmed",
        State::Shipped { .. } => "shipped",
        State::Delivered { .. } => "delivered",
        State::Cancelled { .. } => "cancelled",
    }
}

const WAYS: [(&str, &str); 5] = [
    ("placed", "confirmed"),
    ("placed", "cancelled"),
    ("confirmed", "shipped"),
    ("confirmed", "cancelled"),
    ("shipped", "delivered"),
];

/// What is stored of each order, folded anew, is the order.
fn check_fold(
    world: &World,
    stored: &BTreeMap<OrderId, Vec<(&'static str, String)>>,
) -> Result<(), TestCaseError> {
    for (id, events) in stored {
        let mut folded: Option<Order> = None;
        for (stored_type, data) in events {
            match (OrderEvent::from_stored(stored_type, data).unwrap(), &mut folded) {
                (OrderEvent::Placed(placed), None) => folded = Some(Order::begin(*placed)),
                (event, Some(order)) => order.evolve(&event),
                (event, None) => panic!("{event:?} is the first"),
            }
        }
        prop_assert_eq!(folded.as_ref(), world.orders.get(id));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_life_of_an_order_keeps_the_rules(life in life()) {
        let (mut world, mut stored) = (World::default(), BTreeMap::<_, Vec<_>>::new());
        for input in life {
            let before = world.clone();
            let Ok((decision, published)) = step(&mut world, &input) else {
                prop_assert_eq!(&before.orders, &world.orders);
                continue;
            };
            for fact in &decision.events {
                let Fact::Order(id, event) = fact else { continue };
                stored.entry(*id).or_default().push((event.stored_type(), event.stored_data()));
            }
            for (id, order) in &world.orders {
                let (version, sequence, stage_before) =
                    before.orders.get(id).map_or((0, 0, "placed"), |it| (it.version, it.sequence, stage(&it.state)));
                let of_it: Vec<i64> =
                    published.iter().filter(|it| it.key == id.to_string()).map(|it| it.sequence).collect();
                prop_assert_eq!(of_it, (sequence + 1..=order.sequence).collect::<Vec<_>>());
                prop_assert_eq!(order.version, stored[id].len() as i64);
                prop_assert!(order.version >= version && order.placed.total.amount > 0);
                let way = (stage_before, stage(&order.state));
                prop_assert!(way.0 == way.1 || WAYS.contains(&way), "{:?}", way);
                // What concerns one order is nothing to the other.
                prop_assert!(input.order_id() == Some(*id) || before.orders.get(id) == Some(order));
            }
            check_fold(&world, &stored)?;
            if input.order_id().is_some() && !matches!(input, Input::Refold(_)) {
                let again = Orders::default().decide(&world, &input, AT);
                prop_assert_eq!(again, Ok(Decision::nothing()), "{:?} again", input);
            }
        }
    }
}
