//! The ceilings: the same records without a database, the same rows without a log.

use std::collections::VecDeque;

use anyhow::ensure;
use bus::{CloudEvent, Record, Trace};
use engine::Writes;
use events::Timestamp;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::KEYS;
use crate::{
    figures::Figures,
    parts::{
        consume::Case,
        counter::{PUBLISHES, RAISED_TYPE, Raise, Raised, lock, save},
        machine::Machine,
        published::Published,
    },
};

/// Records as a relay's page has them, and pages under way: as many as the producer takes.
const PAGE: usize = 1_000;
const UNDER_WAY: usize = 16;

/// Publishes records that are in memory, as fast as the log takes them.
pub(super) async fn produce(
    machine: &Machine,
    name: &str,
    rows: u32,
) -> anyhow::Result<(Figures, Vec<String>)> {
    let service = machine.service(name).await?;
    let topic = service.topic(PUBLISHES);
    let records = (0..rows).map(|it| record(&topic, it)).collect::<anyhow::Result<Vec<_>>>()?;
    let producer = machine.bus.producer()?;
    // Connected, and told of the topic.
    let first = Raised { counter: "first".into(), value: 1, note: String::new() };
    producer.enqueue([event(&topic, &first)?]).acknowledged().await?;
    let before = machine.components.usage()?;
    let mut under_way = VecDeque::new();
    let mut records = records.into_iter().peekable();
    while records.peek().is_some() {
        if under_way.len() == UNDER_WAY {
            acknowledge(&mut under_way).await?;
        }
        let page: Vec<_> = records.by_ref().take(PAGE).collect();
        let count = page.len();
        let delivery = producer.enqueue(page);
        ensure!(delivery.taken == count, "the producer is full");
        under_way.push_back(delivery);
    }
    while !under_way.is_empty() {
        acknowledge(&mut under_way).await?;
    }
    let spent = machine.components.usage()?.since(&before);
    let mut figures = Figures::default();
    figures.put("rate", f64::from(rows) / spent.took.as_secs_f64(), "/s");
    figures.put_cpu(&spent, f64::from(rows) / 1e3, "1,000");
    let published = Published::read(&machine.bus, &topic).await?;
    Ok((figures, published.failures(name, i64::from(rows) + 1)))
}

async fn acknowledge(under_way: &mut VecDeque<bus::Delivery>) -> anyhow::Result<()> {
    match under_way.pop_front() {
        Some(mut delivery) => Ok(delivery.acknowledged().await?),
        None => Ok(()),
    }
}

/// The `number`-th record, as the relay makes one of a row.
fn record(topic: &str, number: u32) -> anyhow::Result<Record<'static>> {
    let Raise { counter, note } = Raise::of(format!("counter-{}", number % KEYS));
    event(topic, &Raised { counter, value: i64::from(number / KEYS) + 1, note })
}

fn event(topic: &str, raised: &Raised) -> anyhow::Result<Record<'static>> {
    let event = CloudEvent {
        id: Uuid::now_v7(),
        source: "/waybill/counter".into(),
        r#type: RAISED_TYPE.into(),
        subject: Some(raised.counter.clone().into()),
        time: Some(Timestamp::now_utc()),
        sequence: Some(raised.value),
        correlation_id: Some(Uuid::now_v7()),
        causation_id: Some(Uuid::now_v7()),
        actor: Some("service:counter".into()),
        trace: Trace::default(),
        data: serde_json::to_vec(raised)?.into(),
    };
    Ok(event.into_record(topic.to_owned().into(), raised.counter.clone().into()))
}

/// Writes the rows that a consumer writes for its messages, in batches of the same size.
pub(super) async fn insert(
    machine: &Machine,
    name: &str,
    case: Case,
) -> anyhow::Result<(Figures, Vec<String>)> {
    let service = machine.service(name).await?;
    let raise = |it: u32| (Uuid::now_v7(), Raise::of(format!("counter-{}", it % case.keys)));
    let raises: Vec<(Uuid, Raise)> = (0..case.messages).map(raise).collect();
    let mut connection = PgConnection::connect_with(&service.settings.options).await?;
    sqlx::raw_sql("checkpoint").execute(&service.pool).await?;
    let before = machine.components.usage()?;
    for batch in raises.chunks(case.batch) {
        let mut tx = connection.begin().await?;
        claim(&mut tx, batch).await?;
        write(&mut tx, batch.iter().map(|it| &it.1)).await?;
        tx.commit().await?;
    }
    let spent = machine.components.usage()?.since(&before);
    let mut figures = Figures::default();
    figures.put("rate", f64::from(case.messages) / spent.took.as_secs_f64(), "/s");
    figures.put_cpu(&spent, f64::from(case.messages) / 1e3, "1,000");
    let rows = service.count("select count(*) from engine.outbox").await?;
    let lost = (rows != i64::from(case.messages)).then(|| format!("{rows} rows of {}", case.messages));
    connection.close().await?;
    Ok((figures, lost.into_iter().collect()))
}

async fn claim(tx: &mut PgConnection, batch: &[(Uuid, Raise)]) -> sqlx::Result<()> {
    let insert = "insert into engine.inbox (event_id, consumer) select unnest($1::uuid[]), 'counter'
        on conflict do nothing returning event_id";
    let ids: Vec<Uuid> = batch.iter().map(|it| it.0).collect();
    sqlx::query(insert).bind(ids).fetch_all(tx).await.map(drop)
}

/// Raises counters, and tells of it in the outbox; returns the value of the last.
pub(super) async fn write<'r>(
    tx: &mut PgConnection,
    raises: impl Iterator<Item = &'r Raise> + Clone,
) -> anyhow::Result<i64> {
    let mut world = lock(tx, raises.clone().map(|it| it.counter.as_str())).await?;
    let (mut keys, mut sequences, mut payloads) = (Vec::new(), Vec::new(), Vec::new());
    for Raise { counter, note } in raises {
        let state = world.entry(counter.clone()).or_default();
        state.value += 1;
        let raised = Raised { counter: counter.clone(), value: state.value, note: note.clone() };
        payloads.push(serde_json::to_vec(&raised)?);
        sequences.push(state.value);
        keys.push(raised.counter);
    }
    let mut writes = Writes::default();
    save(&mut writes, &world);
    let ids = || keys.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>();
    writes.add(
        "insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at,
             correlation_id, causation_id, actor, payload)
         select event_id, $7, aggregate_id, $8, sequence, clock_timestamp(), correlation_id, causation_id, $9, payload
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::uuid[], $5::uuid[], $6::bytea[])
             with ordinality as it (event_id, aggregate_id, sequence, correlation_id, causation_id, payload, position)
         order by position",
    )
    .bind(ids())
    .bind(&keys)
    .bind(&sequences)
    .bind(ids())
    .bind(ids())
    .bind(payloads)
    .bind(PUBLISHES.name())
    .bind(RAISED_TYPE)
    .bind("service:counter");
    writes.send(tx).await?;
    Ok(sequences.last().copied().unwrap_or_default())
}
