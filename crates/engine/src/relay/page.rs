//! Pages of the outbox on their way to the producer.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    time::Instant,
};

use bus::{CloudEvent, Delivery, Producer, Record, Trace, topics};
use futures::TryStreamExt;
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{Caution, PAGE, Relay};
use crate::{
    database::answered,
    dead_letter,
    mutant::{Mutant, Mutation},
};

/// Rows read at once, at the most.
const ROWS: usize = 1_000;
/// Of rows that take more than this the page ends; so it takes a row more than this at the most.
const BYTES: usize = 8 << 20;
/// Rows in hand of which a list is searched as fast as anything.
const FEW: usize = 32;
/// After so many pages a sweep begins again at the lowest id: rows below what it has read may have been committed
/// meanwhile.
const PAGES_AHEAD: u32 = 32;

/// What was handed to the producer and is not acknowledged yet.
pub(super) struct Batch {
    pub(super) ids: Vec<i64>,
    /// How many of each type.
    pub(super) types: HashMap<String, u64>,
    /// Whose rows they are: the hashes of their keys, as two that collide only wait for one another.
    keys: HashSet<u64>,
    /// The aggregate of the first row.
    pub(super) first: (String, String),
    /// How many rows were to go: the one that was refused at once is not among those taken.
    pub(super) offered: usize,
    /// How many rows waited up to the last of these: among so many is the one that was refused.
    pub(super) span: usize,
    pub(super) delivery: Delivery,
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

/// One pass over the outbox from its lowest id upwards: what was read and is not on its way yet.
///
/// All its pages show what its first one could have seen, and nothing that was committed since. Ids are drawn before their
/// transactions commit: a row may appear below the floor when the sweep has passed it, and a later row of its key,
/// written by the same transaction or by one that waited for it, above. The next sweep finds both, in their order.
pub(super) struct Sweep {
    /// Those of a key in the order of their ids, each with the hash of its key.
    waiting: Vec<(u64, PgRow)>,
    hashes: RandomState,
    floor: i64,
    /// Of its first page: the highest id, and which transactions had committed.
    seen: Option<(i64, String)>,
    pages: u32,
    /// The last page was full.
    more: bool,
    /// Rows that the log has, to be deleted with the next statement.
    pub(super) acknowledged: Vec<i64>,
}

impl Default for Sweep {
    fn default() -> Self {
        let (waiting, hashes) = (Vec::new(), RandomState::new());
        let acknowledged = Vec::new();
        Self { waiting, hashes, floor: 0, seen: None, pages: 0, more: true, acknowledged }
    }
}

impl Sweep {
    /// Whether to read on. Rows that wait for others of their keys hold up no more than half a page of other ones.
    pub(super) fn is_hungry(&self, caution: &Caution) -> bool {
        self.more && self.waiting.len() <= caution.limit() / 2
    }

    /// There may be more rows now: a sweep that has come to its end begins again.
    pub(super) fn read_on(&mut self, mutation: Mutation) {
        if !self.more || self.pages >= PAGES_AHEAD {
            let floor = if mutation.is(Mutant::LastSeenRelay) { self.floor } else { 0 };
            (self.floor, self.seen, self.pages) = (floor, None, 0);
        }
        self.more = true;
    }

    /// What a page would read anew of the rows that are in hand.
    fn in_hand(&self, under_way: &VecDeque<Batch>) -> sqlx::Result<Vec<i64>> {
        let under_way = under_way.iter().flat_map(|it| &it.ids);
        let mut ids: Vec<i64> = under_way.chain(&self.acknowledged).copied().collect();
        for (_, row) in &self.waiting {
            ids.push(row.try_get(column::OUTBOX_ID)?);
        }
        ids.retain(|it| *it > self.floor);
        Ok(ids)
    }

    /// Which of those that wait can go: the first one of each key that has none on its way.
    fn ready(&self, under_way: &VecDeque<Batch>, mutation: Mutation) -> Vec<usize> {
        let mut keys = HashSet::with_capacity(self.waiting.len());
        let mut is_free = |key: &u64| {
            mutation.is(Mutant::SkipLockedPool)
                || keys.insert(*key) && !under_way.iter().any(|it| it.keys.contains(key))
        };
        self.waiting.iter().enumerate().filter(|(_, (key, _))| is_free(key)).map(|(index, _)| index).collect()
    }
}

impl Caution {
    fn limit(&self) -> usize {
        if self.one_by_one > 0 { 1 } else { self.pages.rows }
    }
}

impl Relay {
    /// Reads the next page of rows above those that the sweep has seen; what is acknowledged goes with the same statement.
    pub(super) async fn read(
        &self,
        connection: &mut PgConnection,
        caution: &mut Caution,
        sweep: &mut Sweep,
        under_way: &VecDeque<Batch>,
    ) -> sqlx::Result<()> {
        // Not in mid-sweep, when the first row of the key is below the floor and the next one may be above it.
        if sweep.pages == 0 {
            caution.refused.retain(|_, until| *until > Instant::now());
        }
        if self.mutation.is(Mutant::SkipLockedPool) {
            self.delete(connection, sweep).await?;
            sqlx::raw_sql("begin").execute(&mut *connection).await?;
        }
        let limit = caution.limit();
        let wanted = Wanted {
            above: sweep.floor,
            seen: sweep.seen.as_ref(),
            in_hand: sweep.in_hand(under_way)?,
            acknowledged: std::mem::take(&mut sweep.acknowledged),
            limit,
        };
        let (rows, cut) = answered(PAGE, read(connection, caution, self.mutation, wanted)).await?;
        if rows.is_empty() && self.mutation.is(Mutant::SkipLockedPool) {
            sqlx::raw_sql("commit").execute(&mut *connection).await?;
        }
        if let (0, Some(row)) = (sweep.pages, rows.first()) {
            sweep.seen = Some((row.try_get(column::NEWEST)?, row.try_get(column::SNAPSHOT)?));
        }
        sweep.pages += 1;
        sweep.more = (cut || rows.len() == limit) && caution.one_by_one == 0;
        for row in rows {
            let key: (&str, &str) =
                (row.try_get(column::AGGREGATE_TYPE)?, row.try_get(column::AGGREGATE_ID)?);
            let key = sweep.hashes.hash_one(key);
            sweep.floor = row.try_get(column::OUTBOX_ID)?;
            sweep.waiting.push((key, row));
        }
        Ok(())
    }

    /// Deletes what is acknowledged, where nothing is read with it.
    pub(super) async fn delete(&self, connection: &mut PgConnection, sweep: &mut Sweep) -> sqlx::Result<()> {
        if sweep.acknowledged.is_empty() {
            return Ok(());
        }
        let delete = sqlx::query("delete from engine.outbox where outbox_id = any($1)")
            .bind(std::mem::take(&mut sweep.acknowledged))
            .execute(&mut *connection);
        answered(PAGE, delete).await?;
        // Of a pool each member holds what it publishes by the locks of its rows, and so in a transaction.
        if self.mutation.is(Mutant::SkipLockedPool) {
            sqlx::raw_sql("commit").execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// Gives the producer what can go of the rows that wait, in order.
    ///
    /// A key has one row on its way at a time. So nothing of a key is behind a row that the broker refuses, and
    /// whatever a relay that has lost its lock, or a connection that was given up, may still bring to the topic
    /// is a duplicate of the row with which the next one begins.
    pub(super) fn hand_over(
        &self,
        producer: &Producer,
        caution: &Caution,
        sweep: &mut Sweep,
        under_way: &VecDeque<Batch>,
    ) -> sqlx::Result<Option<Batch>> {
        let mut ready = sweep.ready(under_way, self.mutation);
        ready.truncate(caution.limit());
        let rows: Vec<_> = ready.iter().map(|index| &sweep.waiting[*index]).collect();
        let Some((_, first)) = rows.first() else { return Ok(None) };
        let first = (first.try_get(column::AGGREGATE_TYPE)?, first.try_get(column::AGGREGATE_ID)?);
        let records = rows.iter().map(|(_, row)| self.record(row)).collect::<sqlx::Result<Vec<_>>>()?;
        let delivery = producer.enqueue(records);
        // A producer that is full takes the rest when there is room.
        let taken = delivery.taken;
        let (ids, keys, types) = (Vec::with_capacity(taken), HashSet::with_capacity(taken), HashMap::new());
        let span = ready.last().map_or(0, |it| it + 1);
        let mut batch = Batch { ids, types, keys, first, offered: rows.len(), span, delivery };
        for (key, row) in &rows[..taken] {
            batch.ids.push(row.try_get(column::OUTBOX_ID)?);
            batch.keys.insert(*key);
            let name: &str = row.try_get(column::TYPE)?;
            match batch.types.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(batch.types.insert(name.to_owned(), 1)),
            }
        }
        let mut gone = ready[..taken].iter().peekable();
        let mut index = 0;
        sweep.waiting.retain(|_| {
            let stays = gone.next_if_eq(&&index).is_none();
            index += 1;
            stays
        });
        Ok(Some(batch))
    }

    fn record<'r>(&self, row: &'r PgRow) -> sqlx::Result<Record<'r>> {
        let text = |at: usize| row.try_get::<Option<&'r str>, _>(at).map(|it| it.map(Cow::Borrowed));
        let topic = topics::name(&self.prefix, row.try_get(column::AGGREGATE_TYPE)?);
        let payload: Option<&'r [u8]> = row.try_get(column::PAYLOAD)?;
        if let Some(headers) = row.try_get::<Option<&str>, _>(column::HEADERS)? {
            let mirrored = dead_letter::mirrored_record(topic.into(), headers, payload.map(Cow::Borrowed));
            return mirrored.map_err(|error| sqlx::Error::Decode(error.into()));
        }
        let key: &'r str = row.try_get(column::AGGREGATE_ID)?;
        let event = CloudEvent {
            id: row.try_get(column::EVENT_ID)?,
            source: format!("/waybill/{}", self.service).into(),
            r#type: Cow::Borrowed(row.try_get::<&'r str, _>(column::TYPE)?),
            subject: Some(Cow::Borrowed(key)),
            time: row.try_get(column::OCCURRED_AT)?,
            sequence: row.try_get(column::SEQUENCE)?,
            correlation_id: row.try_get(column::CORRELATION_ID)?,
            causation_id: row.try_get(column::CAUSATION_ID)?,
            actor: text(column::ACTOR)?,
            trace: Trace {
                parent: text(column::TRACEPARENT)?,
                state: text(column::TRACESTATE)?,
                baggage: text(column::BAGGAGE)?,
            },
            data: Cow::Borrowed(payload.unwrap_or_default()),
        };
        Ok(event.into_record(topic.into(), Cow::Borrowed(key)))
    }
}

/// The columns of a page, in the order in which it selects them.
mod column {
    pub(super) const OUTBOX_ID: usize = 0;
    pub(super) const EVENT_ID: usize = 1;
    pub(super) const AGGREGATE_TYPE: usize = 2;
    pub(super) const AGGREGATE_ID: usize = 3;
    pub(super) const TYPE: usize = 4;
    pub(super) const SEQUENCE: usize = 5;
    pub(super) const OCCURRED_AT: usize = 6;
    pub(super) const CORRELATION_ID: usize = 7;
    pub(super) const CAUSATION_ID: usize = 8;
    pub(super) const ACTOR: usize = 9;
    pub(super) const TRACEPARENT: usize = 10;
    pub(super) const TRACESTATE: usize = 11;
    pub(super) const BAGGAGE: usize = 12;
    pub(super) const HEADERS: usize = 13;
    pub(super) const PAYLOAD: usize = 14;
    /// Of a sweep's first page, the same in every row: the highest id, and the snapshot.
    pub(super) const NEWEST: usize = 15;
    pub(super) const SNAPSHOT: usize = 16;
}

/// Which rows a page asks for, and which are to be deleted before.
struct Wanted<'a> {
    above: i64,
    /// None for the first page of a sweep.
    seen: Option<&'a (i64, String)>,
    in_hand: Vec<i64>,
    acknowledged: Vec<i64>,
    limit: usize,
}

/// The wanted rows that are not in hand, of aggregates that are not held back; and whether there were more than fit.
///
/// One statement has one snapshot, which still shows the rows that it deletes: they are among those in hand.
async fn read(
    connection: &mut PgConnection,
    caution: &mut Caution,
    mutation: Mutation,
    wanted: Wanted<'_>,
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
    let delete = match wanted.acknowledged.is_empty() {
        true => "",
        false => match wanted.seen {
            None => "with gone as (delete from engine.outbox where outbox_id = any($6))",
            Some(_) => "with gone as (delete from engine.outbox where outbox_id = any($8))",
        },
    };
    let (news, seen) = match wanted.seen {
        None => ("(select max(outbox_id) from engine.outbox), (select pg_current_snapshot()::text)", ""),
        Some(_) => ("null, null", "and outbox_id <= $6 and pg_visible_in_snapshot(xact, $7::pg_snapshot)"),
    };
    // In a plan that is kept an array is searched from its beginning for each row; a table of hashes is made for each page.
    let not_in_hand = match wanted.in_hand.len() {
        0..=FEW => "outbox_id <> all($5)",
        _ => "outbox_id not in (select unnest($5))",
    };
    let sql = format!(
        "{delete} select outbox_id, event_id, aggregate_type, aggregate_id, type, sequence, occurred_at,
             correlation_id, causation_id, actor, traceparent, tracestate, baggage, headers, payload, {news}
         from engine.outbox
         where outbox_id > $1 {seen} and (cardinality($2::text[]) = 0 or {held_back})
             and (cardinality($5::bigint[]) = 0 or {not_in_hand})
         order by outbox_id limit $4 {lock}"
    );
    let mut read = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(wanted.above)
        .bind(types)
        .bind(ids)
        .bind(wanted.limit as i64)
        .bind(wanted.in_hand);
    if let Some((newest, snapshot)) = wanted.seen {
        read = read.bind(newest).bind(snapshot);
    }
    if !wanted.acknowledged.is_empty() {
        read = read.bind(wanted.acknowledged);
    }
    let mut read = read.fetch(connection);
    let (mut rows, mut bytes, mut cut): (Vec<PgRow>, _, _) = (Vec::new(), 0, false);
    while let Some(row) = read.try_next().await? {
        // Read to the end all the same: a statement that stands still while the log is waited for keeps vacuum from
        // all that is deleted meanwhile.
        if bytes > BYTES {
            cut = true;
            continue;
        }
        let payload: Option<&[u8]> = row.try_get(column::PAYLOAD)?;
        bytes += payload.map_or(0, <[u8]>::len);
        rows.push(row);
    }
    drop(read);
    caution.pages.note(rows.len(), bytes, cut);
    Ok((rows, cut))
}
