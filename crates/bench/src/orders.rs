//! What is ordered.

use fastrand::Rng;

/// How products are chosen.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skus {
    /// All alike.
    Uniform,
    /// By Zipf's law: the n-th is ordered 1/n as often as the first.
    Zipf,
    /// Half of all orders want the same one, the others any.
    Hot,
}

/// Products of which there is enough for any run, and products of which there is none.
pub(crate) const PLENTY: usize = 1_000;
pub(crate) const NONE: usize = 100;
/// Of a hundred orders.
const OUT_OF_STOCK: u32 = 20;
const DECLINED_BELOW: u32 = OUT_OF_STOCK + 10;

/// The product of a number; those from [`PLENTY`] on are out of stock.
pub(crate) fn sku(number: usize) -> String {
    format!("BENCH-{number:04}")
}

/// An order to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Of `POST /orders`.
    pub(crate) body: String,
    /// How it is to end, by the name of its outcome.
    pub(crate) end: &'static str,
}

/// Orders: 70 % come to be delivered, 20 % are out of stock, 10 % are declined; endless, and the same of the same seed.
/// Each has one or two lines.
pub(crate) struct Orders {
    rng: Rng,
    skus: Skus,
    /// The sums of the weights up to each product.
    weights: Vec<f64>,
}

impl Orders {
    pub(crate) fn new(skus: Skus, seed: u64) -> Self {
        let weight = |number: usize| match skus {
            Skus::Zipf => 1.0 / (number + 1) as f64,
            Skus::Uniform | Skus::Hot => 1.0,
        };
        let mut sum = 0.0;
        let weights = (0..PLENTY).map(|it| {
            sum += weight(it);
            sum
        });
        Self { rng: Rng::with_seed(seed), skus, weights: weights.collect() }
    }

    fn plenty(&mut self) -> usize {
        let point = self.rng.f64() * self.weights.last().copied().unwrap_or_default();
        self.weights.partition_point(|it| *it <= point).min(PLENTY - 1)
    }

    fn lines(&mut self, out_of_stock: bool) -> String {
        let first = match self.skus {
            Skus::Hot if self.rng.bool() => 0,
            _ => self.plenty(),
        };
        let line = |number: usize| format!(r#"{{"sku":"{}","quantity":1}}"#, sku(number));
        let second = match out_of_stock {
            true => Some(PLENTY + self.rng.usize(0..NONE)),
            false if self.rng.bool() => Some(self.plenty()).filter(|it| *it != first),
            false => None,
        };
        second.map_or_else(|| line(first), |second| format!("{},{}", line(first), line(second)))
    }
}

impl Iterator for Orders {
    type Item = Order;

    fn next(&mut self) -> Option<Order> {
        let chance = self.rng.u32(0..100);
        let lines = self.lines(chance < OUT_OF_STOCK);
        let (method, end) = match chance {
            ..OUT_OF_STOCK => ("pm_card_visa", "out-of-stock"),
            OUT_OF_STOCK..DECLINED_BELOW => ("pm_card_chargeDeclined", "payment-declined"),
            _ => ("pm_card_visa", "delivered"),
        };
        let body = format!(
            r#"{{"customer":{{"id":"c-1","name":"Ada Lovelace","email":"ada@example.com"}},"currency":"USD","lines":[{lines}],"ship_to":{{"name":"Ada Lovelace","line1":"12 Analytical St","city":"London","postal_code":"N1","country":"GB"}},"payment_method":"{method}"}}"#
        );
        Some(Order { body, end })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn first_lines(skus: Skus) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for order in Orders::new(skus, 5).take(20_000) {
            let body: Value = serde_json::from_str(&order.body).expect("JSON");
            *counts.entry(body["lines"][0]["sku"].as_str().expect("a product").to_owned()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn seven_of_ten_can_be_delivered() {
        let (mut empty, mut declined) = (0, 0);
        for order in Orders::new(Skus::Uniform, 1).take(10_000) {
            let body: Value = serde_json::from_str(&order.body).expect("JSON");
            let lines = body["lines"].as_array().expect("lines");
            let skus: Vec<&str> = lines.iter().filter_map(|it| it["sku"].as_str()).collect();
            assert!(skus.len() == 1 || skus[0] != skus[1], "{body}");
            let [is_empty, is_declined] = [
                skus.iter().any(|it| **it >= *sku(PLENTY)),
                body["payment_method"] == "pm_card_chargeDeclined",
            ];
            let end = match (is_empty, is_declined) {
                (true, _) => "out-of-stock",
                (false, true) => "payment-declined",
                (false, false) => "delivered",
            };
            assert_eq!(order.end, end, "{body}");
            empty += usize::from(is_empty);
            declined += usize::from(is_declined);
        }
        assert!((1_850..=2_150).contains(&empty) && (900..=1_100).contains(&declined), "{empty} {declined}");
    }

    #[test]
    fn products_are_chosen_as_it_is_said() {
        let uniform = first_lines(Skus::Uniform);
        assert!(uniform.len() > 990 && uniform.values().all(|it| *it < 60), "{uniform:?}");
        // The harmonic number of 1,000 is 7.485: the first is ordered by 13.4 %, the second by half of that.
        let zipf = first_lines(Skus::Zipf);
        assert!(
            (2_480..=2_870).contains(&zipf[&sku(0)]) && (1_200..=1_480).contains(&zipf[&sku(1)]),
            "{zipf:?}"
        );
        let hot = first_lines(Skus::Hot);
        assert!((9_700..=10_300).contains(&hot[&sku(0)]), "{}", hot[&sku(0)]);
    }
}
