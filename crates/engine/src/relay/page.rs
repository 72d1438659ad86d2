//! Pages of the outbox on their way to the producer.

use std::{borrow::Cow, collections::HashMap, time::Instant};

use bus::{CloudEvent, Delivery, Producer, Record, Trace, topics};
use futures::TryStreamExt;
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{Caution, Relay};
use crate::{
    dead_letter,
    mutant::{Mutant, Mutation},
};

/// Rows read at once, at the most.
const ROWS: usize = 1_000;
/// Of rows that take more than this the page ends; so it takes a row more than this at the most.
const BYTES: usize = 8 << 20;

/// What was handed to the producer and is not acknowledged yet.
pub(super) struct Batch {
    pub(super) ids: Vec<i64>,
    /// How many of each type.
    pub(super) types: HashMap<String, u64>,
    /// The aggregate of the first row.
    pub(super) first: (String, String),
    /// How many rows were to go: the one that was refused at once is not among those taken.
    pub(super) offered: usize,
    pub(super) delivery: Delivery,
}

impl Batch {
    pub(super) fn last_id(&self) -> i64 {
        self.ids.last().copied().unwrap_or(0)
    }
}

/// How many rows a page asks for. The database sends all of them, also those that do not fit: after a page of
/// large rows the next one asks for about as many as did, and pages of small rows for more again.
pub(super) struct Pages {
    rows: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Self { rows: ROWS }
    }
}

impl Pages {
    fn note(&mut self, read: usize, bytes: usize, cut: bool) {
        if cut {
            self.rows = read.max(1);
        } else if read >= self.rows && bytes < BYTES / 2 {
            self.rows = (self.rows * 2).min(ROWS);
        }
    }
}

impl Relay {
    /// Reads rows above `floor` and gives them to the producer, in order. Whether there may be more is told
    /// by a full page.
    pub(super) async fn hand_over(
        &self,
        connection: &mut PgConnection,
        producer: &Producer,
        caution: &mut Caution,
        floor: i64,
    ) -> sqlx::Result<(Option<Batch>, bool)> {
        caution.refused.retain(|_, until| *until > Instant::now());
        let limit = if caution.one_by_one > 0 { 1 } else { caution.pages.rows };
        self.begin_turn(connection).await?;
        let (rows, cut) = read(connection, caution, self.mutation, floor, limit).await?;
        let Some(first) = rows.first() else {
            self.end_turn(connection).await?;
            return Ok((None, false));
        };
        let first = (first.try_get("aggregate_type")?, first.try_get("aggregate_id")?);
        let records = rows.iter().map(|row| self.record(row)).collect::<sqlx::Result<Vec<_>>>()?;
        let delivery = producer.enqueue(records);
        let (ids, offered) = (Vec::with_capacity(rows.len()), rows.len());
        let mut batch = Batch { ids, types: HashMap::new(), first, offered, delivery };
        for row in &rows[..batch.delivery.taken] {
            batch.ids.push(row.try_get("outbox_id")?);
            let name: &str = row.try_get("type")?;
            match batch.types.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(batch.types.insert(name.to_owned(), 1)),
            }
        }
        // A producer that is full takes the rest when there is room, that is, after this batch.
        let full =
            (cut || rows.len() == limit) && batch.delivery.taken == rows.len() && caution.one_by_one == 0;
        Ok((Some(batch), full))
    }

    /// Of a pool each member holds what it publishes by the locks of its rows, and so in a transaction.
    async fn begin_turn(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        match self.mutation.is(Mutant::SkipLockedPool) {
            true => sqlx::raw_sql("begin").execute(connection).await.map(|_| ()),
            false => Ok(()),
        }
    }

    pub(super) async fn end_turn(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        match self.mutation.is(Mutant::SkipLockedPool) {
            true => sqlx::raw_sql("commit").execute(connection).await.map(|_| ()),
            false => Ok(()),
        }
    }

    fn record<'r>(&self, row: &'r PgRow) -> sqlx::Result<Record<'r>> {
        let text = |name: &str| row.try_get::<Option<&'r str>, _>(name).map(|it| it.map(Cow::Borrowed));
        let topic = topics::name(&self.prefix, row.try_get("aggregate_type")?);
        let payload: Option<&'r [u8]> = row.try_get("payload")?;
        if let Some(headers) = row.try_get::<Option<&str>, _>("headers")? {
            let mirrored = dead_letter::mirrored_record(topic.into(), headers, payload.map(Cow::Borrowed));
            return mirrored.map_err(|error| sqlx::Error::Decode(error.into()));
        }
        let key: &'r str = row.try_get("aggregate_id")?;
        let event = CloudEvent {
            id: row.try_get("event_id")?,
            source: format!("/waybill/{}", self.service).into(),
            r#type: Cow::Borrowed(row.try_get::<&'r str, _>("type")?),
            subject: Some(Cow::Borrowed(key)),
            time: row.try_get("occurred_at")?,
            sequence: row.try_get("sequence")?,
            correlation_id: row.try_get("correlation_id")?,
            causation_id: row.try_get("causation_id")?,
            actor: text("actor")?,
            trace: Trace {
                parent: text("traceparent")?,
                state: text("tracestate")?,
                baggage: text("baggage")?,
            },
            data: Cow::Borrowed(payload.unwrap_or_default()),
        };
        Ok(event.into_record(topic.into(), Cow::Borrowed(key)))
    }
}

/// Up to `limit` rows above `floor` of aggregates that are not held back, and whether there were more than fit.
async fn read(
    connection: &mut PgConnection,
    caution: &mut Caution,
    mutation: Mutation,
    floor: i64,
    limit: usize,
) -> sqlx::Result<(Vec<PgRow>, bool)> {
    let (types, ids): (Vec<&str>, Vec<&str>) =
        caution.refused.keys().map(|(kind, id)| (kind.as_str(), id.as_str())).unzip();
    let held_back = match mutation.is(Mutant::PastFailedDelivery) {
        true => {
            "outbox_id not in (select min(outbox_id) from engine.outbox
                 where (aggregate_type, aggregate_id) in (select * from unnest($2::text[], $3::text[]))
                 group by aggregate_type, aggregate_id)"
        }
        false => "(aggregate_type, aggregate_id) not in (select * from unnest($2::text[], $3::text[]))",
    };
    let lock = if mutation.is(Mutant::SkipLockedPool) { "for update skip locked" } else { "" };
    let sql = format!(
        "select outbox_id, event_id, aggregate_type, aggregate_id, type, sequence, occurred_at, correlation_id,
             causation_id, actor, traceparent, tracestate, baggage, headers, payload
         from engine.outbox
         where outbox_id > $1 and (cardinality($2::text[]) = 0 or {held_back})
         order by outbox_id limit $4 {lock}"
    );
    let mut read = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(floor)
        .bind(types)
        .bind(ids)
        .bind(limit as i64)
        .fetch(connection);
    let (mut rows, mut bytes, mut cut): (Vec<PgRow>, _, _) = (Vec::new(), 0, false);
    while let Some(row) = read.try_next().await? {
        // Read to the end all the same: a statement that stands still while the log is waited for keeps vacuum from
        // all that is deleted meanwhile.
        if bytes > BYTES {
            cut = true;
            continue;
        }
        let payload: Option<&[u8]> = row.try_get("payload")?;
        bytes += payload.map_or(0, <[u8]>::len);
        rows.push(row);
    }
    drop(read);
    caution.pages.note(rows.len(), bytes, cut);
    Ok((rows, cut))
}
