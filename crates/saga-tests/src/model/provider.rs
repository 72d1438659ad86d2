use events::Money;
use payment::{Answer, Call};

/// The provider's books of the one order. It keeps to its contract: one piece of work per idempotency key, whatever
/// becomes of the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Provider {
    /// The keys under which it has worked.
    done: Vec<u8>,
    by_hand: bool,
    pub(super) ledger: Vec<(&'static str, i64)>,
    /// What was asked of it that it would refuse: that must not happen.
    pub(super) broken: Option<String>,
}

impl Provider {
    /// The books after a call under a key, and the answer, which is what they say then.
    pub(super) fn perform(&self, key: u8, call: &Call, card: &str) -> (Self, Answer) {
        let mut after = self.clone();
        if !self.done.contains(&key) {
            after.done.push(key);
            if let Some((entry, amount)) = self.work(call, card) {
                after.enter(entry, amount.amount);
            }
        }
        let answer = after.answer(call);
        (after, answer)
    }

    /// The books after somebody has captured what was authorised, or let it go, at the provider's own desk.
    pub(super) fn by_hand(&self, entry: &'static str) -> Option<Self> {
        let [("authorize", amount)] = self.ledger[..] else { return None };
        Some(Self { by_hand: true, ledger: vec![("authorize", amount), (entry, amount)], ..self.clone() })
    }

    /// What there is to be done for a call.
    fn work(&self, call: &Call, card: &str) -> Option<(&'static str, Money)> {
        match call {
            Call::Authorize { .. } if card == "pm_card_chargeDeclined" => None,
            Call::Authorize { amount, .. } => Some(("authorize", *amount)),
            Call::Capture { .. } | Call::Void { .. } if self.by_hand => None,
            Call::Capture { .. } if card == "pm_card_captureFails" => None,
            Call::Capture { amount, .. } => Some(("capture", *amount)),
            Call::Void { amount, .. } => Some(("cancel", *amount)),
            Call::Refund { amount, .. } => Some(("refund", *amount)),
        }
    }

    fn answer(&self, call: &Call) -> Answer {
        let has = |entry| self.entries().contains(&entry);
        match call {
            Call::Authorize { .. } if has("authorize") => Answer::Authorized { reference: "pi_1".into() },
            Call::Authorize { .. } => Answer::Declined { code: "generic_decline".into() },
            Call::Capture { .. } | Call::Void { .. } if has("capture") => Answer::Captured,
            Call::Capture { .. } => Answer::CaptureRefused { code: "expired_card".into() },
            Call::Void { .. } => Answer::Voided,
            Call::Refund { .. } => Answer::Refunded,
        }
    }

    fn enter(&mut self, entry: &'static str, amount: i64) {
        let so_far = self.entries();
        let allowed: &[&str] = match entry {
            "authorize" => &[],
            "capture" | "cancel" => &["authorize"],
            _ => &["authorize", "capture"],
        };
        if so_far != allowed {
            self.broken = Some(format!("the provider is asked to {entry} after {so_far:?}"));
        }
        self.ledger.push((entry, amount));
    }

    pub(super) fn entries(&self) -> Vec<&'static str> {
        self.ledger.iter().map(|it| it.0).collect()
    }

    /// What the customer has paid, all in all.
    pub(super) fn net(&self) -> i64 {
        let of = |what| self.ledger.iter().filter(|it| it.0 == what).map(|it| it.1).sum::<i64>();
        of("capture") - of("refund")
    }
}
