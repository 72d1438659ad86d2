//! What holds at every moment, whatever is still on its way.

use events::OrderId;
use inventory::State as Stock;
use order::{Return, State as OrderState};
use shipping::State as Parcel;

use super::{Broken, Cast, Simulation};

/// What the provider's books can say of an order that holds no money.
pub(super) const NO_MONEY: [&[&str]; 3] =
    [&[], &["authorize", "cancel"], &["authorize", "capture", "refund"]];

impl<C: Cast> Simulation<C> {
    /// Nothing is wrong that could not be put right.
    pub(super) fn moment(&self, id: OrderId) -> Result<(), Broken> {
        let reservation = self.services.inventory.world.reservations.get(&id);
        let shipment = self.services.shipping.world.shipments.get(&id).map(|it| &it.state);
        let books = self.books(id);
        if matches!(shipment, Some(Parcel::Dispatched { .. } | Parcel::Delivered { .. })) {
            let stock = reservation.map(|it| &it.state);
            let certain = matches!(
                stock,
                Some(Stock::Reserved { expires_at: None, .. } | Stock::Kept { .. } | Stock::Deducted { .. })
            );
            if !certain {
                return Err(Broken::of(id, "a parcel has left without stock", stock));
            }
            if books != ["authorize", "capture"] {
                return Err(Broken::of(id, "a parcel has left that is not paid for", books));
            }
        }
        if books.iter().filter(|it| **it == "capture").count() > 1 {
            return Err(Broken::of(id, "captured more than once", books));
        }
        if let Some(OrderState::Cancelled { back, .. }) =
            self.services.order.world.orders.get(&id).map(|it| &it.state)
        {
            if back.stock == Some(Return::Done) && reservation.is_some_and(|it| it.is_live()) {
                return Err(Broken::of(id, "stock is called returned that is held", reservation));
            }
            let is_settled = back.money.shown() != Some(Return::Pending);
            if is_settled && !NO_MONEY.contains(&books.as_slice()) {
                return Err(Broken::of(id, "money is not called pending that is held", books));
            }
        }
        Ok(())
    }

    /// What the provider has done for an order.
    pub(super) fn books(&self, id: OrderId) -> Vec<&'static str> {
        self.provider.ledger.get(&id).into_iter().flatten().map(|it| it.0).collect()
    }
}
