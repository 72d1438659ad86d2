use std::collections::{BTreeMap, BTreeSet};

use engine::{
    Arrival, Decided, Decider, Decision, Declined, Effect, Mutant, Publication, Recorded, Timestamp,
    Unreadable, Writes,
};
use events::{Event, OrderCancelled, OrderConfirmed, OrderId, OrderPlaced, StockReserved};
use sqlx::PgConnection;

use crate::{
    payment::{Answer, Call, Charge, Payment, PaymentEvent, Published},
    store,
};

/// Payment's part in the saga.
pub struct Payments;

/// Everything that can happen to payments.
#[derive(Debug, Clone)]
pub enum Input {
    OrderPlaced(OrderId, Charge),
    StockReserved(OrderId),
    OrderConfirmed(OrderId),
    OrderCancelled(OrderId),
    Answered(OrderId, Answer),
}

/// A fact of this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub order_id: OrderId,
    pub event: PaymentEvent,
}

/// The payments of a batch.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub payments: BTreeMap<OrderId, Payment>,
    /// Those that have a row.
    pub(crate) stored: BTreeSet<OrderId>,
}

impl Input {
    /// The order that it concerns.
    fn order_id(&self) -> OrderId {
        match self {
            Self::OrderPlaced(id, _)
            | Self::StockReserved(id)
            | Self::OrderConfirmed(id)
            | Self::OrderCancelled(id)
            | Self::Answered(id, _) => *id,
        }
    }
}

impl Decider for Payments {
    type Input = Input;
    type Event = Fact;
    type World = World;
    /// Nobody commands a payment: it follows the order.
    type Reply = ();
    type Refusal = std::convert::Infallible;

    const SERVICE: &'static str = "payment";

    fn read(&self, event: &Arrival<'_>) -> Result<Option<Input>, Unreadable> {
        Ok(Some(match event.name {
            OrderPlaced::NAME => {
                let it: OrderPlaced = event.data()?;
                Input::OrderPlaced(
                    it.order_id,
                    Charge { amount: it.total, payment_method: it.payment_method },
                )
            }
            StockReserved::NAME => Input::StockReserved(event.data::<StockReserved>()?.order_id),
            OrderConfirmed::NAME => Input::OrderConfirmed(event.data::<OrderConfirmed>()?.order_id),
            OrderCancelled::NAME => Input::OrderCancelled(event.data::<OrderCancelled>()?.order_id),
            _ => return Ok(None),
        }))
    }

    async fn load(&self, tx: &mut PgConnection, inputs: &[&Input]) -> sqlx::Result<World> {
        let ids: BTreeSet<OrderId> = inputs.iter().map(|it| it.order_id()).collect();
        let payments = store::lock_payments(tx, &ids).await?;
        let stored = payments.keys().copied().collect();
        Ok(World { payments, stored })
    }

    fn decide(&self, world: &World, input: &Input, _: Timestamp) -> Decided<Self> {
        let order_id = input.order_id();
        let unknown = Payment::new(order_id);
        let payment = world.payments.get(&order_id).unwrap_or(&unknown);
        let events = match input {
            // Forward.
            Input::OrderPlaced(_, charge) => payment.place(charge),
            Input::StockReserved(_) => payment.reserve(),
            Input::OrderConfirmed(_) => payment.confirm(),
            // Compensation.
            Input::OrderCancelled(_) if Mutant::NoTombstone.is_on() && payment.is_awaiting() => Ok(vec![]),
            Input::OrderCancelled(_) => payment.cancel(),
            // Answers.
            Input::Answered(_, answer) => payment.answer(answer),
        };
        let mut events = events.map_err(|it| Declined::Impossible(it.0.into()))?;
        let asks_refund = |it: &PaymentEvent| matches!(it, PaymentEvent::Asked(Call::Refund { .. }));
        if Mutant::RefundOnRequest.is_on() && events.iter().any(asks_refund) {
            events.push(PaymentEvent::Refunded);
        }
        let effects = events.iter().filter_map(effect).collect();
        let events = events.into_iter().map(|event| Fact { order_id, event }).collect();
        Ok(Decision { events, effects, ..Decision::nothing() })
    }

    fn evolve(&self, world: &mut World, fact: &Fact) {
        let payment = world.payments.entry(fact.order_id).or_insert_with(|| Payment::new(fact.order_id));
        payment.evolve(&fact.event);
    }

    fn reply(&self, _: &World, _: &Input) -> Option<()> {
        None
    }

    fn publish(&self, world: &World, fact: &Fact) -> Option<Publication> {
        let payment = world.payments.get(&fact.order_id)?;
        let sequence = payment.sequence;
        Some(match payment.published(&fact.event)? {
            Published::Authorized(it) => Publication::of(&it, sequence),
            Published::Declined(it) => Publication::of(&it, sequence),
            Published::Captured(it) => Publication::of(&it, sequence),
            Published::CaptureFailed(it) => Publication::of(&it, sequence),
            Published::Voided(it) => Publication::of(&it, sequence),
            Published::Refunded(it) => Publication::of(&it, sequence),
            Published::Cancelled(it) => Publication::of(&it, sequence),
        })
    }

    fn save(&self, writes: &mut Writes, world: &World, facts: &[Recorded<Fact>]) {
        let touched: BTreeSet<OrderId> = facts.iter().map(|it| it.event.order_id).collect();
        let touched = touched.iter().filter_map(|id| world.payments.get(id));
        let (changed, created): (Vec<_>, Vec<_>) =
            touched.partition(|it| world.stored.contains(&it.order_id));
        store::create_payments(writes, &created);
        store::update_payments(writes, &changed);
    }
}

/// The call that goes with an event: asking is recorded in the transaction that puts the call on disk.
fn effect(event: &PaymentEvent) -> Option<Effect> {
    let PaymentEvent::Asked(call) = event else { return None };
    // Strings and numbers: there is no value that JSON lacks.
    let request = serde_json::to_string(call).expect("a call serialises");
    Some(Effect { key: call.order_id().to_string(), request })
}

#[cfg(test)]
mod tests;
