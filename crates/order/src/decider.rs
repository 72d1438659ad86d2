use std::collections::{BTreeMap, HashMap};

use engine::{Arrival, Decided, Decider, Decision, Declined, Publication, Recorded, Timestamp, Unreadable};
use events::{
    CancelReason, CancellationRefused, CaptureFailed, Currency, Customer, Event, Line, Money, OrderId,
    OrderPlaced, PaymentAuthorized, PaymentCaptured, PaymentDeclined, ProductChanged, ReservationExpired,
    ShipmentCancelled, ShipmentDelivered, ShipmentDispatched, Sku, StockRejected, StockReserved,
};
use sqlx::PgConnection;

use crate::{
    order::{self, Order, OrderEvent, Published},
    store,
    view::OrderView,
};

/// The order's part in the saga.
pub(crate) struct Orders;

/// Everything that can happen to orders.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Place(PlaceOrder),
    Cancel(OrderId),
    StockReserved(OrderId),
    StockRejected(OrderId),
    ReservationExpired(OrderId),
    PaymentAuthorized(OrderId),
    PaymentDeclined(OrderId),
    PaymentCaptured(OrderId),
    CaptureFailed(OrderId),
    Dispatched(OrderId, String),
    Delivered(OrderId),
    ShipmentCancelled(OrderId),
    CancellationRefused(OrderId),
    ProductChanged(ProductChanged),
}

/// An order that somebody wants to place; prices are not theirs to say.
#[derive(Debug, Clone)]
pub(crate) struct PlaceOrder {
    pub(crate) order_id: OrderId,
    pub(crate) customer: Customer,
    pub(crate) currency: Currency,
    pub(crate) lines: Vec<(Sku, u32)>,
    pub(crate) ship_to: events::Address,
    pub(crate) payment_method: String,
}

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// JSON pointers into the request, each with what is wrong there.
    Invalid(Vec<(String, String)>),
    UnknownOrder,
    TooLateToCancel,
}

/// A fact of this service.
#[derive(Debug, Clone)]
pub(crate) enum Fact {
    Order(OrderId, OrderEvent),
    Priced(ProductChanged),
}

/// The orders of a batch, and the prices that it needs.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) orders: BTreeMap<OrderId, Order>,
    pub(crate) prices: HashMap<Sku, Price>,
}

#[derive(Debug, Clone)]
pub(crate) struct Price {
    pub(crate) name: String,
    pub(crate) price: Money,
}

impl Input {
    /// The order that it concerns.
    pub(crate) fn order_id(&self) -> Option<OrderId> {
        match self {
            Self::Place(it) => Some(it.order_id),
            Self::Cancel(id)
            | Self::StockReserved(id)
            | Self::StockRejected(id)
            | Self::ReservationExpired(id)
            | Self::PaymentAuthorized(id)
            | Self::PaymentDeclined(id)
            | Self::PaymentCaptured(id)
            | Self::CaptureFailed(id)
            | Self::Dispatched(id, _)
            | Self::Delivered(id)
            | Self::ShipmentCancelled(id)
            | Self::CancellationRefused(id) => Some(*id),
            Self::ProductChanged(_) => None,
        }
    }
}

impl Decider for Orders {
    type Input = Input;
    type Event = Fact;
    type World = World;
    type Reply = OrderView;
    type Refusal = Refusal;

    const SERVICE: &'static str = "order";

    fn read(&self, event: &Arrival<'_>) -> Result<Option<Input>, Unreadable> {
        Ok(Some(match event.name {
            StockReserved::NAME => Input::StockReserved(event.data::<StockReserved>()?.order_id),
            StockRejected::NAME => Input::StockRejected(event.data::<StockRejected>()?.order_id),
            ReservationExpired::NAME => {
                Input::ReservationExpired(event.data::<ReservationExpired>()?.order_id)
            }
            PaymentAuthorized::NAME => Input::PaymentAuthorized(event.data::<PaymentAuthorized>()?.order_id),
            PaymentDeclined::NAME => Input::PaymentDeclined(event.data::<PaymentDeclined>()?.order_id),
            PaymentCaptured::NAME => Input::PaymentCaptured(event.data::<PaymentCaptured>()?.order_id),
            CaptureFailed::NAME => Input::CaptureFailed(event.data::<CaptureFailed>()?.order_id),
            ShipmentDispatched::NAME => {
                let it: ShipmentDispatched = event.data()?;
                Input::Dispatched(it.order_id, it.tracking_number)
            }
            ShipmentDelivered::NAME => Input::Delivered(event.data::<ShipmentDelivered>()?.order_id),
            ShipmentCancelled::NAME => Input::ShipmentCancelled(event.data::<ShipmentCancelled>()?.order_id),
            CancellationRefused::NAME => {
                Input::CancellationRefused(event.data::<CancellationRefused>()?.order_id)
            }
            ProductChanged::NAME => Input::ProductChanged(event.data()?),
            _ => return Ok(None),
        }))
    }

    async fn load(&self, tx: &mut PgConnection, inputs: &[&Input]) -> sqlx::Result<World> {
        let skus = inputs.iter().filter_map(|it| match it {
            Input::Place(order) => Some(order.lines.iter().map(|(sku, _)| sku.as_str())),
            _ => None,
        });
        let prices = store::prices(&mut *tx, skus.flatten().collect()).await?;
        // An order that is being placed has no row to lock.
        let known = inputs.iter().filter(|it| !matches!(it, Input::Place(_)));
        let orders = store::lock_orders(tx, known.filter_map(|it| it.order_id()).collect()).await?;
        Ok(World { orders, prices })
    }

    fn decide(&self, world: &World, input: &Input, at: Timestamp) -> Decided<Self> {
        let (order_id, order) = match input {
            Input::Place(order) => return place(world, order, at),
            Input::ProductChanged(product) => {
                return Ok(Decision::events([Fact::Priced(product.clone())]));
            }
            _ => known(world, input)?,
        };
        let events = match input {
            // Forward.
            Input::StockReserved(_) => order.note_stock(at),
            Input::PaymentAuthorized(_) => order.note_payment(at),
            Input::PaymentCaptured(_) => order.note_capture(),
            Input::Dispatched(_, tracking_number) => order.note_dispatch(tracking_number),
            Input::Delivered(_) => order.note_delivery(),
            // Back.
            Input::StockRejected(_) => order.give_up(CancelReason::OutOfStock),
            Input::PaymentDeclined(_) => order.give_up(CancelReason::PaymentDeclined),
            Input::CaptureFailed(_) => order.fail_capture(),
            Input::ReservationExpired(_) => order.expire(),
            Input::ShipmentCancelled(_) => order.note_stopped(),
            // The parcel has left: what was asked for is answered by `shipping.dispatched`.
            Input::CancellationRefused(_) => vec![],
            Input::Cancel(_) => {
                let cancelled = order.cancel(CancelReason::Customer);
                cancelled.ok_or(Declined::Refused(Refusal::TooLateToCancel))?
            }
            Input::Place(_) | Input::ProductChanged(_) => vec![],
        };
        Ok(Decision::events(events.into_iter().map(|event| Fact::Order(order_id, event))))
    }

    fn evolve(&self, world: &mut World, fact: &Fact) {
        match fact {
            Fact::Order(id, OrderEvent::Placed(placed)) => {
                world.orders.insert(*id, Order::begin(placed.clone()));
            }
            Fact::Order(id, event) => {
                if let Some(order) = world.orders.get_mut(id) {
                    order.evolve(event);
                }
            }
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

    async fn save(&self, tx: &mut PgConnection, world: &World, facts: &[Recorded<Fact>]) -> sqlx::Result<()> {
        store::save_orders(&mut *tx, &world.orders, facts).await?;
        store::save_prices(tx, facts).await
    }
}

/// The order that an input concerns. One that was never placed here cannot be followed.
fn known<'w>(world: &'w World, input: &Input) -> Result<(OrderId, &'w Order), Declined<Refusal>> {
    let unknown = || match input {
        Input::Cancel(_) => Declined::Refused(Refusal::UnknownOrder),
        _ => Declined::Impossible("the order was never placed here".into()),
    };
    let id = input.order_id().ok_or_else(unknown)?;
    Ok((id, world.orders.get(&id).ok_or_else(unknown)?))
}

fn place(world: &World, order: &PlaceOrder, at: Timestamp) -> Decided<Orders> {
    let mut lines = Vec::with_capacity(order.lines.len());
    let mut wrong = Vec::new();
    for (index, (sku, quantity)) in order.lines.iter().enumerate() {
        let mut refuse = |detail: String| wrong.push((format!("/lines/{index}/sku"), detail));
        match world.prices.get(sku) {
            None => refuse(format!("there is no product {sku}")),
            Some(it) if it.price.currency != order.currency => {
                refuse(format!(
                    "{sku} is sold in {}, not in {}",
                    it.price.currency.code(),
                    order.currency.code()
                ));
            }
            Some(Price { name, price }) => {
                lines.push(Line {
                    sku: sku.clone(),
                    name: name.clone(),
                    quantity: *quantity,
                    unit_price: *price,
                });
            }
        }
    }
    let total = order::total(Money::zero(order.currency), &lines);
    if total.is_none() {
        wrong.push(("/lines".into(), "the total is more than an amount can be".into()));
    }
    let (true, Some(total)) = (wrong.is_empty(), total) else {
        return Err(Declined::Refused(Refusal::Invalid(wrong)));
    };
    let placed = OrderPlaced {
        order_id: order.order_id,
        customer: order.customer.clone(),
        currency: order.currency,
        lines,
        total,
        ship_to: order.ship_to.clone(),
        payment_method: order.payment_method.clone(),
        placed_at: at,
    };
    Ok(Decision::events([Fact::Order(order.order_id, OrderEvent::Placed(placed))]))
}
