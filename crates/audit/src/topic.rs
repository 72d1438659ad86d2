//! What is on the topics, against what the rows of the aggregates have counted and what waits in the outboxes.

mod consumed;
mod cuts;
mod gaps;
mod history;
mod read;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use anyhow::Context;
use bus::{Received, topics};
use events::Aggregate;
use sqlx::Row;
use uuid::Uuid;

pub(crate) use self::consumed::ReadPast;
pub use self::history::History;
pub(crate) use self::history::{Key, Numbered};
use self::{cuts::Cuts, gaps::Gaps, read::OnTopic};
use crate::{
    Sources,
    answer::answered,
    law::Law,
    look::Look,
    report::{Subject, Verdicts},
    seen::Prints,
    words::number,
};

/// The service whose events these are.
pub(crate) fn service(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Order => "order",
        Aggregate::Inventory | Aggregate::Product => "inventory",
        Aggregate::Payment => "payment",
        Aggregate::Shipping => "shipping",
    }
}

/// Reads the topics as far as they go now, one after the other, so that one of them is in memory. To be called after
/// `look`: what its counters count and its outboxes have no more, the log has acknowledged before.
pub(crate) async fn check(
    sources: &Sources,
    past: &ReadPast,
    look: &Look,
    clocks: Duration,
    verdicts: &mut Verdicts,
) -> anyhow::Result<()> {
    let infos = sources.bus.topics(&topics::name(&sources.topic_prefix, "")).await;
    let infos = infos.context("looking at the topics")?;
    for aggregate in Aggregate::ALL {
        let name = topics::name(&sources.topic_prefix, aggregate.name());
        let info = infos.iter().find(|it| it.name == name);
        let info = info.with_context(|| format!("there is no topic {name}"))?;
        let counters = counters(look, aggregate);
        let read = read::read(
            sources,
            past,
            Cuts::of(info, aggregate, clocks),
            info,
            aggregate,
            &counters,
            verdicts,
        )
        .await;
        let read = read.with_context(|| format!("reading {name}"))?;
        verdicts.check(Law::Published, counters.len() as u64);
        published(aggregate, &info.name, &counters, &read, look, verdicts);
        written(sources, aggregate, read, verdicts).await?;
    }
    Ok(())
}

pub(crate) type Counters = HashMap<Key, i64>;

/// How many events each aggregate has published, or is about to.
fn counters(look: &Look, aggregate: Aggregate) -> Counters {
    let of = |sequence: fn(&crate::seen::Seen) -> Option<u32>| {
        let orders = look.orders.iter();
        orders.filter_map(|(id, seen)| Some((Key::Order(*id), sequence(seen)?.into()))).collect()
    };
    match aggregate {
        Aggregate::Order => of(|it| it.order.map(|it| it.sequence)),
        Aggregate::Inventory => of(|it| it.stock.map(|it| it.sequence)),
        Aggregate::Payment => of(|it| it.payment.map(|it| it.sequence)),
        Aggregate::Shipping => of(|it| it.shipment.map(|it| it.sequence)),
        Aggregate::Product => {
            look.products.iter().map(|(sku, it)| (Key::Sku(sku.as_str().into()), it.1)).collect()
        }
    }
}

/// All that was counted is on the topic or waits for it.
fn published(
    aggregate: Aggregate,
    topic: &str,
    counters: &Counters,
    read: &OnTopic,
    look: &Look,
    verdicts: &mut Verdicts,
) {
    let nothing = History::default();
    for (key, count) in counters {
        let history = read.histories.get(key).unwrap_or(&nothing);
        let waiting = look.outbox.get(&(aggregate, key.clone())).map_or(&[][..], Vec::as_slice);
        for text in renamed(history, waiting) {
            verdicts.violate(Law::Sequence, key.subject(), vec![], format!("{aggregate} {key}: {text}"));
        }
        let mut there: Vec<i64> = history.numbers().chain(waiting.iter().map(|it| it.0)).collect();
        there.sort_unstable();
        let Some(first) = first_expected(read, key, *count, &there) else {
            verdicts.forgotten += u64::from(*count > 0);
            continue;
        };
        let gaps = Gaps::between(first.max(1), *count, &there);
        if gaps.is_empty() {
            if aggregate == Aggregate::Order
                && let Some(others) = others(look, key, (first, *count), history, waiting)
            {
                verdicts.violate(
                    Law::Sequence,
                    key.subject(),
                    vec![],
                    format!("{aggregate} {key}: {others}"),
                );
            }
        } else {
            let text = format!(
                "{aggregate} {key} has counted {}, and {gaps} neither on {topic} nor in the outbox",
                number(*count, "event")
            );
            verdicts.violate(Law::Published, key.subject(), positions(aggregate, topic, &gaps), text);
        }
    }
}

/// The numbers that are one event in the outbox and another on the topic.
fn renamed(history: &History, waiting: &[Numbered]) -> impl Iterator<Item = String> {
    waiting.iter().filter_map(|(sequence, id)| {
        let other = history.id_of(*sequence).filter(|it| it != id)?;
        Some(format!("{sequence} is {id} in the outbox and {other} on the topic"))
    })
}

/// An order's published events are those that are stored; which they are instead. A log that has dropped some cannot say.
fn others(
    look: &Look,
    key: &Key,
    (first, count): (i64, i64),
    history: &History,
    waiting: &[Numbered],
) -> Option<String> {
    let stored = look.orders.get(&key.order()?)?.order?.events;
    let waiting = waiting.iter().copied().filter(|it| history.id_of(it.0).is_none());
    let events: BTreeMap<i64, Uuid> =
        history.numbered().chain(waiting).filter(|it| (1..=count).contains(&it.0)).collect();
    let mut published = Prints::default();
    events.iter().for_each(|it| published.add(&it));
    let told = || events.iter().map(|it| format!("{} {}", it.0, it.1)).collect::<Vec<_>>().join(", ");
    (first == 1 && published != stored)
        .then(|| format!("not what is stored of it was published, but {}", told()))
}

/// From which number on a key's events are expected, of which these are `there`; `None`: it may have been forgotten as
/// a whole.
fn first_expected(read: &OnTopic, key: &Key, count: i64, there: &[i64]) -> Option<i64> {
    if read.cuts.compacted {
        return Some(count);
    }
    if !read.cuts.may_have_forgotten(key) {
        return Some(1);
    }
    there.iter().copied().find(|it| (1..=count).contains(it))
}

/// Where what is missing should be. An order's events are not told by their places: type and id of each, which the
/// order service has stored, are told of any violation that names none.
fn positions(aggregate: Aggregate, topic: &str, gaps: &Gaps) -> Vec<String> {
    if aggregate == Aggregate::Order {
        return Vec::new();
    }
    gaps.told().map(|it| format!("{topic} sequence {it}")).collect()
}

/// What goes beyond the counters of the look was written meanwhile, or by no transaction at all.
async fn written(
    sources: &Sources,
    aggregate: Aggregate,
    read: OnTopic,
    verdicts: &mut Verdicts,
) -> anyhow::Result<()> {
    verdicts.check(Law::Sequence, read.histories.len() as u64);
    let later = later(sources, aggregate, read.beyond.keys()).await;
    let later =
        later.with_context(|| format!("counting the events of {aggregate} at {}", service(aggregate)))?;
    for (key, (sequence, position)) in read.beyond {
        let counted = later.get(&key).copied().unwrap_or(0);
        if sequence > counted {
            let text = format!(
                "{aggregate} {key} has counted {}, and {sequence} is on the topic",
                number(counted, "event")
            );
            verdicts.violate(Law::Sequence, key.subject(), vec![position], text);
        }
    }
    Ok(())
}

async fn later<'k>(
    sources: &Sources,
    aggregate: Aggregate,
    keys: impl Iterator<Item = &'k Key>,
) -> anyhow::Result<BTreeMap<Key, i64>> {
    let (mut orders, mut skus): (Vec<Uuid>, Vec<&str>) = (Vec::new(), Vec::new());
    for key in keys {
        match key {
            Key::Order(id) => orders.push(*id),
            Key::Sku(sku) => skus.push(sku),
        }
    }
    let query = match aggregate {
        Aggregate::Order => "select order_id::text, sequence from order_view where order_id = any($1)",
        Aggregate::Inventory => "select order_id::text, sequence from reservation where order_id = any($1)",
        Aggregate::Payment => "select order_id::text, sequence from payment where order_id = any($1)",
        Aggregate::Shipping => "select order_id::text, sequence from shipment where order_id = any($1)",
        Aggregate::Product => "select sku, sequence from product where sku = any($1)",
    };
    let query = sqlx::query(query);
    let query = if aggregate == Aggregate::Product { query.bind(skus) } else { query.bind(orders) };
    let pool = sources.database(service(aggregate))?;
    let rows = answered(pool, query.fetch_all(pool)).await?;
    let mut later = BTreeMap::new();
    for row in rows {
        if let Some(key) = Key::parse(aggregate, row.try_get(0)?) {
            later.insert(key, row.try_get(1)?);
        }
    }
    Ok(later)
}

/// A record as violations tell it: where it is, and what.
fn told(record: &Received, name: &str, id: Option<Uuid>) -> String {
    let Received { topic, partition, offset, .. } = record;
    let id = id.map_or("unreadable".to_owned(), |it| it.to_string());
    format!("{topic}/{partition}@{offset} {name} {id}")
}

impl Key {
    fn subject(&self) -> Subject {
        match self {
            Self::Order(id) => Subject::Order(*id),
            Self::Sku(sku) => Subject::Sku(sku.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
