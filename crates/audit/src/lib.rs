//! The auditor: whether a running suite keeps its conservation laws, under load too.
//!
//! It only reads: the four databases, the topics, the provider's ledger. What it says is never "after enough time":
//!
//! 1. *Within one database* a law is judged in one snapshot. Every transaction that commits keeps it, so it is exact
//!    at any moment.
//! 2. *Outbox and topics*: first the snapshots with the aggregates' counters and the outboxes, then the topics' ends,
//!    then the topics up to there. Whatever is counted and no longer in the outbox was on the topic before the ends
//!    were read. What the topic has beyond the counters must be covered by a later look at them.
//! 3. *Topics and inboxes*: before everything else the groups' committed offsets. An offset is stored after the commit
//!    that puts the event's id into the inbox, so what lies before it is there in any later look, or a dead letter. What
//!    a service handles its own decider says, not its inbox: one that is never written is found too. Ids of days that
//!    an inbox has dropped are not asked for.
//! 4. *Across services* facts are only added to, and effects are looked at before their causes: order, shipping,
//!    payment, inventory, ledger. What an early look shows must have its cause in a later one.
//! 5. *The end* of an order that has settled is told to the others by what is committed already, yet maybe unread. An
//!    order that does not fit is a suspect. Marks are set: all that is in the outboxes is published, and all that is
//!    then on the topics is read by every group. Once they are passed the suspects alone are looked at again, and what
//!    is wrong still is a violation. Marks that are not passed in time are a finding, and no suspect is judged.
//! 6. *An order stands still* if it is the same before the marks and after them and no service has anything for it:
//!    nothing to publish or to ask, no deadline, no parcel that a person may move. Whatever happens leaves a higher count or
//!    something to do in the look that follows. Parked dead letters explain it, and are a finding.
//!    So is a parcel without a deadline where a carrier moves others by theirs; where people do, such are counted.
//!
//! Where a partition has lost its beginning to retention, the orders that are older than what is left of it are judged
//! from where their events begin, or counted as forgotten if none are left; of a younger order all are expected. Of an
//! emptied partition nothing tells how much was lost, and all its orders count as old; so do, for their sake, those
//! placed within ten minutes of its oldest record. Of a compacted topic only the last word on a key is expected. A topic
//! that was given more partitions cannot be judged: its keys have moved.
//!
//! *What events say* is compared where it is there twice: an order's stored events with its row and with the ids that were
//! published, what a log has again with what it had before. That a service's event says what it should is its own tests'.
//!
//! *What no service writes* into a row (a word, a count, a currency that is none) is a violation of that row, and the look
//! goes on; of an order whose status nobody knows nothing else is judged.
//!
//! *After an upgrade* by which a service handles a type of event that it skipped before, what it has rightly skipped is
//! told as not consumed, until the topics' retention has taken it: who handled what when is written down nowhere.
//!
//! *What it costs*: an order takes 176 bytes, its events on the topic at hand 32 each, and what the
//! inboxes are asked for nothing. 20,000 orders of all kinds, with 267,000 events looked up in the inboxes: 8 to 11 s on
//! two cores that had other work (1.2 s of them its own), 180 MB at most, no snapshot longer than 0.3 s; release build.
//!
//! **Absent:** writing anything; repairs; a history of audits.

mod account;
mod answer;
mod carrier;
mod findings;
mod judge;
mod law;
mod ledger;
mod look;
mod marks;
mod readers;
mod report;
mod seen;
mod topic;
mod verdict;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::Context;
use bus::Bus;
use events::Timestamp;
use sqlx::PgPool;

pub use self::{
    account::{Account, Holds, Parcel, Payment, Standing, account},
    answer::pool,
    law::Law,
    ledger::Intent,
    readers::reads,
    report::{Checked, Finding, Kind, MOST, Report, Violation},
    topic::History,
    words::number,
};
use self::{look::Look, report::Verdicts, topic::ReadPast};

/// How every idempotency key begins under which a repair gives money back. An intent that is not payment's own and was
/// given back in full so is no longer held against the order.
pub const REPAIR_KEY: &str = "waybill-repair-";

/// The services, each with a database.
pub const SERVICES: [&str; 4] = ["order", "inventory", "payment", "shipping"];

/// What is looked at.
#[derive(Clone)]
pub struct Sources {
    /// By service, best each a [`pool`]. One connection of each is used at a time.
    pub databases: BTreeMap<&'static str, PgPool>,
    pub bus: Bus,
    pub topic_prefix: String,
    pub http: reqwest::Client,
    /// Where the provider's `/ledger` is.
    pub provider_url: String,
}

#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long what is committed may take to be published, and then to be read, before that is a finding.
    pub patience: Duration,
    /// How far apart the clocks may be that ids are made by. Where retention has taken the beginning of a partition, an
    /// order is expected to be there as a whole if it is younger by this than what is left.
    pub clocks: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { patience: Duration::from_secs(30), clocks: Duration::from_secs(600) }
    }
}

impl Sources {
    fn database(&self, service: &str) -> anyhow::Result<&PgPool> {
        self.databases.get(service).with_context(|| format!("no database of {service} is given"))
    }
}

/// Looks at everything once, and at what may be in flight again. `Err`: something could not be looked at, and
/// nothing is said of the laws.
pub async fn audit(sources: &Sources, options: &Options) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let mut verdicts = Verdicts::default();
    let past = ReadPast::look(sources).await?;
    let first = Look::take(sources, None, &mut verdicts).await?;
    verdict::at_once(&first, &mut verdicts);
    topic::check(sources, &past, &first, options.clocks, &mut verdicts).await?;
    let late = marks::pass(sources, options.patience).await?;
    let mut unsettled = BTreeSet::new();
    let in_flight = verdict::again(sources, &first, late.is_empty(), &mut verdicts, &mut unsettled).await?;
    findings::find(sources, &mut verdicts).await?;
    verdicts.findings.extend(late);
    verdict::name_events(sources, &mut verdicts).await?;
    let mut orders: BTreeMap<String, u64> = BTreeMap::new();
    for order in first.orders.values().filter_map(|it| it.order) {
        *orders.entry(format!("{:?}", order.status).to_lowercase()).or_default() += 1;
    }
    unsettled.retain(|it| verdicts.is_violated(*it));
    Ok(Report {
        as_of: first.as_of.unwrap_or(Timestamp::UNIX_EPOCH),
        took_ms: begun.elapsed().as_millis() as u64,
        orders,
        in_flight,
        ignored_records: verdicts.ignored_records,
        forgotten: verdicts.forgotten,
        awaiting_person: verdicts.awaiting_person,
        laws: verdicts.laws(),
        violations: verdicts.violations,
        findings: verdicts.findings,
        stale_rows: verdicts.stale_rows,
        unsettled,
    })
}
