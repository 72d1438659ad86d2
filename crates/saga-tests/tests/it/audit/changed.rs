//! What an order says of itself cannot be changed unseen: its events, their contents, and that it is over.

use audit::Law;
use sqlx::Row;
use uuid::Uuid;

use super::{
    Processes, at_least,
    consumed::{place, place_with},
    hand::{breaks, by_subject, update},
    look, publish,
};
use ::load::PLAIN;

/// Orders that are at their end, of each of which one thing is changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_order_says_cannot_be_changed_unseen() {
    let suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let declined = place_with(&suite, "pm_card_chargeDeclined").await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(place(&suite).await);
    }
    at_least(&suite, 5, "order", "order_view where status = 'delivered' and paid").await;
    at_least(&suite, 1, "shipping", "shipment where status = 'barred'").await;
    let before = look(&suite.sources()).await;

    let [id, price, forged, number, again] = orders.try_into().expect("five");
    let placed = |id: Uuid| format!("where order_id = '{id}' and version = 1");
    let event_id = format!("order_event set event_id = gen_random_uuid() {}", placed(id));
    update(&suite, "order", &event_id).await;
    let dearer =
        "order_event set data = jsonb_set(data::jsonb, '{lines,0,unit_price,amount}', '11999')::text";
    update(&suite, "order", &format!("{dearer} {}", placed(price))).await;
    append(&suite, forged).await;
    let tracking = format!("shipment set tracking_number = 'WB-2' where order_id = '{number}'");
    update(&suite, "shipping", &tracking).await;
    say_again(&suite, again).await;
    let forget = sqlx::query("delete from shipment where order_id = $1").bind(declined);
    assert_eq!(forget.execute(&suite.pools["shipping"]).await.expect("a delete").rows_affected(), 1);
    let after = look(&suite.sources()).await;
    suite.clear().await;

    assert!(before.is_clean(), "{before:#?}");
    let found = by_subject(after.violations);
    breaks(&found, id, &[Law::Sequence], "not what is stored of it was published");
    breaks(&found, price, &[Law::Amounts], "its lines come to another sum");
    breaks(&found, forged, &[Law::Fold], "stock-noted.v1, is none of its life");
    breaks(&found, number, &[Law::Caused], "its tracking number is not its parcel's");
    breaks(&found, again, &[Law::Sequence], "comes again and says something else");
    breaks(&found, declined, &[Law::Cancelled], "no shipment");
    assert_eq!(found.len(), 6, "and nothing else: {found:#?}");
    assert!(after.findings.is_empty(), "{:#?}", after.findings);
}

/// Gives an order one more event, and its row the version of it.
async fn append(suite: &Processes, id: Uuid) {
    let insert = "insert into order_event
        select order_id, version + 1, gen_random_uuid(), 'stock-noted.v1', '{\"expires_at\": null}', recorded_at,
            correlation_id, causation_id, actor
        from order_event where order_id = $1 order by version desc limit 1";
    sqlx::query(insert).bind(id).execute(&suite.pools["order"]).await.expect("an event");
    update(suite, "order", &format!("order_view set version = version + 1 where order_id = '{id}'")).await;
}

/// Puts an order's first event on the topic once more, with another content.
async fn say_again(suite: &Processes, id: Uuid) {
    let first = "select event_id, data from order_event where order_id = $1 and version = 1";
    let first = sqlx::query(first).bind(id).fetch_one(&suite.pools["order"]).await.expect("an event");
    let dearer = first.get::<String, _>(1).replace("1999", "1");
    let event = (first.get(0), "waybill.order.placed.v2", Some(1), dearer.into_bytes());
    publish(suite, "order", id, event).await;
}
