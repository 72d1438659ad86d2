//! Who handles what, asked of the services' own deciders: a list beside them would be right until one of them changes.

use std::sync::LazyLock;

use engine::{Arrival, Decider};
use events::{Aggregate, catalogue};

use crate::SERVICES;

/// Whether a service handles events of this name; any other is skipped by it and leaves no trace.
pub(crate) fn handles(service: &str, name: &str) -> bool {
    match service {
        "order" => takes(&order::Orders::default(), name),
        "inventory" => takes(&inventory::Inventory::default(), name),
        "payment" => takes(&payment::Payments, name),
        "shipping" => takes(&shipping::Shipments { carrier: shipping::Carrier::Manual }, name),
        _ => false,
    }
}

/// A decider tells by the name alone what it does not handle. The rest is refused here before it is parsed: no event
/// has version 0.
fn takes(decider: &impl Decider, name: &str) -> bool {
    !matches!(decider.read(&Arrival { name, version: 0, data: &[] }), Ok(None))
}

/// The topics that a service consumes: those of the events that it handles.
pub fn reads(service: &str) -> &'static [Aggregate] {
    static READS: LazyLock<[Vec<Aggregate>; SERVICES.len()]> = LazyLock::new(|| {
        let published = catalogue();
        SERVICES.map(|service| {
            let of =
                |it: &Aggregate| published.iter().any(|e| e.aggregate == *it && handles(service, e.name));
            Aggregate::ALL.into_iter().filter(of).collect()
        })
    });
    let index = SERVICES.iter().position(|it| *it == service);
    index.map_or(&[], |index| READS[index].as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &[&str]) {
        let by: Vec<&str> = SERVICES.into_iter().filter(|it| handles(it, name)).collect();
        assert_eq!(by, expected, "{name}");
    }

    #[test]
    fn deciders_tell_what_they_handle() {
        check("order.placed", &["inventory", "payment"]);
        check("order.cancelled", &["inventory", "payment", "shipping"]);
        check("order.delivered", &[]);
        check("inventory.stock-kept", &["shipping"]);
        check("payment.captured", &["order", "shipping"]);
        check("product.changed", &["order"]);
        check("order.praised", &[]);
        assert_eq!(reads("inventory"), [Aggregate::Order, Aggregate::Shipping]);
        assert_eq!(reads("nobody"), []);
    }
}
