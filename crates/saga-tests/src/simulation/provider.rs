//! A provider that keeps to its contract: one piece of work per idempotency key, whatever becomes of the answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use events::OrderId;
use payment::{Answer, Call};
use uuid::Uuid;

use super::Broken;

#[derive(Debug, Default)]
pub(super) struct Provider {
    answers: HashMap<Uuid, (OrderId, Answer)>,
    /// What was asked to be captured will be refused.
    stubborn: BTreeSet<OrderId>,
    /// What somebody has captured at the provider's own desk.
    at_desk: BTreeSet<OrderId>,
    pub(super) ledger: BTreeMap<OrderId, Vec<(&'static str, i64)>>,
}

impl Provider {
    pub(super) fn perform(&mut self, key: Uuid, request: &str) -> Result<(OrderId, Answer), Broken> {
        if let Some(known) = self.answers.get(&key) {
            return Ok(known.clone());
        }
        let call: Call =
            serde_json::from_str(request).map_err(|error| Broken::new("not a call", error.to_string()))?;
        let order_id = call.order_id();
        let answer = self.work(call)?;
        self.answers.insert(key, (order_id, answer.clone()));
        Ok((order_id, answer))
    }

    /// Somebody captures what is held at the provider's own desk; whether it could be.
    pub(super) fn capture_at_desk(&mut self, order_id: OrderId) -> bool {
        let Some(entries) = self.ledger.get_mut(&order_id) else { return false };
        let &[("authorize", amount)] = entries.as_slice() else { return false };
        if self.stubborn.contains(&order_id) {
            return false;
        }
        entries.push(("capture", amount));
        self.at_desk.insert(order_id)
    }

    fn work(&mut self, call: Call) -> Result<Answer, Broken> {
        let (order_id, entry, answer) = match call {
            Call::Authorize { order_id, amount, payment_method } => {
                if payment_method == "pm_card_chargeDeclined" {
                    return Ok(Answer::Declined { code: "generic_decline".into() });
                }
                if payment_method == "pm_card_captureFails" {
                    self.stubborn.insert(order_id);
                }
                let reference = format!("pi_{order_id}");
                (order_id, ("authorize", amount.amount), Answer::Authorized { reference })
            }
            Call::Capture { order_id, .. } if self.stubborn.contains(&order_id) => {
                return Ok(Answer::CaptureRefused { code: "expired_card".into() });
            }
            Call::Capture { order_id, .. } | Call::Void { order_id, .. }
                if self.at_desk.contains(&order_id) =>
            {
                return Ok(Answer::Captured);
            }
            Call::Capture { order_id, amount, .. } => {
                (order_id, ("capture", amount.amount), Answer::Captured)
            }
            Call::Void { order_id, amount, .. } => (order_id, ("cancel", amount.amount), Answer::Voided),
            Call::Refund { order_id, amount, .. } => (order_id, ("refund", amount.amount), Answer::Refunded),
        };
        let entries = self.ledger.entry(order_id).or_default();
        // What the provider would refuse must not be asked of it.
        let allowed: &[&[&str]] = match entry.0 {
            "authorize" => &[&[]],
            "capture" | "cancel" => &[&["authorize"]],
            _ => &[&["authorize", "capture"]],
        };
        let so_far: Vec<&str> = entries.iter().map(|it| it.0).collect();
        if !allowed.contains(&so_far.as_slice()) {
            let about = format!("to {} {order_id} after {so_far:?}", entry.0);
            return Err(Broken::new("the provider is asked for what it would refuse", about));
        }
        entries.push(entry);
        Ok(answer)
    }
}
