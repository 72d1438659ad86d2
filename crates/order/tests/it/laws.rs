//! What holds for every order, whatever has happened to it.

use std::{collections::HashMap, time::Duration};

use bus::{Bus, Envelope, topics};
use events::{EventType, OrderId, catalogue};
use order::{Order, OrderEvent, OrderView};
use sqlx::Row;
use uuid::Uuid;

use crate::rig::Rig;

/// An event of the order topic.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) id: Uuid,
    pub(crate) key: String,
    pub(crate) r#type: String,
    pub(crate) sequence: i64,
    pub(crate) data: serde_json::Value,
}

/// All that is on the order topic.
pub(crate) async fn published(bus: &Bus, prefix: &str) -> Vec<Published> {
    let topic = topics::name(prefix, "order");
    let info = bus.topics(&topic).await.unwrap().into_iter().find(|it| it.name == topic);
    let total: i64 = info.iter().flat_map(|it| &it.partitions).map(|it| it.high - it.low).sum();
    let mut consumer = bus.consumer(&Uuid::now_v7().to_string(), &[topic], None).unwrap();
    let mut published = Vec::new();
    while (published.len() as i64) < total {
        for record in consumer.poll(10_000, Duration::ZERO).await.unwrap() {
            let event = Envelope::open(&record).unwrap().read().unwrap();
            assert_eq!(event.source, "/waybill/order");
            assert_eq!(event.subject.as_deref().map(str::as_bytes), record.key.as_deref());
            published.push(Published {
                id: event.id,
                key: event.subject.unwrap().into_owned(),
                r#type: event.r#type.into_owned(),
                sequence: event.sequence.unwrap(),
                data: serde_json::from_slice(&event.data).unwrap(),
            });
        }
    }
    consumer.close().await;
    published
}

/// Asserts it all. The service still answers; its outbox is empty.
pub(crate) async fn hold(rig: &Rig) {
    assert_eq!(rig.count("engine.dead_letter").await, rig.dead_letters, "dead letters");
    let mut published = published(&rig.bus, &rig.prefix).await;
    published.splice(0..0, rig.earlier.clone());
    readable(&published);
    let mut by_order: HashMap<String, Vec<&Published>> = HashMap::new();
    for event in &published {
        by_order.entry(event.key.clone()).or_default().push(event);
    }
    let orders = folded(rig).await;
    assert_eq!(
        orders.len() as i64,
        rig.count("order_view").await,
        "an order without a row, or a row without one"
    );
    assert!(by_order.len() <= orders.len(), "something was published of an order that is not there");
    for (order, ids) in orders.values() {
        let order_id = order.placed.order_id;
        same_everywhere(rig, order).await;
        let published = by_order.remove(&order_id.to_string()).unwrap_or_default();
        let sequences: Vec<i64> = published.iter().map(|it| it.sequence).collect();
        assert_eq!(
            sequences,
            (1..=order.sequence).collect::<Vec<_>>(),
            "{order_id}: ce_sequence on the topic"
        );
        assert_eq!(
            &published.iter().map(|it| it.id).collect::<Vec<_>>(),
            ids,
            "{order_id}: published as recorded"
        );
        let ends = ["waybill.order.cancelled.v1", "waybill.order.delivered.v1"];
        let ends = published.iter().filter(|it| ends.contains(&it.r#type.as_str())).count();
        assert!(ends <= 1, "{order_id}: more than one end");
        let pending = rig.count(&format!("engine.deadline where key = '{order_id}'")).await;
        let waits = matches!(order.state, order::State::Placed { .. });
        assert_eq!(pending, i64::from(waits), "{order_id}: {:?} and its deadlines", order.state);
    }
}

/// Every event is one that is published in `schemas/`, and says what a consumer of that version reads.
fn readable(published: &[Published]) {
    let catalogue = catalogue();
    for event in published {
        let ty = EventType::parse(&event.r#type).unwrap();
        let known = catalogue.iter().find(|it| it.ty() == ty).unwrap_or_else(|| panic!("{ty} has no schema"));
        let read = (known.decode)(event.data.to_string().as_bytes()).unwrap();
        assert_eq!(read, event.data, "{ty}");
    }
}

/// Every order, folded from its stored events, with the ids of those that were to be published. Versions have
/// to be 1, 2, 3, ...
async fn folded(rig: &Rig) -> HashMap<OrderId, (Order, Vec<Uuid>)> {
    let rows = sqlx::query(
        "select order_id, version, event_id, type, data from order_event order by order_id, version",
    );
    let mut orders: HashMap<OrderId, (Order, Vec<Uuid>)> = HashMap::new();
    for row in rows.fetch_all(&rig.pool).await.unwrap() {
        let id = OrderId(row.get("order_id"));
        let event = OrderEvent::from_stored(row.get("type"), row.get("data")).unwrap();
        if let OrderEvent::Placed(placed) = &event {
            assert_eq!(placed.order_id, id);
            let begun = orders.insert(id, (Order::begin((**placed).clone()), Vec::new()));
            assert!(begun.is_none(), "{id} is placed twice");
        } else {
            orders.get_mut(&id).expect("`placed` comes first").0.evolve(&event);
        }
        let (order, ids) = orders.get_mut(&id).unwrap();
        assert_eq!(order.version, row.get::<i64, _>("version"), "{id}: versions are without a gap");
        if event.is_published() {
            ids.push(row.get("event_id"));
        }
    }
    orders
}

/// The fold is the row and is what HTTP answers.
async fn same_everywhere(rig: &Rig, order: &Order) {
    let view = OrderView::of(order);
    let row: serde_json::Value =
        sqlx::query_scalar("select to_json(v)::text from order_view v where order_id = $1")
            .bind(order.placed.order_id.0)
            .fetch_one(&rig.pool)
            .await
            .map(|json: String| serde_json::from_str(&json).unwrap())
            .unwrap();
    let shown = serde_json::to_value(&view).unwrap();
    for column in ["order_id", "version", "status", "cancel_reason", "tracking_number", "paid"] {
        assert_eq!(row[column], shown[column], "{column} of {row}");
    }
    assert_eq!(row["cancelling"], shown["cancelling"].as_bool().unwrap_or(false), "{row}");
    for held in ["stock", "payment"] {
        assert_eq!(row[format!("{held}_compensation")], shown["compensation"][held], "{row}");
    }
    assert_eq!(row["sequence"], order.sequence, "{row}");
    assert_eq!(row["customer_id"], shown["customer"]["id"], "{row}");
    assert_eq!(
        (&row["total_amount"], &row["currency"]),
        (&shown["total"]["amount"], &shown["total"]["currency"])
    );
    let answer = rig.get(&format!("/orders/{}", order.placed.order_id)).await;
    assert_eq!((answer.status, &answer.body), (200, &shown));
    assert_eq!(answer.etag, Some(format!("\"{}\"", view.version)));
}
