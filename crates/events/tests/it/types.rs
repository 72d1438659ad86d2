//! Names, versions, topics and where schemas are.

use std::collections::BTreeSet;

use events::{Aggregate, Event, EventType, NotAType, OrderPlaced, OrderPlacedV1, catalogue, dataschema};
use expect_test::{Expect, expect};

#[track_caller]
fn check(text: &str, expected: Result<(&str, u32), NotAType<'_>>) {
    assert_eq!(
        EventType::parse(text),
        expected.map(|(name, version)| EventType { name, version }),
        "{text:?}"
    );
}

#[test]
fn a_type_is_taken_apart() {
    check("waybill.order.placed.v2", Ok(("order.placed", 2)));
    check("waybill.shipping.cancellation-refused.v1", Ok(("shipping.cancellation-refused", 1)));
    check("waybill.order.placed.v4294967295", Ok(("order.placed", u32::MAX)));
}

#[test]
fn a_name_that_nobody_knows_is_still_a_type() {
    check("waybill.mug.broken.v7", Ok(("mug.broken", 7)));
    check("waybill.order.v1.placed.v2", Ok(("order.v1.placed", 2)));
}

#[test]
fn somebody_elses_type_is_foreign() {
    for foreign in
        ["", "order.placed.v2", "com.example.order.placed.v2", "waybill", "Waybill.order.placed.v2"]
    {
        check(foreign, Err(NotAType::Foreign));
    }
}

#[test]
fn a_type_of_ours_with_a_bad_version_keeps_its_name() {
    for version in ["", ".v", ".v0", ".v02", ".v+2", ".v-1", ".v2 ", ".v2a", ".v4294967296"] {
        let text = format!("waybill.order.placed{version}");
        check(&text, Err(NotAType::Version { name: "order.placed" }));
    }
    check("waybill.order.placed.2", Err(NotAType::Version { name: "order.placed.2" }));
}

#[test]
fn older_versions_have_types_of_their_own() {
    assert_eq!(OrderPlaced::TYPE, "waybill.order.placed.v2");
    assert_eq!(OrderPlacedV1::TYPE, "waybill.order.placed.v1");
}

#[test]
fn every_type_says_its_topic_and_leads_to_its_schema() {
    let mut types = BTreeSet::new();
    for published in catalogue() {
        let text = published.ty().to_string();
        assert_eq!(EventType::parse(&text), Ok(published.ty()));
        assert_eq!(published.name.split('.').next(), Some(published.aggregate.name()));
        assert_eq!(published.schema["title"], text);
        assert_eq!(published.schema["$id"], dataschema(&published.ty()));
        assert_eq!(published.schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(types.insert(text), "{} is there twice", published.ty());
    }
}

#[test]
fn the_catalogue_lists_what_is_published() {
    let listed = |aggregate: &Aggregate| {
        let of_it = catalogue().into_iter().filter(|it| it.aggregate == *aggregate);
        let events: Vec<_> = of_it.map(|it| format!("{}.v{}", it.name, it.version)).collect();
        format!("{aggregate}: {}\n", events.join(" "))
    };
    let expected: Expect = expect![[r#"
        order: order.placed.v1 order.placed.v2 order.confirmed.v1 order.paid.v1 order.shipped.v1 order.delivered.v1 order.cancellation-requested.v1 order.cancelled.v1
        inventory: inventory.stock-reserved.v1 inventory.stock-rejected.v1 inventory.stock-kept.v1 inventory.stock-released.v1 inventory.reservation-expired.v1 inventory.stock-deducted.v1
        payment: payment.authorized.v1 payment.declined.v1 payment.captured.v1 payment.capture-failed.v1 payment.voided.v1 payment.refunded.v1 payment.cancelled.v1
        shipping: shipping.shipment-scheduled.v1 shipping.dispatched.v1 shipping.delivered.v1 shipping.cancelled.v1 shipping.cancellation-refused.v1
        product: product.changed.v1
    "#]];
    expected.assert_eq(&Aggregate::ALL.iter().map(listed).collect::<String>());
}
