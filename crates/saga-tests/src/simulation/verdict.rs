//! The laws of the end, over the worlds of the deciders, what they have told each other, and the provider's books.

use std::collections::{BTreeMap, BTreeSet};

use audit::History;
use events::{CancelReason, EventType, OrderId, Sku};
use order::{Return, State as OrderState};
use uuid::Uuid;

use super::{Cast, NODES, Simulation, moment::NO_MONEY};

/// What was published about one order: the ids of each event.
struct Told(BTreeMap<&'static str, BTreeSet<Uuid>>);

impl<C: Cast> Simulation<C> {
    pub(super) fn verdict(&mut self) -> Result<(), String> {
        for index in 0..NODES {
            let node = self.node(index);
            if !node.outbox_is_empty() || !node.effects().is_empty() {
                return Err(format!("{} is not at rest", node.name()));
            }
        }
        for ((aggregate, key), messages) in &self.log {
            let mut history = History::default();
            for message in messages {
                let noted = history.note(message.sequence, message.id, false, false);
                noted.map_err(|disorder| format!("{aggregate} {key}: {disorder}"))?;
            }
        }
        self.stock()?;
        for id in self.orders.clone() {
            let told = self.told(id)?;
            let judged = self.end(id).and_then(|()| told.laws()).and_then(|()| self.expiry(id, &told));
            let judged = judged.and_then(|()| self.compensation(id, &told));
            judged.map_err(|broken| format!("order {id}: {broken}"))?;
            self.tally(id, &told);
        }
        Ok(())
    }

    /// What is reserved is what the live reservations hold; what has come in is on hand or deducted.
    fn stock(&self) -> Result<(), String> {
        let mut held: BTreeMap<&Sku, i64> = BTreeMap::new();
        let mut left: BTreeMap<&Sku, i64> = BTreeMap::new();
        for reservation in self.inventory.world.reservations.values() {
            let into = match reservation.state {
                inventory::State::Reserved { .. } | inventory::State::Kept { .. } => &mut held,
                inventory::State::Deducted { .. } => &mut left,
                _ => continue,
            };
            for item in reservation.items() {
                *into.entry(&item.sku).or_default() += i64::from(item.quantity);
            }
        }
        for (sku, product) in &self.inventory.world.products {
            let of = |it: &BTreeMap<&Sku, i64>| it.get(sku).copied().unwrap_or(0);
            let kept = product.reserved == of(&held)
                && product.deducted == of(&left)
                && (0..=product.on_hand).contains(&product.reserved);
            if !kept {
                return Err(format!("{sku}: {product:?}, held {held:?}, left {left:?}"));
            }
        }
        Ok(())
    }

    /// Every service agrees on how the order has ended.
    fn end(&self, id: OrderId) -> Result<(), String> {
        let order = self.order.world.orders.get(&id).ok_or("it is not there")?;
        let reservation = self.inventory.world.reservations.get(&id).map(|it| &it.state);
        let payment = self.payment.world.payments.get(&id).map(|it| &it.state);
        let shipment = self.shipping.world.shipments.get(&id).map(|it| &it.state);
        let books = self.books(id);
        let kept = match &order.state {
            OrderState::Delivered { paid, .. } => {
                *paid
                    && books == ["authorize", "capture"]
                    && matches!(reservation, Some(inventory::State::Deducted { .. }))
                    && matches!(payment, Some(payment::State::Captured(_)))
                    && matches!(shipment, Some(shipping::State::Delivered { .. }))
            }
            OrderState::Cancelled { .. } => {
                use payment::State as P;
                let no_claim = matches!(
                    payment,
                    None | Some(P::Declined { .. } | P::Voided { .. } | P::Refunded(_) | P::Cancelled { .. })
                );
                use inventory::State as R;
                let no_stock =
                    !matches!(reservation, Some(R::Reserved { .. } | R::Kept { .. } | R::Deducted { .. }));
                use shipping::State as Sh;
                let no_parcel = !matches!(
                    shipment,
                    Some(Sh::Scheduled { .. } | Sh::Dispatched { .. } | Sh::Delivered { .. })
                );
                NO_MONEY.contains(&books.as_slice()) && no_claim && no_stock && no_parcel
            }
            _ => false,
        };
        if kept {
            return Ok(());
        }
        Err(format!(
            "an end that is none: {:?}, {reservation:?}, {payment:?}, {shipment:?}, books {books:?}",
            order.state
        ))
    }

    /// Stock that ran out went nowhere, and stock that could have was kept before its parcel left.
    fn expiry(&self, id: OrderId, told: &Told) -> Result<(), String> {
        let reservation_ends = self.mood.reservation_ttl.is_some();
        if told.has("inventory.reservation-expired") {
            let back = told.has("order.cancelled") && NO_MONEY.contains(&self.books(id).as_slice());
            if !back || told.has("shipping.dispatched") || told.has("inventory.stock-kept") {
                return Err(format!("the reservation ran out: {told}"));
            }
        }
        if told.has("shipping.dispatched") {
            let needed = ["inventory.stock-reserved", "inventory.stock-deducted", "payment.captured"];
            let kept = told.has("inventory.stock-kept") == reservation_ends;
            if !kept || !needed.iter().all(|it| told.has(it)) || told.has("inventory.stock-released") {
                return Err(format!("dispatched: {told}"));
            }
        }
        Ok(())
    }

    /// What was ever held for a cancelled order is back, and the order says so; payment has said what became of the
    /// money, once.
    fn compensation(&self, id: OrderId, told: &Told) -> Result<(), String> {
        let Some(OrderState::Cancelled { back, .. }) = self.order.world.orders.get(&id).map(|it| &it.state)
        else {
            return Ok(());
        };
        let done = |event: &str| told.has(event).then_some(Return::Done);
        let expected = (done("inventory.stock-reserved"), done("payment.authorized"));
        if (back.stock, back.money.shown()) != expected {
            return Err(format!("compensation is {back:?}, not {expected:?}: {told}"));
        }
        let last = ["payment.declined", "payment.voided", "payment.refunded", "payment.cancelled"];
        match last.iter().filter(|it| told.has(it)).count() {
            1 => Ok(()),
            words => Err(format!("payment has {words} last words: {told}")),
        }
    }

    fn told(&self, id: OrderId) -> Result<Told, String> {
        let key = id.to_string();
        let mut told = Told(BTreeMap::new());
        for message in self.log.iter().filter(|it| it.0.1 == key).flat_map(|it| it.1) {
            let name = EventType::parse(message.r#type).map_err(|error| error.to_string())?.name;
            told.0.entry(name).or_default().insert(message.id);
        }
        Ok(told)
    }

    fn tally(&mut self, id: OrderId, told: &Told) {
        let reason = match self.order.world.orders.get(&id).map(|it| &it.state) {
            Some(OrderState::Cancelled { reason, .. }) => Some(*reason),
            _ => None,
        };
        let expired = told.has("inventory.reservation-expired");
        for (what, seen) in [
            ("delivered", told.has("order.delivered")),
            ("cancelled", told.has("order.cancelled")),
            ("voided", told.has("payment.voided")),
            ("refunded", told.has("payment.refunded")),
            ("never asked for", told.has("payment.cancelled")),
            (
                "declined after the cancellation",
                told.has("payment.declined") && reason.is_some_and(|it| it != CancelReason::PaymentDeclined),
            ),
            ("kept", told.has("inventory.stock-kept")),
            ("expired", expired),
            ("expired across the confirmation", expired && told.has("order.confirmed")),
            ("expired across the capture", expired && told.has("payment.captured")),
            ("cancelled too late", told.has("shipping.cancellation-refused")),
            ("cancelled on the way", told.has("order.confirmed") && reason == Some(CancelReason::Customer)),
            (
                "authorised after the time",
                told.has("payment.authorized") && reason == Some(CancelReason::TimedOut),
            ),
        ] {
            self.tally.count(what, usize::from(seen));
        }
    }
}

impl Told {
    fn has(&self, event: &str) -> bool {
        self.0.contains_key(event)
    }

    /// Everything is told once, and one end.
    fn laws(&self) -> Result<(), String> {
        if let Some((name, ids)) = self.0.iter().find(|it| it.1.len() > 1) {
            return Err(format!("{name} is told {} times", ids.len()));
        }
        match ["order.delivered", "order.cancelled"].iter().filter(|it| self.has(it)).count() {
            1 => Ok(()),
            ends => Err(format!("{ends} ends: {self}")),
        }
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.keys().copied().collect::<Vec<_>>().join(", "))
    }
}
