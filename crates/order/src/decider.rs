//! What follows from what: everything that can happen to orders, and what the service does about it.

mod input;
mod place;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use engine::{
    Arrival, Deadline, Decided, Decider, Decision, Declined, Publication, Recorded, Timestamp, Unreadable,
    Writes,
};
use events::{CancelReason, Money, OrderId, ProductChanged, Sku};
use sqlx::PgConnection;

pub use self::{input::Input, place::PlaceOrder};
use crate::{
    order::{Order, OrderEvent, Published},
    store,
    view::OrderView,
    warm::Warm,
};

/// The order's part in the saga: the decider that the service runs, for simulation and model checking too.
#[derive(Debug, Clone)]
pub struct Orders {
    /// An order that is not confirmed in this time is cancelled.
    confirm_within: Duration,
    warm: Warm,
}

impl Default for Orders {
    fn default() -> Self {
        Self::new(Duration::from_secs(CONFIRM_WITHIN_SECS))
    }
}

impl Orders {
    pub fn new(confirm_within: Duration) -> Self {
        Self { confirm_within, warm: Warm::default() }
    }
}

/// Longer than an outage that is worth waiting out, shorter than a customer's patience.
pub(crate) const CONFIRM_WITHIN_SECS: u64 = 1_800;

/// The kind of deadline by which an order is to be confirmed; its key is the order's id.
const CONFIRMATION: &str = "confirmation";

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// JSON pointers into the request, each with what is wrong there.
    Invalid(Vec<(String, String)>),
    UnknownOrder,
    TooLateToCancel,
    /// Its events have a gap, or one of them cannot be read: no row can be written from them.
    NotWhole,
}

/// A fact of this service.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    Order(OrderId, OrderEvent),
    /// Its row in the read model is what its events fold to, whatever it was. Nothing has happened to the order.
    Refolded(OrderId),
    Priced(ProductChanged),
}

/// The orders of a batch, and the prices that it needs; all there are in a simulation.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub orders: BTreeMap<OrderId, Order>,
    pub prices: HashMap<Sku, Price>,
    /// Orders to be written anew whose events are not whole.
    pub(crate) broken: BTreeSet<OrderId>,
}

/// What a product is called and what one of it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    pub name: String,
    pub price: Money,
}

impl Decider for Orders {
    type Input = Input;
    type Event = Fact;
    type World = World;
    type Reply = OrderView;
    type Refusal = Refusal;

    const SERVICE: &'static str = "order";
    const DEADLINES: &'static [&'static str] = &[CONFIRMATION];

    fn read(&self, event: &Arrival<'_>) -> Result<Option<Input>, Unreadable> {
        Input::read(event)
    }

    fn due(&self, kind: &str, key: &str) -> Option<Input> {
        match kind {
            CONFIRMATION => Some(Input::ConfirmationDue(key.parse().ok()?)),
            _ => None,
        }
    }

    fn sheds(input: &Input) -> bool {
        matches!(input, Input::Place(..))
    }

    async fn load(&self, tx: &mut PgConnection, inputs: &[&Input]) -> sqlx::Result<World> {
        let skus = inputs.iter().filter_map(|it| match it {
            Input::Place(order) => Some(order.lines.iter().map(|(sku, _)| sku.as_str())),
            _ => None,
        });
        let prices = store::prices(&mut *tx, skus.flatten().collect()).await?;
        // An order that is being placed has no row to lock.
        let known = inputs.iter().filter(|it| !matches!(it, Input::Place(_)));
        let (anew, followed): (Vec<&Input>, Vec<&Input>) =
            known.copied().partition(|it| matches!(it, Input::Refold(_)));
        let ids = |of: Vec<&Input>| of.into_iter().filter_map(Input::order_id).collect::<BTreeSet<_>>();
        let (orders, broken) = store::lock_orders(tx, &self.warm, &ids(followed), &ids(anew)).await?;
        Ok(World { orders, prices, broken })
    }

    fn decide(&self, world: &World, input: &Input, at: Timestamp) -> Decided<Self> {
        match input {
            Input::Place(order) => self.place(world, order, at),
            Input::ProductChanged(product) => reprice(product),
            Input::Refold(order_id) => refold(world, *order_id),
            _ => follow(world, input, at),
        }
    }

    fn evolve(&self, world: &mut World, fact: &Fact) {
        match fact {
            Fact::Order(id, OrderEvent::Placed(placed)) => {
                world.orders.insert(*id, Order::begin((**placed).clone()));
            }
            Fact::Order(id, event) => {
                if let Some(order) = world.orders.get_mut(id) {
                    order.evolve(event);
                }
            }
            Fact::Refolded(_) => {}
            Fact::Priced(product) => {
                let price = Price { name: product.name.clone(), price: product.price };
                world.prices.insert(product.sku.clone(), price);
            }
        }
    }

    fn reply(&self, world: &World, input: &Input) -> Option<OrderView> {
        world.orders.get(&input.order_id()?).map(OrderView::of)
    }

    fn publish(&self, world: &World, fact: &Fact) -> Option<Publication> {
        let Fact::Order(id, event) = fact else { return None };
        let order = world.orders.get(id)?;
        let sequence = order.sequence;
        Some(match order.published(event)? {
            Published::Placed(it) => Publication::of(&it, sequence),
            Published::Confirmed(it) => Publication::of(&it, sequence),
            Published::Paid(it) => Publication::of(&it, sequence),
            Published::Shipped(it) => Publication::of(&it, sequence),
            Published::Delivered(it) => Publication::of(&it, sequence),
            Published::CancellationRequested(it) => Publication::of(&it, sequence),
            Published::Cancelled(it) => Publication::of(&it, sequence),
        })
    }

    fn save(&self, writes: &mut Writes, world: &World, facts: &[Recorded<Fact>]) {
        store::save_orders(writes, &world.orders, facts);
        store::save_prices(writes, facts);
    }

    fn committed(&self, world: World) {
        self.warm.keep(world.orders);
    }
}

fn reprice(product: &ProductChanged) -> Decided<Orders> {
    if product.price.amount < 0 {
        return Err(Declined::Impossible("a price below zero".into()));
    }
    Ok(Decision::events([Fact::Priced(product.clone())]))
}

fn refold(world: &World, order_id: OrderId) -> Decided<Orders> {
    if world.broken.contains(&order_id) {
        return Err(Declined::Refused(Refusal::NotWhole));
    }
    known(world, &Input::Refold(order_id)).map(|_| Decision::events([Fact::Refolded(order_id)]))
}

/// What an order makes of what has happened elsewhere, or of what its customer wants.
fn follow(world: &World, input: &Input, at: Timestamp) -> Decided<Orders> {
    let (order_id, order) = known(world, input)?;
    let events = match input {
        // Forward.
        Input::StockReserved(_, expires_at) => order.note_stock(*expires_at, at),
        Input::PaymentAuthorized(_) => order.note_payment(at),
        Input::PaymentCaptured(_) => order.note_capture(),
        Input::Dispatched(_, tracking_number) => order.note_dispatch(tracking_number),
        Input::Delivered(_) => order.note_delivery(),
        // Back.
        Input::StockRejected(_) => order.give_up(CancelReason::OutOfStock),
        Input::PaymentDeclined(_) => order.note_decline(),
        Input::CaptureFailed(_) => order.fail_capture(),
        Input::ReservationExpired(_) => order.expire(),
        Input::ShipmentCancelled(_) => order.note_stopped(),
        // The parcel has left: what was asked for is answered by `shipping.dispatched`.
        Input::CancellationRefused(_) => vec![],
        Input::StockReleased(_) => order.note_stock_back(),
        Input::PaymentVoided(_) | Input::PaymentRefunded(_) => order.note_money_back(),
        Input::PaymentCancelled(_) => order.note_nothing_held(),
        Input::Cancel(_, note) => {
            let cancelled = order.cancel(note.as_deref());
            cancelled.ok_or(Declined::Refused(Refusal::TooLateToCancel))?
        }
        // Time.
        Input::ConfirmationDue(_) => order.give_up(CancelReason::TimedOut),
        // These concern no order that is there.
        Input::Place(_) | Input::ProductChanged(_) | Input::Refold(_) => vec![],
    };
    let in_time = order.awaits_confirmation()
        && events.iter().any(|it| matches!(it, OrderEvent::Confirmed { .. } | OrderEvent::Cancelled { .. }));
    let decision = Decision::events(events.into_iter().map(|event| Fact::Order(order_id, event)));
    if in_time {
        return Ok(decision.with_deadline(Deadline::Clear { key: order_id.to_string(), kind: CONFIRMATION }));
    }
    Ok(decision)
}

/// The order that an input concerns. One that was never placed here cannot be followed.
fn known<'w>(world: &'w World, input: &Input) -> Result<(OrderId, &'w Order), Declined<Refusal>> {
    let unknown = || match input {
        Input::Cancel(..) | Input::Refold(_) => Declined::Refused(Refusal::UnknownOrder),
        _ => Declined::Impossible("the order was never placed here".into()),
    };
    let id = input.order_id().ok_or_else(unknown)?;
    Ok((id, world.orders.get(&id).ok_or_else(unknown)?))
}
