//! The laws of the end, over the worlds of the deciders, what they have told each other, and the provider's books.

use std::collections::{BTreeMap, BTreeSet};

use audit::History;
use events::{CancelReason, EventType, OrderId, Sku};
use order::{Return, State as OrderState};
use uuid::Uuid;

use super::{
    Broken, Cast, NODES, Simulation,
    log::{Log, SKUS, order_id},
    moment::NO_MONEY,
};

/// What was published about one order: the ids of each event.
#[derive(Debug)]
struct Told(BTreeMap<&'static str, BTreeSet<Uuid>>);

impl<C: Cast> Simulation<C> {
    pub(super) fn verdict(&mut self) -> Result<(), Broken> {
        let is_quiet = (0..NODES).all(|index| self.services.peek(index).outbox_is_empty());
        if !is_quiet || !self.services.payment.effects.is_empty() {
            return Err(Broken::new("not at rest", format!("{:?}", self.services.payment.effects)));
        }
        for (index, stream) in self.log.0.iter().enumerate() {
            let mut history = History::default();
            for message in &stream.messages {
                let noted = history.note(
                    (message.sequence, message.id),
                    &(message.r#type, &message.data),
                    false,
                    false,
                );
                noted.map_err(|disorder| {
                    let about = format!("{} {:?}: {disorder}", Log::aggregate(index), Log::order(index));
                    Broken::new("disorder on the log", about)
                })?;
            }
        }
        for order in self.orders.clone() {
            let (id, told) = (order_id(order), self.told(order)?);
            self.moment(id)?;
            self.end(id)?;
            told.laws(id)?;
            self.expiry(id, &told)?;
            self.compensation(id, &told)?;
            self.tally(id, &told);
        }
        Ok(())
    }

    /// What is reserved is what the live reservations hold; what has come in is on hand or deducted.
    pub(super) fn stock(&self) -> Result<(), Broken> {
        let mut held: BTreeMap<&Sku, i64> = BTreeMap::new();
        let mut left: BTreeMap<&Sku, i64> = BTreeMap::new();
        for reservation in self.services.inventory.world.reservations.values() {
            let into = match reservation.state {
                inventory::State::Reserved { .. } | inventory::State::Kept { .. } => &mut held,
                inventory::State::Deducted { .. } => &mut left,
                _ => continue,
            };
            for item in reservation.items() {
                *into.entry(&item.sku).or_default() += i64::from(item.quantity);
            }
        }
        for (sku, product) in &self.services.inventory.world.products {
            let index = SKUS.iter().position(|it| *it == sku.as_str());
            let received = index.map(|it| self.received[it]);
            let of = |it: &BTreeMap<&Sku, i64>| it.get(sku).copied().unwrap_or(0);
            let kept = product.reserved == of(&held)
                && product.deducted == of(&left)
                && Some(product.on_hand + product.deducted) == received
                && (0..=product.on_hand).contains(&product.reserved);
            if !kept {
                let about =
                    format!("{sku}: {product:?}, received {received:?}, held {held:?}, left {left:?}");
                return Err(Broken::new("stock is not what came in", about));
            }
        }
        Ok(())
    }

    /// Every service agrees on how the order has ended.
    fn end(&self, id: OrderId) -> Result<(), Broken> {
        let order = self.services.order.world.orders.get(&id);
        let order = order.ok_or_else(|| Broken::of(id, "an order is not there", ()))?;
        let reservation = self.services.inventory.world.reservations.get(&id).map(|it| &it.state);
        let payment = self.services.payment.world.payments.get(&id).map(|it| &it.state);
        let shipment = self.services.shipping.world.shipments.get(&id).map(|it| &it.state);
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
        let about = (&order.state, reservation, payment, shipment, books);
        Err(Broken::of(id, "an end that is none", about))
    }

    /// Stock that ran out went nowhere, and stock that could have was kept before its parcel left.
    fn expiry(&self, id: OrderId, told: &Told) -> Result<(), Broken> {
        let reservation_ends = self.setting.reservation_ttl.is_some();
        if told.has("inventory.reservation-expired") {
            let back = told.has("order.cancelled") && NO_MONEY.contains(&self.books(id).as_slice());
            if !back || told.has("shipping.dispatched") || told.has("inventory.stock-kept") {
                return Err(Broken::of(id, "stock that ran out went somewhere", told));
            }
        }
        if told.has("shipping.dispatched") {
            let needed = ["inventory.stock-reserved", "inventory.stock-deducted", "payment.captured"];
            let kept = told.has("inventory.stock-kept") == reservation_ends;
            if !kept || !needed.iter().all(|it| told.has(it)) || told.has("inventory.stock-released") {
                return Err(Broken::of(id, "dispatched without what it takes", told));
            }
        }
        Ok(())
    }

    /// What was ever held for a cancelled order is back, and the order says so; payment has said what became of the
    /// money, once.
    fn compensation(&self, id: OrderId, told: &Told) -> Result<(), Broken> {
        let Some(OrderState::Cancelled { back, .. }) =
            self.services.order.world.orders.get(&id).map(|it| &it.state)
        else {
            return Ok(());
        };
        let done = |event: &str| told.has(event).then_some(Return::Done);
        let expected = (done("inventory.stock-reserved"), done("payment.authorized"));
        if (back.stock, back.money.shown()) != expected {
            return Err(Broken::of(id, "compensation is not what was told", (back, expected, told)));
        }
        let last = ["payment.declined", "payment.voided", "payment.refunded", "payment.cancelled"];
        match last.iter().filter(|it| told.has(it)).count() {
            1 => Ok(()),
            _ => Err(Broken::of(id, "payment has not one last word", told)),
        }
    }

    fn told(&self, order: u8) -> Result<Told, Broken> {
        let mut told = Told(BTreeMap::new());
        for message in self.log.about(order) {
            let parsed = EventType::parse(message.r#type);
            let name = parsed.map_err(|error| Broken::new("not a type", error.to_string()))?.name;
            told.0.entry(name).or_default().insert(message.id);
        }
        Ok(told)
    }

    fn tally(&mut self, id: OrderId, told: &Told) {
        let reason = match self.services.order.world.orders.get(&id).map(|it| &it.state) {
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
    fn laws(&self, id: OrderId) -> Result<(), Broken> {
        if self.0.values().any(|it| it.len() > 1) {
            return Err(Broken::of(id, "an event is told more than once", self));
        }
        match ["order.delivered", "order.cancelled"].iter().filter(|it| self.has(it)).count() {
            1 => Ok(()),
            _ => Err(Broken::of(id, "not one end", self)),
        }
    }
}
