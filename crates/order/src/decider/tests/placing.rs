//! What a request to place an order becomes.

use events::Line;
use expect_test::{Expect, expect};

use super::*;

/// `expected`: the lines that are placed, or what is refused and where.
#[track_caller]
fn check_placing(prices: &[(&str, i64, &str)], currency: &str, lines: &[(&str, u32)], expected: Expect) {
    let products =
        prices.iter().map(|(sku, amount, code)| Input::ProductChanged(product(sku, *amount, code)));
    let mut world = world(&products.collect::<Vec<_>>());
    let shown = match step(&mut world, &Input::Place(wants(id(1), currency, lines).into())) {
        Ok((decision, _)) => {
            let [Fact::Order(_, OrderEvent::Placed(placed))] = &decision.events[..] else {
                panic!("{decision:?}");
            };
            let OrderPlaced { lines, total, .. } = &**placed;
            let line =
                |it: &Line| format!("{} x {} ({}) at {}\n", it.quantity, it.sku, it.name, it.unit_price);
            lines.iter().map(line).chain([format!("total {total}")]).collect::<String>()
        }
        Err(Declined::Refused(Refusal::Invalid(wrong))) => wrong
            .iter()
            .map(|(pointer, detail)| format!("{pointer}: {detail}"))
            .collect::<Vec<_>>()
            .join("\n"),
        Err(other) => panic!("{other:?}"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn prices_are_the_shops() {
    check_placing(
        &[("MUG-01", 1999, "USD"), ("PEN-01", 250, "USD")],
        "USD",
        &[("PEN-01", 10), ("MUG-01", 2)],
        expect![[r#"
            10 x PEN-01 (Product PEN-01) at 2.50 USD
            2 x MUG-01 (Product MUG-01) at 19.99 USD
            total 64.98 USD"#]],
    );
    check_placing(
        &[("MUG-01", 5000, "JPY")],
        "JPY",
        &[("MUG-01", 1)],
        expect![[r#"
        1 x MUG-01 (Product MUG-01) at 5000 JPY
        total 5000 JPY"#]],
    );
}

#[test]
fn all_that_is_wrong_with_the_lines_is_said_at_once() {
    check_placing(
        &[("MUG-01", 1999, "EUR"), ("PEN-01", 250, "USD")],
        "USD",
        &[("NONE", 1), ("PEN-01", 1), ("MUG-01", 1)],
        expect![[r#"
            /lines/0/sku: there is no product NONE
            /lines/2/sku: MUG-01 is sold in EUR, not in USD"#]],
    );
}

#[test]
fn a_total_has_to_fit_and_to_be_payable() {
    check_placing(
        &[("GOLD", i64::MAX, "USD")],
        "USD",
        &[("GOLD", 1)],
        expect![[r#"
        1 x GOLD (Product GOLD) at 92233720368547758.07 USD
        total 92233720368547758.07 USD"#]],
    );
    check_placing(
        &[("GOLD", i64::MAX, "USD")],
        "USD",
        &[("GOLD", 2)],
        expect!["/lines: the total is more than an amount can be"],
    );
    check_placing(
        &[("GOLD", i64::MAX, "USD"), ("PEN-01", 1, "USD")],
        "USD",
        &[("GOLD", 1), ("PEN-01", 1)],
        expect!["/lines: the total is more than an amount can be"],
    );
    check_placing(
        &[("GIFT", 0, "USD")],
        "USD",
        &[("GIFT", 3)],
        expect!["/lines: the total must be more than zero"],
    );
    check_placing(
        &[("GIFT", 0, "USD"), ("PEN-01", 250, "USD")],
        "USD",
        &[("GIFT", 1), ("PEN-01", 1)],
        expect![[r#"
            1 x GIFT (Product GIFT) at 0.00 USD
            1 x PEN-01 (Product PEN-01) at 2.50 USD
            total 2.50 USD"#]],
    );
}

#[test]
fn a_price_that_changes_in_the_batch_holds_from_there_on() {
    let mut world = world(&[Input::ProductChanged(product("MUG-01", 1999, "USD"))]);
    for (number, price) in [(1, 1999), (2, 2500)] {
        step(&mut world, &Input::ProductChanged(product("MUG-01", price, "USD"))).unwrap();
        step(&mut world, &Input::Place(wants(id(number), "USD", &[("MUG-01", 1)]).into())).unwrap();
    }
    let totals: Vec<Money> = world.orders.values().map(|it| it.placed.total).collect();
    assert_eq!(totals, [money(1999, "USD"), money(2500, "USD")]);
}
