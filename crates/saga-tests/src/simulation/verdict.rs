//! The laws, over the worlds of the deciders and the provider's ledger.

use std::collections::BTreeMap;

use events::{OrderId, Sku};
use order::State as OrderState;

use super::{NODES, Simulation, Tally};
use crate::topic::disorder;

impl Simulation {
    pub(super) fn verdict(&mut self, tally: &mut Tally) -> Result<(), String> {
        for index in 0..NODES {
            let node = self.node(index);
            if !node.outbox_is_empty() || !node.effects().is_empty() {
                return Err(format!("{} is not at rest", node.name()));
            }
        }
        for ((aggregate, key), messages) in &self.log {
            let events: Vec<_> = messages.iter().map(|it| (it.sequence, it.id)).collect();
            if let Some(disorder) = disorder(&events) {
                return Err(format!("{aggregate} {key}: {disorder}"));
            }
        }
        self.stock()?;
        for order_id in &self.orders {
            self.order(*order_id, tally).map_err(|broken| format!("order {order_id}: {broken}"))?;
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

    fn order(&self, id: OrderId, tally: &mut Tally) -> Result<(), String> {
        let order = self.order.world.orders.get(&id).ok_or("it is not there")?;
        let reservation = self.inventory.world.reservations.get(&id).map(|it| &it.state);
        let payment = self.payment.world.payments.get(&id).map(|it| &it.state);
        let shipment = self.shipping.world.shipments.get(&id).map(|it| &it.state);
        let entries = self.provider.ledger.get(&id).map_or(&[][..], Vec::as_slice);
        let kinds: Vec<&str> = entries.iter().map(|it| it.0).collect();
        let kept = match &order.state {
            OrderState::Delivered { paid, .. } => {
                tally.delivered += 1;
                *paid
                    && kinds == ["authorize", "capture"]
                    && matches!(reservation, Some(inventory::State::Deducted { .. }))
                    && matches!(payment, Some(payment::State::Captured(_)))
                    && matches!(shipment, Some(shipping::State::Delivered { .. }))
            }
            OrderState::Cancelled { .. } => {
                tally.cancelled += 1;
                tally.refunds += usize::from(kinds.contains(&"refund"));
                use payment::State as P;
                let no_money = kinds.is_empty()
                    || kinds == ["authorize", "cancel"]
                    || kinds == ["authorize", "capture", "refund"];
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
                no_money && no_claim && no_stock && no_parcel
            }
            _ => false,
        };
        if kept {
            return Ok(());
        }
        Err(format!("{:?}, {reservation:?}, {payment:?}, {shipment:?}, ledger {entries:?}", order.state))
    }
}
