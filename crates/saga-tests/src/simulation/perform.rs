//! What each step does.

use events::{Currency, Money};
use order::PlaceOrder;
use payment::Call;
use shipping::Leg;

use super::{
    Broken, Cast, NODES, Simulation,
    log::{Log, Message, ORDERS, SKUS, Unread, number, order_id},
    node::Applied,
    step::Step,
};

impl<C: Cast> Simulation<C> {
    /// Does a step; whether there was anything to do. The error is a law that is broken by it.
    pub(super) fn perform(&mut self, step: Step) -> Result<bool, Broken> {
        let moved = match step {
            Step::Place { order, quantities, token } => self.place(order, quantities, token),
            Step::Cancel(order) => self.cancel(order),
            Step::Describe { sku, currency } => self.describe(sku, currency),
            Step::Adjust { sku, delta } => self.adjust(sku, delta),
            Step::Publish { service, delete } => self.publish(service, delete),
            Step::Take { from, store } => self.take(from, store),
            Step::Rewind(from) => Ok(self.rewind(from)),
            Step::Due { order, kind } => self.due(order, kind),
            Step::Ask { order, answered } => self.ask(order, answered),
            Step::Desk(order) => Ok(self.desk(order)),
            Step::Hand(order, leg) => self.hand(order, leg),
        };
        if moved == Ok(false) {
            return moved;
        }
        self.done.push(step);
        moved?;
        if step.moves_stock() {
            self.stock()?;
        }
        match step.order() {
            Some(order) => self.moment(order_id(order)).map(|()| true),
            None => Ok(true),
        }
    }

    fn place(&mut self, order: u8, quantities: [u32; SKUS.len()], token: &str) -> Result<bool, Broken> {
        if order >= ORDERS || self.orders.contains(&order) {
            return Ok(false);
        }
        let lines = SKUS.iter().zip(quantities).filter(|it| it.1 > 0);
        let order_id = order_id(order);
        let input = order::Input::Place(Box::new(PlaceOrder {
            order_id,
            customer: events::Customer {
                id: "c-1".parse().expect("an id"),
                name: "Ada".into(),
                email: "ada@example.com".into(),
            },
            currency: Currency::USD,
            lines: lines.map(|(sku, quantity)| (sku.parse().expect("a SKU"), quantity)).collect(),
            ship_to: events::Address {
                name: "Ada".into(),
                line1: "12 Analytical St".into(),
                line2: None,
                city: "London".into(),
                postal_code: "N1".into(),
                country: "GB".into(),
            },
            payment_method: token.into(),
        }));
        let applied = self.services.order.apply(&input)?;
        if applied == Applied::Done {
            self.orders.push(order);
        }
        self.tell(|| format!("place order {order}: {quantities:?} paying with {token}: {applied:?}"));
        Ok(true)
    }

    fn cancel(&mut self, order: u8) -> Result<bool, Broken> {
        let applied = self.services.order.apply(&order::Input::Cancel(order_id(order), None))?;
        self.tell(|| format!("cancel order {order}: {applied:?}"));
        Ok(true)
    }

    fn describe(&mut self, sku: usize, currency: &str) -> Result<bool, Broken> {
        let name = SKUS[sku];
        let price = Money { amount: 1_999, currency: currency.parse().expect("a currency") };
        let sku = name.parse().expect("a SKU");
        let input = inventory::Input::Describe { sku, name: "a product".into(), price };
        let applied = self.services.inventory.apply(&input)?;
        self.tell(|| format!("describe {name} in {currency}: {applied:?}"));
        Ok(true)
    }

    fn adjust(&mut self, sku: usize, delta: i32) -> Result<bool, Broken> {
        let name = SKUS[sku];
        let reason = "goods received".into();
        let input = inventory::Input::Adjust { sku: name.parse().expect("a SKU"), delta, reason };
        let applied = self.services.inventory.apply(&input)?;
        if applied == Applied::Done {
            self.received[sku] += i64::from(delta);
        }
        self.tell(|| format!("{delta:+} of {name}: {applied:?}"));
        Ok(true)
    }

    fn publish(&mut self, service: usize, delete: bool) -> Result<bool, Broken> {
        let Some(message) = self.services.get(service).relay(delete) else { return Ok(false) };
        let mut handled = [false; NODES];
        for (index, handled) in handled.iter_mut().enumerate() {
            *handled = self.services.get(index).handles(&message);
        }
        self.tell(|| {
            let end = if delete { "" } else { ", and the relay crashes" };
            format!("publish {}{end}", named(&message))
        });
        self.log.append(message, handled)?;
        Ok(true)
    }

    fn take(&mut self, from: Unread, store: bool) -> Result<bool, Broken> {
        let Some((offset, message)) = self.log.next(from) else { return Ok(false) };
        let service = self.services.get(from.0);
        let applied = service.receive(message);
        let line = self.trace.is_some().then(|| {
            let end = if store { "" } else { ", and crashes before the offset" };
            format!("{} takes {}: {}{end}", service.name(), named(message), shown(&applied))
        });
        self.tell(|| line.unwrap_or_default());
        let is_duplicate = applied? == Applied::Duplicate;
        self.tally.count("duplicate", usize::from(is_duplicate));
        if store {
            self.log.store(from, offset + 1);
        }
        Ok(true)
    }

    fn rewind(&mut self, from: Unread) -> bool {
        if !self.log.store(from, 0) {
            return false;
        }
        let name = self.services.get(from.0).name();
        self.tell(|| match Log::order(from.1) {
            Some(order) => format!("{name} reads {} of order {order} again", Log::aggregate(from.1)),
            None => format!("{name} reads the products again"),
        });
        true
    }

    fn due(&mut self, order: u8, kind: &'static str) -> Result<bool, Broken> {
        let deadline = (order_id(order).to_string(), kind);
        for index in 0..NODES {
            let applied = self.services.get(index).due(&deadline);
            if applied != Ok(Applied::Duplicate) {
                self.tell(|| format!("{kind} of order {order} is due: {}", shown(&applied)));
                return applied.map(|_| true);
            }
        }
        Ok(false)
    }

    /// The call that waits for an answer; a sound payment has one at most.
    fn ask(&mut self, order: u8, answered: bool) -> Result<bool, Broken> {
        let payment = &mut self.services.payment;
        let mut calls = payment.effects.iter();
        let Some((id, effect)) = calls.find(|it| number(&it.1.key) == Some(order)) else { return Ok(false) };
        let (id, request) = (*id, effect.request.clone());
        let performed = self.provider.perform(id, &request);
        if !answered {
            self.tell(|| format!("the provider does its work, {}, and the answer is lost", called(&request)));
            return performed.map(|_| true);
        }
        let (order_id, answer) = performed?;
        payment.effects.remove(&id);
        let answered = answer.clone();
        let applied = payment.apply(&payment::Input::Answered(order_id, answer));
        self.tell(|| format!("the provider answers {}: {answered:?}", called(&request)));
        applied.map(|_| true)
    }

    fn desk(&mut self, order: u8) -> bool {
        let captured = self.provider.capture_at_desk(order_id(order));
        if captured {
            self.tell(|| format!("order {order} is captured at the provider's own desk"));
        }
        captured
    }

    fn hand(&mut self, order: u8, leg: Leg) -> Result<bool, Broken> {
        let id = order_id(order);
        let input = match leg {
            Leg::Dispatch => shipping::Input::Dispatch(id),
            Leg::Deliver => shipping::Input::Deliver(id),
        };
        let applied = self.services.shipping.apply(&input)?;
        self.tell(|| format!("{leg:?} order {order} by hand: {applied:?}"));
        Ok(true)
    }

    /// Writes down what happens, if anybody will read it.
    fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(what());
        }
    }
}

fn named(message: &Message) -> String {
    let about = number(&message.key).map_or_else(|| message.key.clone(), |order| format!("order {order}"));
    format!("{} of {about}", message.r#type.trim_start_matches("waybill."))
}

/// A call to the provider, in a word and the order's number.
fn called(request: &str) -> String {
    let Ok(call) = serde_json::from_str::<Call>(request) else { return request.to_owned() };
    let word = match call {
        Call::Authorize { .. } => "authorize",
        Call::Capture { .. } => "capture",
        Call::Void { .. } => "void",
        Call::Refund { .. } => "refund",
    };
    number(&call.order_id().to_string()).map_or_else(|| word.to_owned(), |it| format!("{word} of order {it}"))
}

fn shown(applied: &Result<Applied, Broken>) -> String {
    match applied {
        Ok(applied) => format!("{applied:?}"),
        Err(broken) => broken.to_string(),
    }
}
