use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::{processes::Processes, suite::an_order};

/// Products of which there is enough for any load.
const PLENTY: [&str; 4] = ["CUP-01", "MUG-01", "POT-01", "TEA-01"];
/// The product that runs out.
const RARE: &str = "RARE-01";
/// More than anybody has of it.
const TOO_MANY: u32 = 9_999;
const SHELF: i64 = 5_000_000;

/// What is ordered: the same of the same seed.
#[derive(Clone, Copy)]
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
}

/// Orders that all come to be delivered.
pub const PLAIN: Mix = Mix { seed: 1, tokens: &[("pm_card_visa", 1_000)], shortages: 0, rare: 0, cancels: 0 };

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
};

impl Mix {
    /// Puts on the shelves what `orders` of this mix may take, and less of what is to run out.
    pub async fn stock(&self, suite: &Processes, orders: usize) {
        for sku in PLENTY {
            suite.stock(sku, SHELF).await;
        }
        let rare = orders as i64 * i64::from(self.rare) / 2_000;
        suite.stock(RARE, rare.clamp(1, i64::from(TOO_MANY) - 1)).await;
    }
}

/// An order that is going to be placed.
pub(super) struct Wish {
    pub(super) number: usize,
    pub(super) body: Value,
    /// How long after it was accepted it is to be cancelled, and whether that is asked twice.
    pub(super) cancel: Option<(Duration, bool)>,
}

/// Endless; whoever takes them knows how many.
pub(super) struct Wishes {
    mix: Mix,
    rng: Rng,
    number: usize,
}

impl Wishes {
    pub(super) fn of(mix: Mix) -> Self {
        Self { mix, rng: Rng::with_seed(mix.seed), number: 0 }
    }

    fn token(&mut self) -> &'static str {
        if let Some((token, _)) = self.mix.tokens.get(self.number) {
            return token;
        }
        let all = self.mix.tokens.iter().map(|it| it.1).sum();
        let mut left = self.rng.u32(0..all);
        let drawn = self.mix.tokens.iter().find(|(_, weight)| {
            let hit = left < *weight;
            left = left.saturating_sub(*weight);
            hit
        });
        drawn.expect("weights").0
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
    fn cancel(&mut self) -> Option<(Duration, bool)> {
        if self.rng.u32(0..1_000) >= self.mix.cancels {
            return None;
        }
        let longest = [5, 100, 1_000, 6_000][self.rng.usize(0..4)];
        Some((Duration::from_millis(self.rng.u64(0..longest)), self.rng.bool()))
    }
}

impl Iterator for Wishes {
    type Item = Wish;

    fn next(&mut self) -> Option<Wish> {
        let mut body = an_order(PLENTY[0], 1, self.token());
        body["lines"] = self.lines();
        let wish = Wish { number: self.number, body, cancel: self.cancel() };
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
