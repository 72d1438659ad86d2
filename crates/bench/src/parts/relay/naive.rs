//! A relay as one writes it first, to be measured beside ours: it awaits each send.

use bus::{CloudEvent, Producer, Record, Trace};
use engine::Settings;
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

/// Rows of a page.
const PAGE: i64 = 1_000;

/// Publishes until the outbox is empty. Row by row: a row is read, sent, and deleted before the next one is read.
/// Otherwise pages are read and deleted, and only the sends are awaited one by one.
pub(super) async fn run(settings: Settings, topic: String, row_by_row: bool) -> anyhow::Result<()> {
    // As of ours, a lost delete is only a duplicate: that is not what is compared.
    let options = settings.options.options([("synchronous_commit", "off")]);
    let (mut connection, producer) = (PgConnection::connect_with(&options).await?, settings.bus.producer()?);
    loop {
        let rows = sqlx::query(
            "select outbox_id, event_id, aggregate_id, type, sequence, occurred_at, correlation_id, causation_id, actor,
                 payload
             from engine.outbox order by outbox_id limit $1",
        )
        .bind(if row_by_row { 1 } else { PAGE })
        .fetch_all(&mut connection)
        .await?;
        if rows.is_empty() {
            return Ok(connection.close().await?);
        }
        let mut ids: Vec<i64> = Vec::with_capacity(rows.len());
        for row in &rows {
            send(&producer, record(&topic, row)?).await?;
            ids.push(row.try_get("outbox_id")?);
        }
        let delete = sqlx::query("delete from engine.outbox where outbox_id = any($1)");
        delete.bind(ids).execute(&mut connection).await?;
    }
}

async fn send(producer: &Producer, record: Record<'_>) -> anyhow::Result<()> {
    let mut delivery = producer.enqueue([record]);
    anyhow::ensure!(delivery.taken == 1, "the producer is full");
    Ok(delivery.acknowledged().await?)
}

fn record<'r>(topic: &str, row: &'r PgRow) -> sqlx::Result<Record<'r>> {
    let text = |name: &str| row.try_get::<&'r str, _>(name);
    let key = text("aggregate_id")?;
    let event = CloudEvent {
        id: row.try_get("event_id")?,
        source: "/waybill/counter".into(),
        r#type: text("type")?.into(),
        subject: Some(key.into()),
        time: row.try_get("occurred_at")?,
        sequence: row.try_get("sequence")?,
        correlation_id: row.try_get("correlation_id")?,
        causation_id: row.try_get("causation_id")?,
        actor: Some(text("actor")?.into()),
        trace: Trace::default(),
        data: row.try_get::<&'r [u8], _>("payload")?.into(),
    };
    Ok(event.into_record(topic.to_owned().into(), key.into()))
}
