//! How what was seen is worded, wherever it is told.

use std::fmt::Display;

use audit::{Finding, Violation};

/// `1 backend`, `2 backends`.
pub fn number<N: Display + PartialEq + From<u8>>(number: N, one: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {one}{ending}")
}

/// A law that is broken: which, of what, how, and what has happened to it.
pub fn violation(it: &Violation) -> String {
    let subject = match (&it.order_id, &it.sku) {
        (Some(id), _) => format!(", order {id}"),
        (None, Some(sku)) => format!(", SKU {sku}"),
        (None, None) => String::new(),
    };
    let events = if it.events.is_empty() { String::new() } else { format!(" ({})", it.events.join(", ")) };
    format!("{}{subject}: {}{events}", it.law.name(), it.text)
}

/// What somebody should look at: where, of what, and why.
pub(crate) fn finding(it: &Finding) -> String {
    let key = it.key.as_ref().map(|it| format!(", key {it}")).unwrap_or_default();
    format!("{}{key}: {}", it.service, it.text)
}

#[cfg(test)]
mod tests {
    use audit::{Kind, Law};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn one_of_a_thing_is_one() {
        let told = [number(0_u64, "row"), number(1_usize, "row"), number(2_i64, "row")];
        assert_eq!(told, ["0 rows", "1 row", "2 rows"]);
    }

    #[test]
    fn a_violation_names_its_order_or_product_and_the_events() {
        let check = |order_id, sku: Option<&str>, events: &[&str], expected: &str| {
            let events = events.iter().map(|it| (*it).to_owned()).collect();
            let sku = sku.map(str::to_owned);
            let it = Violation { law: Law::Stock, order_id, sku, events, text: "2 too many".to_owned() };
            assert_eq!(violation(&it), expected);
        };
        check(Some(Uuid::nil()), None, &[], "stock, order 00000000-0000-0000-0000-000000000000: 2 too many");
        check(None, Some("MUG"), &["a 1", "b 2"], "stock, SKU MUG: 2 too many (a 1, b 2)");
        check(None, None, &[], "stock: 2 too many");
    }

    #[test]
    fn a_finding_names_its_service_and_key() {
        let check = |key: Option<&str>, expected: &str| {
            let key = key.map(str::to_owned);
            let it = Finding { kind: Kind::Parked, service: "payment".into(), key, text: "why".into() };
            assert_eq!(finding(&it), expected);
        };
        check(Some("A-1"), "payment, key A-1: why");
        check(None, "payment: why");
    }
}
