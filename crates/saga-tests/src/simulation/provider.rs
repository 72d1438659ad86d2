//! A provider that keeps to its contract: one piece of work per idempotency key, whatever becomes of the answer.

use std::collections::{BTreeMap, HashMap};

use events::OrderId;
use payment::{Answer, Call};
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Provider {
    answers: HashMap<Uuid, (OrderId, Answer)>,
    /// What was asked to be captured will be refused.
    stubborn: Vec<String>,
    pub(super) ledger: BTreeMap<OrderId, Vec<(&'static str, i64)>>,
}

impl Provider {
    pub(super) fn perform(&mut self, key: Uuid, request: &str) -> Result<(OrderId, Answer), String> {
        if let Some(known) = self.answers.get(&key) {
            return Ok(known.clone());
        }
        let call: Call = serde_json::from_str(request).map_err(|error| error.to_string())?;
        let order_id = call.order_id();
        let answer = self.work(call)?;
        self.answers.insert(key, (order_id, answer.clone()));
        Ok((order_id, answer))
    }

    fn work(&mut self, call: Call) -> Result<Answer, String> {
        let (order_id, entry, answer) = match call {
            Call::Authorize { order_id, amount, payment_method } => {
                if payment_method == "pm_card_chargeDeclined" {
                    return Ok(Answer::Declined { code: "generic_decline".into() });
                }
                let reference = format!("pi_{order_id}");
                if payment_method == "pm_card_captureFails" {
                    self.stubborn.push(reference.clone());
                }
                (order_id, ("authorize", amount.amount), Answer::Authorized { reference })
            }
            Call::Capture { reference, .. } if self.stubborn.contains(&reference) => {
                return Ok(Answer::CaptureRefused { code: "expired_card".into() });
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
            return Err(format!("the provider is asked to {} {order_id} after {so_far:?}", entry.0));
        }
        entries.push(entry);
        Ok(answer)
    }
}
