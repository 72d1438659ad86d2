//! Whether what a service has read has had its effect.
//!
//! A service stores the offset of an event after the transaction that has put its id into the inbox, a dead letter's
//! too. So what lies before an offset that its group has committed is in the inbox of every look that comes later,
//! whatever is under way: nothing is ever taken out of it but whole days, long after the topics have dropped theirs.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use bus::{Envelope, Received};
use events::{Aggregate, EventType, NotAType};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Key, told};
use crate::{
    SERVICES, Sources,
    answer::answered,
    law::Law,
    marks,
    readers::handles,
    reads,
    report::{Subject, Verdicts},
};

/// Up to where the services have read.
pub(crate) struct ReadPast(BTreeMap<&'static str, Offsets>);

/// By topic and partition, the first record that is not done.
type Offsets = HashMap<(String, i32), i64>;

/// What a service has to have taken in: an event by its id, or what cannot be read as one.
type Taken<'r> = (&'r Received, Option<Uuid>);

impl ReadPast {
    /// To be called before the inboxes are looked at.
    pub(crate) async fn look(sources: &Sources) -> anyhow::Result<Self> {
        let mut past = BTreeMap::new();
        for service in SERVICES {
            let progress = marks::progress(sources, service).await?;
            let committed = |it: bus::Progress| Some(((it.topic, it.partition), it.committed?));
            past.insert(service, progress.into_iter().filter_map(committed).collect());
        }
        Ok(Self(past))
    }

    /// Looks for `records` of a topic where they have to be. Nothing is kept of them: a topic of any length is looked
    /// through in the memory of one batch.
    pub(super) async fn check(
        &self,
        sources: &Sources,
        aggregate: Aggregate,
        records: &[Received],
        verdicts: &mut Verdicts,
    ) -> anyhow::Result<()> {
        let mut lost: BTreeMap<(i32, i64), (Taken<'_>, Vec<&str>)> = BTreeMap::new();
        for (service, offsets) in &self.0 {
            if !reads(service).contains(&aggregate) {
                continue;
            }
            let taken: Vec<Taken<'_>> = records
                .iter()
                .filter(|it| is_past(offsets, it))
                .filter_map(|it| taken(service, it))
                .collect();
            let pool = sources.database(service)?;
            let (missing, forgotten) = answered(pool, missing(pool, service, &taken))
                .await
                .with_context(|| format!("looking at the inbox of {service}"))?;
            verdicts.check(Law::Consumed, taken.len() as u64 - forgotten);
            for it in missing {
                lost.entry((it.0.partition, it.0.offset)).or_insert((it, Vec::new())).1.push(service);
            }
        }
        for ((record, id), services) in lost.into_values() {
            let key = record.key.as_deref().and_then(|it| std::str::from_utf8(it).ok());
            let subject = key.and_then(|it| Key::parse(aggregate, it)).map(|it| it.subject());
            let name = record.header("ce_type").map(String::from_utf8_lossy).unwrap_or_default();
            let event = told(record, &name, id);
            let text = format!(
                "{} read past it, and it is neither in the inbox nor a dead letter there",
                services.join(" and ")
            );
            let subject = subject.unwrap_or_else(|| Subject::Other(event.clone()));
            verdicts.violate(Law::Consumed, subject, vec![event], text);
        }
        Ok(())
    }
}

fn is_past(offsets: &Offsets, record: &Received) -> bool {
    let committed = offsets.get(&(record.topic.to_string(), record.partition));
    committed.is_some_and(|it| record.offset < *it)
}

/// `None`: the service skips it. By the same steps as the engine reads a record.
fn taken<'r>(service: &str, record: &'r Received) -> Option<Taken<'r>> {
    let Ok(envelope) = Envelope::open(record) else { return Some((record, None)) };
    let Ok(ce_type) = envelope.event_type() else { return Some((record, None)) };
    let name = match EventType::parse(ce_type) {
        Ok(EventType { name, .. }) | Err(NotAType::Version { name }) => name,
        Err(NotAType::Foreign) => return None,
    };
    if !handles(service, name) {
        return None;
    }
    Some((record, envelope.read().ok().map(|it| it.id)))
}

/// Those that the service has nothing of, and how many there are of which it may have forgotten that it has.
async fn missing<'r>(
    pool: &PgPool,
    service: &str,
    taken: &[Taken<'r>],
) -> sqlx::Result<(Vec<Taken<'r>>, u64)> {
    let at = |positions: Vec<i64>, of: &[Taken<'r>]| -> Vec<Taken<'r>> {
        positions.into_iter().filter_map(|it| of.get(it as usize - 1).copied()).collect()
    };
    let ids: Vec<Option<Uuid>> = taken.iter().map(|it| it.1).collect();
    // The offset keeps this a look-up per id: joined, the whole inbox would be read for every batch.
    let query = "select position from unnest($1::uuid[]) with ordinality it (id, position)
        where not exists (select from engine.inbox where event_id = id and consumer = $2 offset 0)
        order by position";
    let positions = sqlx::query_scalar(query).bind(ids).bind(service).fetch_all(pool).await?;
    let unknown = at(positions, taken);
    if unknown.is_empty() {
        return Ok((unknown, 0));
    }
    // What cannot be read is in the inbox under an id of the engine's making, and a letter wherever it came from.
    let query = "select position from unnest($1::text[], $2::int[], $3::bigint[]) with ordinality
            it (topic, partition, read_at, position)
        where not exists (select from engine.dead_letter l where l.consumer = $4 and l.topic = it.topic
                and l.partition = it.partition and l.\"offset\" = read_at)
            and not exists (select from engine.dead_letter_action a where a.consumer = $4 and a.topic = it.topic
                and a.partition = it.partition and a.\"offset\" = read_at)
        order by position";
    let positions = sqlx::query_scalar(query)
        .bind(unknown.iter().map(|it| it.0.topic.as_ref()).collect::<Vec<&str>>())
        .bind(unknown.iter().map(|it| it.0.partition).collect::<Vec<i32>>())
        .bind(unknown.iter().map(|it| it.0.offset).collect::<Vec<i64>>())
        .bind(service)
        .fetch_all(pool)
        .await?;
    let missing = at(positions, &unknown);
    let known_from = known_from(pool).await?;
    let (missing, forgotten): (Vec<_>, Vec<_>) =
        missing.into_iter().partition(|it| it.1.is_none_or(|id| known_from.is_none_or(|from| from <= id)));
    Ok((missing, forgotten.len() as u64))
}

/// The lowest id of the oldest day that an inbox still has: what is lower may have been dropped with its day. To be
/// asked after the inbox, which may drop one meanwhile.
async fn known_from(pool: &PgPool) -> sqlx::Result<Option<Uuid>> {
    let query = "select min(substring(pg_get_expr(relpartbound, oid) from '[0-9a-f-]{36}'))::uuid
        from pg_inherits join pg_class on oid = inhrelid where inhparent = 'engine.inbox'::regclass";
    sqlx::query_scalar(query).fetch_one(pool).await
}
