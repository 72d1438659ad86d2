//! What holds for every event and every amount, not only for examples.

use std::{collections::HashMap, fmt::Debug, sync::LazyLock};

use events::*;
use jsonschema::Validator;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::Value;
use uuid::Uuid;

use crate::agreement::{agree, validator};

/// What is published, with the validator of each schema: costly to make, asked in every case.
static PUBLISHED: LazyLock<HashMap<String, (Published, Validator)>> = LazyLock::new(|| {
    let compiled = |it: Published| (it.ty().to_string(), (it.clone(), validator(&it.schema)));
    catalogue().into_iter().map(compiled).collect()
});

static CURRENCIES: LazyLock<Vec<Currency>> = LazyLock::new(|| {
    let (product, _) = &PUBLISHED[ProductChanged::TYPE];
    serde_json::from_value(product.schema["$defs"]["Currency"]["enum"].clone()).unwrap()
});

fn order_id() -> impl Strategy<Value = OrderId> {
    any::<u128>().prop_map(|it| OrderId(Uuid::from_u128(it)))
}

fn sku() -> impl Strategy<Value = Sku> {
    "[A-Z0-9][A-Z0-9._-]{0,39}".prop_map(|it| it.parse().unwrap())
}

fn currency() -> impl Strategy<Value = Currency> {
    select(CURRENCIES.as_slice())
}

fn money() -> impl Strategy<Value = Money> {
    (any::<i64>(), currency()).prop_map(|(amount, currency)| Money { amount, currency })
}

/// The years that RFC 3339 can write, to the nanosecond, in any offset.
fn at() -> impl Strategy<Value = Timestamp> {
    (-62_167_000_000_i64..253_402_000_000, 0..1_000_000_000_i64, -12 * 60..=14 * 60).prop_map(
        |(seconds, nanos, minutes)| {
            let utc = Timestamp::from_unix_timestamp(seconds).unwrap() + time::Duration::nanoseconds(nanos);
            utc.to_offset(time::UtcOffset::from_whole_seconds(minutes * 60).unwrap())
        },
    )
}

fn text() -> impl Strategy<Value = String> {
    any::<String>()
}

fn customer() -> impl Strategy<Value = Customer> {
    ("[!-~]{1,64}", text(), text()).prop_map(|(id, name, email)| Customer {
        id: id.parse().unwrap(),
        name,
        email,
    })
}

fn address() -> impl Strategy<Value = Address> {
    (text(), text(), option::of(text()), text(), text(), text()).prop_map(
        |(name, line1, line2, city, postal_code, country)| Address {
            name,
            line1,
            line2,
            city,
            postal_code,
            country,
        },
    )
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = (sku(), text(), any::<u32>(), money());
    vec(line.prop_map(|(sku, name, quantity, unit_price)| Line { sku, name, quantity, unit_price }), 0..4)
}

fn lines_v1() -> impl Strategy<Value = Vec<LineV1>> {
    let line = (sku(), text(), any::<u32>(), any::<i64>());
    vec(line.prop_map(|(sku, name, quantity, unit_price)| LineV1 { sku, name, quantity, unit_price }), 0..4)
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    vec((sku(), any::<u32>()).prop_map(|(sku, quantity)| Item { sku, quantity }), 0..4)
}

fn shortages() -> impl Strategy<Value = Vec<Shortage>> {
    let shortage = (sku(), any::<u32>(), any::<i64>());
    vec(shortage.prop_map(|(sku, requested, available)| Shortage { sku, requested, available }), 0..4)
}

fn reason() -> impl Strategy<Value = CancelReason> {
    use CancelReason::*;
    select(&[OutOfStock, PaymentDeclined, CaptureFailed, TimedOut, ReservationExpired, Customer])
}

/// What is written is valid, is read back as what it was, and is keyed by the order.
fn check<E: Event + Clone + PartialEq + Debug>(event: E) -> Result<(), TestCaseError> {
    let written = serde_json::to_vec(&event).unwrap();
    let value: Value = serde_json::from_slice(&written).unwrap();
    let valid = PUBLISHED[E::TYPE].1.validate(&value).map_err(|error| error.to_string());
    prop_assert_eq!(valid, Ok(()));
    let keyed_by = if E::AGGREGATE == Aggregate::Product { "sku" } else { "order_id" };
    prop_assert_eq!(&value[keyed_by], &event.key());
    prop_assert_eq!(E::decode(E::VERSION, &written), Ok(event));
    Ok(())
}

macro_rules! round_trips {
    ($($test:ident: $event:ident { $($field:ident: $strategy:expr),* })*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]
            $(
                #[test]
                fn $test($($field in $strategy),*) {
                    check($event { $($field),* })?;
                }
            )*
        }

        #[test]
        fn every_event_makes_the_round_trip() {
            let tested = std::collections::BTreeSet::from([$($event::TYPE.to_owned()),*]);
            assert_eq!(tested, PUBLISHED.keys().cloned().collect());
        }
    };
}

round_trips! {
    order_placed_v1: OrderPlacedV1 {
        order_id: order_id(), customer: customer(), lines: lines_v1(), total: any::<i64>(), ship_to: address(),
        payment_method: text(), placed_at: at()
    }
    order_placed: OrderPlaced {
        order_id: order_id(), customer: customer(), currency: currency(), lines: lines(), total: money(),
        ship_to: address(), payment_method: text(), placed_at: at()
    }
    order_confirmed: OrderConfirmed {
        order_id: order_id(), customer: customer(), lines: lines(), total: money(), ship_to: address(),
        confirmed_at: at(), stock_expires_at: option::of(at())
    }
    order_paid: OrderPaid { order_id: order_id(), amount: money() }
    order_shipped: OrderShipped { order_id: order_id(), tracking_number: text() }
    order_delivered: OrderDelivered { order_id: order_id() }
    order_cancellation_requested: OrderCancellationRequested { order_id: order_id(), reason: reason() }
    order_cancelled: OrderCancelled { order_id: order_id(), reason: reason() }
    stock_reserved: StockReserved { order_id: order_id(), items: items(), expires_at: option::of(at()) }
    stock_rejected: StockRejected { order_id: order_id(), shortages: shortages() }
    stock_kept: StockKept { order_id: order_id(), items: items() }
    stock_released: StockReleased { order_id: order_id(), items: items() }
    reservation_expired: ReservationExpired { order_id: order_id(), items: items() }
    stock_deducted: StockDeducted { order_id: order_id(), items: items() }
    payment_authorized: PaymentAuthorized { order_id: order_id(), amount: money(), provider_reference: text() }
    payment_declined: PaymentDeclined { order_id: order_id(), amount: money(), code: text() }
    payment_captured: PaymentCaptured { order_id: order_id(), amount: money(), provider_reference: text() }
    capture_failed: CaptureFailed {
        order_id: order_id(), amount: money(), provider_reference: text(), code: text()
    }
    payment_voided: PaymentVoided { order_id: order_id(), amount: money(), provider_reference: text() }
    payment_refunded: PaymentRefunded { order_id: order_id(), amount: money(), provider_reference: text() }
    payment_cancelled: PaymentCancelled { order_id: order_id() }
    shipment_scheduled: ShipmentScheduled { order_id: order_id(), ship_to: address() }
    shipment_dispatched: ShipmentDispatched {
        order_id: order_id(), tracking_number: text(), dispatched_at: at()
    }
    shipment_delivered: ShipmentDelivered { order_id: order_id(), tracking_number: text(), delivered_at: at() }
    shipment_cancelled: ShipmentCancelled { order_id: order_id() }
    cancellation_refused: CancellationRefused { order_id: order_id() }
    product_changed: ProductChanged { sku: sku(), name: text(), price: money(), on_hand: any::<i64>() }
}

fn wide(result: Result<Money, MoneyError>) -> Result<i128, MoneyError> {
    result.map(|money| i128::from(money.amount))
}

fn narrow(amount: i128) -> Result<i128, MoneyError> {
    i64::try_from(amount).map(i128::from).map_err(|_| MoneyError::Overflow)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_upcast_keeps_every_amount(total: i64, lines in lines_v1(), customer in customer(), ship_to in address()) {
        let old = OrderPlacedV1 {
            order_id: OrderId::new(), customer, lines, total, ship_to, payment_method: String::new(),
            placed_at: Timestamp::UNIX_EPOCH,
        };
        let new = OrderPlaced::decode(1, &serde_json::to_vec(&old).unwrap()).unwrap();
        let usd = |amount| Money { amount, currency: Currency::USD };
        prop_assert_eq!(new.total, usd(old.total));
        prop_assert_eq!(new.lines.len(), old.lines.len());
        for (new, old) in new.lines.iter().zip(&old.lines) {
            prop_assert_eq!((&new.sku, new.quantity, new.unit_price), (&old.sku, old.quantity, usd(old.unit_price)));
        }
    }

    #[test]
    fn money_adds_like_integers_or_says_why_not(a in money(), b: i64, other in money()) {
        let b = Money { amount: b, ..a };
        prop_assert_eq!(wide(a.checked_add(b)), narrow(i128::from(a.amount) + i128::from(b.amount)));
        if a.currency != other.currency {
            prop_assert_eq!(a.checked_add(other), Err(MoneyError::CurrencyMismatch));
        }
    }

    #[test]
    fn money_multiplies_like_integers_or_says_why_not(price in money(), quantity: u32) {
        let product = i128::from(price.amount) * i128::from(quantity);
        prop_assert_eq!(wide(price.checked_mul(quantity)), narrow(product));
    }

    #[test]
    fn money_is_displayed_digit_for_digit(money in money()) {
        let shown = money.to_string();
        let digits: String = shown.chars().filter(|it| it.is_ascii_digit() || *it == '-').collect();
        prop_assert_eq!(digits.parse(), Ok(money.amount));
        prop_assert!(shown.ends_with(money.currency.code()));
    }

    #[test]
    fn a_sku_is_what_its_pattern_says(text in "[A-Za-z0-9._ -]{0,3}[A-Z0-9._-]{0,41}\n?") {
        let (it, validator) = &PUBLISHED[ProductChanged::TYPE];
        let mut data = it.example.clone();
        data["sku"] = text.into();
        agree(it, validator, &data);
    }

    #[test]
    fn a_customer_id_is_what_its_pattern_says(text in "[ -~]{0,66}|\\PC{0,3}") {
        let (it, validator) = &PUBLISHED[OrderConfirmed::TYPE];
        let mut data = it.example.clone();
        data["customer"]["id"] = text.into();
        agree(it, validator, &data);
    }
}
