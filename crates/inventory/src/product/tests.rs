use events::Item;
use expect_test::{Expect, expect};

use super::*;

fn usd(amount: i64) -> Money {
    Money { amount, currency: Currency::USD }
}

/// Ten on the shelf, four of them reserved, three gone.
fn mug() -> Product {
    Product { name: "Mug".into(), price: usd(1999), on_hand: 10, reserved: 4, deducted: 3, sequence: 7 }
}

/// What is decided, and the product after it.
#[track_caller]
fn check(
    known: Option<Product>,
    decide: impl Fn(Option<&Product>) -> Result<ProductEvent, R>,
    expected: Expect,
) {
    let shown = match decide(known.as_ref()) {
        Err(refusal) => format!("refused: {refusal:?}"),
        Ok(event) => {
            let kind = format!("{event:?}");
            let kind = kind.split(' ').next().unwrap();
            let it = Product::evolve(known, &event).unwrap();
            format!(
                "{kind}: {} at {}, {} - {} = {}, {} gone, event {}",
                it.name,
                it.price,
                it.on_hand,
                it.reserved,
                it.available(),
                it.deducted,
                it.sequence
            )
        }
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_new_product_has_no_stock() {
    check(
        None,
        |it| describe(it, "Mug", usd(5)),
        expect!["Added: Mug at 0.05 USD, 0 - 0 = 0, 0 gone, event 1"],
    );
}

#[test]
fn a_known_product_keeps_its_stock() {
    check(
        Some(mug()),
        |it| describe(it, "Blue mug", usd(2099)),
        expect!["Described: Blue mug at 20.99 USD, 10 - 4 = 6, 3 gone, event 8"],
    );
}

#[test]
fn a_description_that_says_nothing_new_is_told_again() {
    check(
        Some(mug()),
        |it| describe(it, "Mug", usd(1999)),
        expect!["Described: Mug at 19.99 USD, 10 - 4 = 6, 3 gone, event 8"],
    );
}

#[test]
fn the_currency_stays() {
    let yen = Money { amount: 300, currency: "JPY".parse().unwrap() };
    check(Some(mug()), |it| describe(it, "Mug", yen), expect!["refused: CurrencyIsFixed(Currency(USD))"]);
}

#[test]
fn the_stock_level_is_corrected() {
    check(
        Some(mug()),
        |it| adjust(it, 5, "goods received"),
        expect!["Adjusted: Mug at 19.99 USD, 15 - 4 = 11, 3 gone, event 8"],
    );
    check(
        Some(mug()),
        |it| adjust(it, -6, "broken"),
        expect!["Adjusted: Mug at 19.99 USD, 4 - 4 = 0, 3 gone, event 8"],
    );
}

#[test]
fn what_is_reserved_is_not_taken_away() {
    check(Some(mug()), |it| adjust(it, -7, "broken"), expect!["refused: BelowReserved { available: 6 }"]);
    check(
        Some(mug()),
        |it| adjust(it, i32::MIN, "broken"),
        expect!["refused: BelowReserved { available: 6 }"],
    );
}

#[test]
fn what_there_is_not_is_not_corrected() {
    check(None, |it| adjust(it, 5, "goods received"), expect!["refused: UnknownProduct"]);
}

#[test]
fn a_count_does_not_overflow() {
    let all = |deducted| Some(Product { on_hand: i64::MAX - 3 - deducted, deducted, ..mug() });
    check(
        all(1),
        |it| adjust(it, 3, "goods received"),
        expect!["Adjusted: Mug at 19.99 USD, 9223372036854775806 - 4 = 9223372036854775802, 1 gone, event 8"],
    );
    check(all(1), |it| adjust(it, 4, "goods received"), expect!["refused: TooMany"]);
    // What is gone counts as well: otherwise it could not be added up one day.
    check(all(1 << 40), |it| adjust(it, 4, "goods received"), expect!["refused: TooMany"]);
}

#[test]
fn an_event_that_does_not_fit_changes_nothing() {
    let added = ProductEvent::Added { name: "Cup".into(), price: usd(1) };
    assert_eq!(Product::evolve(Some(mug()), &added), Some(mug()));
    let adjusted = ProductEvent::Adjusted { delta: 1, reason: "found".into() };
    assert_eq!(Product::evolve(None, &adjusted), None);
}

#[test]
fn stock_follows_reservations() {
    let items = vec![Item { sku: "MUG".parse().unwrap(), quantity: 2 }];
    for (event, (on_hand, reserved, deducted)) in [
        (ReservationEvent::Reserved { items, expires_at: None }, (10, 6, 3)),
        (ReservationEvent::Rejected { shortages: vec![] }, (10, 4, 3)),
        (ReservationEvent::Kept { had_time: true }, (10, 4, 3)),
        (ReservationEvent::Released, (10, 2, 3)),
        (ReservationEvent::Expired, (10, 2, 3)),
        (ReservationEvent::Deducted, (8, 2, 5)),
        (ReservationEvent::Cancelled, (10, 4, 3)),
    ] {
        let mut product = mug();
        product.follow(&event, 2);
        assert_eq!(product, Product { on_hand, reserved, deducted, ..mug() }, "{event:?}");
        assert_eq!(product != mug(), event.moves_stock(), "{event:?}");
    }
}
