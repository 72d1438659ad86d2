use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use anyhow::ensure;
use bus::{Envelope, Received, TopicInfo};
use events::Aggregate;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Counters, History, Key, ReadPast, cuts::Cuts, service, told};
use crate::{Sources, carrier, law::Law, report::Verdicts, seen::Leg};

/// After so long without a record it is looked whether there is one at all, and so often until that is given up.
const QUIET: Duration = Duration::from_secs(1);
const LOOKS: u32 = 30;
const BATCH: usize = 5_000;
/// Each batch is looked for in the inboxes: the fewer, the better.
const GATHER: Duration = Duration::from_millis(5);

/// What a topic holds.
pub(super) struct OnTopic {
    pub(super) cuts: Cuts,
    pub(super) histories: HashMap<Key, History>,
    /// The last event of each key beyond its counter, and where it is.
    pub(super) beyond: BTreeMap<Key, (i64, String)>,
}

/// What is left to be read of each partition: the next offset, and the end.
type Left = BTreeMap<i32, (i64, i64)>;

/// Reads a topic up to the ends in `info`; what the services have read `past` lies before them. As the services do, it is
/// given only what is committed: what a foreign transaction keeps back is waited for.
pub(super) async fn read(
    sources: &Sources,
    past: &ReadPast,
    cuts: Cuts,
    info: &TopicInfo,
    aggregate: Aggregate,
    counters: &Counters,
    verdicts: &mut Verdicts,
) -> anyhow::Result<OnTopic> {
    let held = info.partitions.iter().filter(|it| it.low < it.high);
    let mut left: Left = held.map(|it| (it.id, (it.low, it.high))).collect();
    let from: Vec<_> = info.partitions.iter().map(|it| (info.name.as_str(), it.id, it.low)).collect();
    let mut on_topic = OnTopic::nothing(cuts);
    let mut reader = sources.bus.reader(&from)?;
    let (mut quiet_since, mut looks) = (Instant::now(), 0);
    while !left.is_empty() {
        let records = match timeout(QUIET, reader.poll(BATCH, GATHER)).await {
            Ok(polled) => polled?,
            Err(_) => Vec::new(),
        };
        if !records.is_empty() {
            past.check(sources, aggregate, &records, verdicts).await?;
        }
        for record in records {
            let Some((next, high)) = left.get_mut(&record.partition) else { continue };
            if record.offset < *high {
                on_topic.take(&record, aggregate, counters, verdicts);
            }
            *next = record.offset + 1;
            (quiet_since, looks) = (Instant::now(), 0);
        }
        if quiet_since.elapsed() > QUIET {
            pass_gaps(sources, info, &mut left).await?;
            (quiet_since, looks) = (Instant::now(), looks + 1);
        }
        left.retain(|_, (next, high)| next < high);
        ensure!(left.is_empty() || looks < LOOKS, "{}", missing(info, &left));
    }
    reader.close().await;
    Ok(on_topic)
}

/// At the end of a partition may be what no reader is given, such as the markers of transactions.
async fn pass_gaps(sources: &Sources, info: &TopicInfo, left: &mut Left) -> anyhow::Result<()> {
    let from = left.iter().map(|(partition, (next, _))| (*partition, *next)).collect();
    for (partition, past) in sources.bus.past_gaps(&info.name, from).await? {
        left.entry(partition).and_modify(|(next, _)| *next = past);
    }
    Ok(())
}

/// Which partition gives nothing, and where.
fn missing(info: &TopicInfo, left: &Left) -> String {
    let one = |(partition, (next, high)): (&i32, &(i64, i64))| {
        format!("{}/{partition} goes up to {high}, and gives no record from {next} on", info.name)
    };
    let all: Vec<String> = left.iter().map(one).collect();
    format!("{}; a transaction that is still open would keep them back", all.join(", "))
}

impl OnTopic {
    pub(super) fn nothing(cuts: Cuts) -> Self {
        Self { cuts, histories: HashMap::new(), beyond: BTreeMap::new() }
    }

    pub(super) fn take(
        &mut self,
        record: &Received,
        aggregate: Aggregate,
        counters: &Counters,
        verdicts: &mut Verdicts,
    ) {
        let Some((key, sequence, id, name, leg)) = ours(record, aggregate) else {
            verdicts.ignored_records += 1;
            return;
        };
        verdicts.carried.extend(leg);
        let position = || format!("{} sequence {sequence}", told(record, &name, Some(id)));
        if sequence > counters.get(&key).copied().unwrap_or(0) {
            let last = self.beyond.entry(key.clone()).or_default();
            if sequence > last.0 {
                *last = (sequence, position());
            }
        }
        let subject = key.subject();
        self.cuts.note(record.partition, id);
        let cut = self.cuts.may_lack(record.partition, &key);
        let history = self.histories.entry(key).or_default();
        if let Err(disorder) =
            history.note((sequence, id), &(&name, &record.payload), cut, self.cuts.compacted)
        {
            verdicts.violate(Law::Sequence, subject, vec![position()], format!("{aggregate}: {disorder}"));
        }
    }
}

/// Key, sequence, id, type, and the leg that a carrier has carried a parcel on.
type Ours = (Key, i64, Uuid, String, Option<Leg>);

/// An event of the service whose topic this is. What others have put there, poison for
/// one, is not the relay's.
fn ours(record: &Received, aggregate: Aggregate) -> Option<Ours> {
    let event = Envelope::open(record).and_then(Envelope::read).ok()?;
    if event.source.strip_prefix("/waybill/") != Some(service(aggregate)) {
        return None;
    }
    let key = Key::parse(aggregate, std::str::from_utf8(record.key.as_deref()?).ok()?)?;
    let leg = carrier::carried(&event).filter(|_| aggregate == Aggregate::Shipping);
    Some((key, event.sequence?, event.id, event.r#type.into_owned(), leg))
}
