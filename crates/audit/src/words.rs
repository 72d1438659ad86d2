//! How what was seen is worded, wherever it is told.

use std::fmt::{self, Display, Formatter};

use crate::report::{Finding, Violation};

/// `1 event`, `2 events`.
pub fn number<N: Display + PartialEq + From<u8>>(number: N, one: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {one}{ending}")
}

/// A law that is broken: which, of what, and how; `{:#}` names the events too.
impl Display for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.law.name())?;
        match (&self.order_id, &self.sku) {
            (Some(id), _) => write!(f, ", order {id}")?,
            (None, Some(sku)) => write!(f, ", SKU {sku}")?,
            (None, None) => {}
        }
        write!(f, ": {}", self.text)?;
        if f.alternate() && !self.events.is_empty() {
            write!(f, " ({})", self.events.join(", "))?;
        }
        Ok(())
    }
}

/// What somebody should look at: what, where, of what, and why.
impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.kind, self.service)?;
        if let Some(key) = &self.key {
            write!(f, ", key {key}")?;
        }
        write!(f, ": {}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{law::Law, report::Kind};

    #[test]
    fn one_of_a_thing_is_one() {
        let told = [number(0_u64, "row"), number(1_usize, "row"), number(2_i64, "row")];
        assert_eq!(told, ["0 rows", "1 row", "2 rows"]);
    }

    #[test]
    fn a_violation_names_its_order_or_product_and_the_events_if_asked() {
        let it = |order_id, sku: Option<&str>, events: &[&str]| Violation {
            law: Law::Stock,
            order_id,
            sku: sku.map(str::to_owned),
            events: events.iter().map(|it| (*it).to_owned()).collect(),
            text: "2 too many".to_owned(),
        };
        let check = |order_id, sku, expected: &str| {
            assert_eq!(it(order_id, sku, &["a 1", "b 2"]).to_string(), expected);
            assert_eq!(format!("{:#}", it(order_id, sku, &["a 1", "b 2"])), format!("{expected} (a 1, b 2)"));
            assert_eq!(format!("{:#}", it(order_id, sku, &[])), expected);
        };
        check(Some(Uuid::nil()), None, "stock, order 00000000-0000-0000-0000-000000000000: 2 too many");
        check(None, Some("MUG"), "stock, SKU MUG: 2 too many");
        check(None, None, "stock: 2 too many");
    }

    #[test]
    fn a_finding_names_its_kind_service_and_key() {
        let check = |key: Option<&str>, expected: &str| {
            let key = key.map(str::to_owned);
            let it = Finding { kind: Kind::Parked, service: "payment".into(), key, text: "why".into() };
            assert_eq!(it.to_string(), expected);
        };
        check(Some("A-1"), "Parked at payment, key A-1: why");
        check(None, "Parked at payment: why");
    }
}
