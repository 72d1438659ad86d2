//! What holds in every state, and what holds where the order is at rest.

use std::sync::Arc;

use inventory::State as Stock;
use order::{Return, State as OrderState};
use payment::State as Money;
use shipping::State as Parcel;

use super::{
    provider::Provider,
    saga::{Saga, State},
    service::{Desk, Disk},
    shop,
};

/// A state, taken out of its numbers.
struct Scene<'s> {
    saga: &'s Saga,
    order: Arc<Disk<order::World>>,
    inventory: Arc<Disk<inventory::World>>,
    payment: Arc<Disk<payment::World>>,
    shipping: Arc<Disk<shipping::World>>,
    provider: Arc<Provider>,
}

/// What the provider's books can say of an order that holds no money.
const NO_MONEY: [&[&str]; 3] = [&[], &["authorize", "cancel"], &["authorize", "capture", "refund"]];

impl Saga {
    /// Nothing is wrong that could not be put right.
    pub(super) fn safe(&self, state: &State) -> Result<(), String> {
        let scene = self.scene(state);
        scene.possible()?;
        scene.parcel()?;
        scene.stock()?;
        scene.money()?;
        scene.compensation_so_far()
    }

    /// Where nothing is left to do, the order has come to one end, and everybody agrees on it.
    pub(super) fn sound_at_rest(&self, state: &State) -> Result<(), String> {
        if !self.is_at_rest(state) {
            return Ok(());
        }
        let scene = self.scene(state);
        scene.end()?;
        scene.expiry()?;
        scene.compensation()
    }

    pub(super) fn is_at_rest(&self, state: &State) -> bool {
        let mut left = Vec::new();
        self.progress(state, &mut left);
        left.is_empty()
    }

    fn scene(&self, state: &State) -> Scene<'_> {
        let [order, inventory, payment, shipping] = state.disks;
        Scene {
            saga: self,
            order: self.order.disk(order),
            inventory: self.inventory.disk(inventory),
            payment: self.payment.disk(payment),
            shipping: self.shipping.disk(shipping),
            provider: self.providers.get(state.provider),
        }
    }
}

impl Scene<'_> {
    // At every moment.

    /// No message is poison, no number is given twice, nothing is told twice, and nothing is asked of the provider
    /// that it would refuse.
    fn possible(&self) -> Result<(), String> {
        let broken = self.desks().into_iter().find_map(|it| it.broken.clone());
        match broken.or_else(|| self.provider.broken.clone()) {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    /// A parcel that has left is paid for, and took stock along that was its order's for good.
    fn parcel(&self) -> Result<(), String> {
        if !matches!(self.shipment(), Some(Parcel::Dispatched { .. } | Parcel::Delivered { .. })) {
            return Ok(());
        }
        let stock = self.reservation();
        if !matches!(
            stock,
            Some(Stock::Reserved { expires_at: None, .. } | Stock::Kept { .. } | Stock::Deducted { .. })
        ) {
            return Err(format!("a parcel has left without stock: {stock:?}"));
        }
        match self.provider.net() {
            shop::TOTAL => Ok(()),
            net => Err(format!("a parcel has left of which {net} are paid")),
        }
    }

    /// What is reserved is what the live reservation holds; what was put there is on hand or deducted.
    fn stock(&self) -> Result<(), String> {
        let world = &self.inventory.world;
        let reservation = world.reservations.get(&shop::ORDER_ID);
        for (sku, seeded) in shop::seeded(&self.saga.scenario) {
            let product = world.products.iter().find(|it| it.0.as_str() == sku).ok_or("a product is gone")?.1;
            let items = reservation.map(|it| it.items()).unwrap_or_default();
            let quantity: i64 =
                items.iter().filter(|it| it.sku.as_str() == sku).map(|it| i64::from(it.quantity)).sum();
            let of = |holds: bool| if holds { quantity } else { 0 };
            let left = matches!(self.reservation(), Some(Stock::Deducted { .. }));
            let kept = product.on_hand + product.deducted == seeded
                && product.reserved == of(reservation.is_some_and(|it| it.is_live()))
                && product.deducted == of(left)
                && (0..=product.on_hand).contains(&product.reserved);
            if !kept {
                return Err(format!("{sku}: {product:?} of {seeded}, {reservation:?}"));
            }
        }
        Ok(())
    }

    /// At most one capture, of the order's total, and nothing given back that was not taken.
    fn money(&self) -> Result<(), String> {
        let entries = self.provider.entries();
        let once = |what| entries.iter().filter(|it| **it == what).count() <= 1;
        let whole = self.provider.ledger.iter().all(|it| it.1 == shop::TOTAL);
        if once("capture") && once("refund") && whole && (0..=shop::TOTAL).contains(&self.provider.net()) {
            return Ok(());
        }
        Err(format!("the books say {:?}", self.provider.ledger))
    }

    /// A cancelled order calls nothing returned that is held.
    fn compensation_so_far(&self) -> Result<(), String> {
        let Some(OrderState::Cancelled { back, .. }) = self.order() else { return Ok(()) };
        let is_live = matches!(self.reservation(), Some(Stock::Reserved { .. } | Stock::Kept { .. }));
        if back.stock == Some(Return::Done) && is_live {
            return Err("stock is called returned that is held".into());
        }
        let entries = self.provider.entries();
        if back.money.shown() != Some(Return::Pending) && !NO_MONEY.contains(&entries.as_slice()) {
            return Err(format!("money is not called pending that is held: {entries:?}"));
        }
        Ok(())
    }

    // At rest.

    /// Every service agrees on how the order has ended.
    fn end(&self) -> Result<(), String> {
        let (order, stock, money, parcel) =
            (self.order(), self.reservation(), self.payment(), self.shipment());
        let entries = self.provider.entries();
        let kept = match order {
            Some(OrderState::Delivered { paid, .. }) => {
                *paid
                    && entries == ["authorize", "capture"]
                    && matches!(stock, Some(Stock::Deducted { .. }))
                    && matches!(money, Some(Money::Captured(_)))
                    && matches!(parcel, Some(Parcel::Delivered { .. }))
            }
            Some(OrderState::Cancelled { .. }) => {
                use Money::{Cancelled, Declined, Refunded, Voided};
                let no_claim =
                    matches!(money, Some(Declined { .. } | Voided { .. } | Refunded(_) | Cancelled { .. }));
                let no_stock =
                    matches!(stock, Some(Stock::Rejected | Stock::Released { .. } | Stock::Expired { .. }));
                let no_parcel = matches!(parcel, Some(Parcel::Cancelled { .. } | Parcel::Barred));
                NO_MONEY.contains(&entries.as_slice()) && no_claim && no_stock && no_parcel
            }
            _ => false,
        };
        let ends = ["order.delivered", "order.cancelled"].iter().filter(|it| self.has_told(it)).count();
        if kept && ends == 1 {
            return Ok(());
        }
        Err(format!("an end that is none: {order:?}, {stock:?}, {money:?}, {parcel:?}, books {entries:?}"))
    }

    /// Stock that ran out went nowhere, and stock that could have was kept before its parcel left.
    fn expiry(&self) -> Result<(), String> {
        let told = |names: &[&str]| names.iter().all(|it| self.has_told(it));
        let dispatched = self.has_told("shipping.dispatched");
        let kept = self.has_told("inventory.stock-kept");
        if self.has_told("inventory.reservation-expired")
            && (dispatched || kept || !told(&["order.cancelled"]))
        {
            return Err("stock was used after it had run out".into());
        }
        let needed = ["inventory.stock-reserved", "inventory.stock-deducted", "payment.captured"];
        if dispatched && !(told(&needed) && kept == self.saga.scenario.reservation_ends) {
            return Err("a parcel has left without what it waits for".into());
        }
        Ok(())
    }

    /// What was ever held for a cancelled order is back, and the order says so; payment has said what became of the
    /// money, once.
    fn compensation(&self) -> Result<(), String> {
        let Some(OrderState::Cancelled { back, .. }) = self.order() else { return Ok(()) };
        let done = |event: &str| self.has_told(event).then_some(Return::Done);
        let expected = (done("inventory.stock-reserved"), done("payment.authorized"));
        if (back.stock, back.money.shown()) != expected {
            return Err(format!("compensation is {back:?}, not {expected:?}"));
        }
        let last = ["payment.declined", "payment.voided", "payment.refunded", "payment.cancelled"];
        match last.iter().filter(|it| self.has_told(it)).count() {
            1 => Ok(()),
            words => Err(format!("payment has {words} last words")),
        }
    }

    // What is looked at.

    fn order(&self) -> Option<&OrderState> {
        self.order.world.orders.get(&shop::ORDER_ID).map(|it| &it.state)
    }

    fn reservation(&self) -> Option<&Stock> {
        self.inventory.world.reservations.get(&shop::ORDER_ID).map(|it| &it.state)
    }

    fn payment(&self) -> Option<&Money> {
        self.payment.world.payments.get(&shop::ORDER_ID).map(|it| &it.state)
    }

    fn shipment(&self) -> Option<&Parcel> {
        self.shipping.world.shipments.get(&shop::ORDER_ID).map(|it| &it.state)
    }

    fn desks(&self) -> [&Desk; 4] {
        [&self.order.desk, &self.inventory.desk, &self.payment.desk, &self.shipping.desk]
    }

    fn has_told(&self, name: &str) -> bool {
        let mut told = self.desks().into_iter().flat_map(|it| &it.outbox);
        told.any(|it| self.saga.messages.get(*it).name == name)
    }
}
