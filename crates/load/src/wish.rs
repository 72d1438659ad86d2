//! What is ordered.

use std::{sync::OnceLock, time::Duration};

use fastrand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

/// Products of which there is enough for any load.
pub(crate) const PLENTY: [&str; 4] = ["LOAD-CUP", "LOAD-MUG", "LOAD-POT", "LOAD-TEA"];
/// The product that runs out.
pub(crate) const RARE: &str = "LOAD-RARE";
/// More than anybody has of it.
pub(crate) const TOO_MANY: u32 = 9_999;

/// What is ordered: the same of the same seed.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    pub seed: u64,
    /// Payment methods, and how many of a thousand orders have each. The first orders have one of each.
    pub tokens: &'static [(&'static str, u32)],
    /// How many of a thousand orders ask for more of the rare product than there is.
    pub shortages: u32,
    /// How many of a thousand orders want one of the rare product, which runs out.
    pub rare: u32,
    /// How many of a thousand orders are cancelled by their customer, at some moment.
    pub cancels: u32,
    /// How many of a thousand orders are asked for two or three times under their key, at once or later. Every answer
    /// must name the one order: [`Tally::others`](crate::Tally::others).
    pub repeats: u32,
}

/// Orders that all come to be delivered.
pub const PLAIN: Mix =
    Mix { seed: 1, tokens: &[("pm_card_visa", 1_000)], shortages: 0, rare: 0, cancels: 0, repeats: 0 };

/// Orders that come to every end, with every payment method of the provider. What holds a call up for seconds
/// is seldom, as a process makes 128 at once.
pub const EVERYTHING: Mix = Mix {
    seed: 1,
    tokens: &[
        ("pm_card_visa", 616),
        ("pm_card_chargeDeclined", 50),
        ("pm_card_chargeDeclinedInsufficientFunds", 30),
        ("pm_card_captureFails", 40),
        ("pm_card_slow", 20),
        ("pm_card_timeoutAfterWork", 12),
        ("pm_card_timeoutBeforeWork", 12),
        ("pm_card_serverErrorFirst", 40),
        ("pm_card_serverErrorAfterWork", 40),
        ("pm_card_cutConnection", 40),
        ("pm_card_wrongJson", 40),
        ("pm_card_pendingRefund", 20),
        ("pm_card_refundFail", 20),
        ("pm_card_voidFailsFirst", 20),
    ],
    shortages: 20,
    rare: 30,
    cancels: 50,
    repeats: 50,
};

/// The body of `POST /orders` for `quantity` pieces of `sku`.
pub fn an_order(sku: &str, quantity: u32, payment_method: &str) -> Value {
    json!({
        "customer": {"id": "c-1", "name": "Ada Lovelace", "email": "ada@example.com"},
        "currency": "USD",
        "lines": [{"sku": sku, "quantity": quantity}],
        "ship_to": {"name": "Ada Lovelace", "line1": "12 Analytical St", "city": "London", "postal_code": "N1",
                    "country": "GB"},
        "payment_method": payment_method,
    })
}

/// An order that is going to be placed.
pub(crate) struct Wish {
    pub(crate) number: usize,
    pub(crate) body: Value,
    pub(crate) cancel: Option<Cancel>,
    /// After what times the same is asked for again.
    pub(crate) repeats: Vec<Duration>,
    /// The order that the first answer has named.
    pub(crate) order: OnceLock<Uuid>,
}

/// How long after it was accepted an order is to be cancelled, and how often that is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cancel {
    pub(crate) after: Duration,
    pub(crate) times: usize,
}

/// Endless; whoever takes them knows how many.
pub(crate) struct Wishes {
    mix: Mix,
    rng: Rng,
    number: usize,
}

impl Wishes {
    pub(crate) fn of(mix: Mix) -> Self {
        Self { mix, rng: Rng::with_seed(mix.seed), number: 0 }
    }

    fn token(&mut self) -> &'static str {
        if let Some((token, _)) = self.mix.tokens.get(self.number) {
            return token;
        }
        let all = self.mix.tokens.iter().map(|it| it.1).sum();
        let mut left = self.rng.u32(0..all);
        for (token, weight) in self.mix.tokens {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return token,
            }
        }
        unreachable!("a number below the sum of the weights")
    }

    /// Two lines in any order, or one: orders that lock the same products in different orders.
    fn lines(&mut self) -> Value {
        let mut skus = PLENTY;
        self.rng.shuffle(&mut skus);
        let usual = |sku: &str, rng: &mut Rng| json!({"sku": sku, "quantity": rng.u32(1..=3)});
        let mut lines = vec![usual(skus[0], &mut self.rng)];
        let chance = self.rng.u32(0..1_000);
        if chance < self.mix.shortages {
            lines.push(json!({"sku": RARE, "quantity": TOO_MANY}));
        } else if chance < self.mix.shortages + self.mix.rare {
            lines.insert(0, json!({"sku": RARE, "quantity": 1}));
        } else if self.rng.bool() {
            lines.push(usual(skus[1], &mut self.rng));
        }
        lines.into()
    }

    /// At once, while the others are at work on it, or long after.
    fn cancel(&mut self) -> Option<Cancel> {
        if self.rng.u32(0..1_000) >= self.mix.cancels {
            return None;
        }
        let longest = [5, 100, 1_000, 6_000][self.rng.usize(0..4)];
        let after = Duration::from_millis(self.rng.u64(0..longest));
        Some(Cancel { after, times: self.rng.usize(1..=2) })
    }

    /// Side by side with the first, while it is under way, or long after.
    fn repeats(&mut self) -> Vec<Duration> {
        if self.rng.u32(0..1_000) >= self.mix.repeats {
            return vec![];
        }
        let count = self.rng.usize(1..=2);
        let mut after =
            || Duration::from_millis([0, self.rng.u64(0..100), self.rng.u64(0..4_000)][self.rng.usize(0..3)]);
        (0..count).map(|_| after()).collect()
    }
}

impl Iterator for Wishes {
    type Item = Wish;

    fn next(&mut self) -> Option<Wish> {
        let mut body = an_order(PLENTY[0], 1, self.token());
        body["lines"] = self.lines();
        let (number, cancel, repeats) = (self.number, self.cancel(), self.repeats());
        let wish = Wish { number, body, cancel, repeats, order: OnceLock::new() };
        self.number += 1;
        Some(wish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_every_payment_method_of_the_provider() {
        let ours: Vec<&str> = EVERYTHING.tokens.iter().map(|it| it.0).collect();
        assert_eq!(ours, psp::payment_methods().collect::<Vec<_>>());
        assert_eq!(EVERYTHING.tokens.iter().map(|it| it.1).sum::<u32>(), 1_000);
    }
}
