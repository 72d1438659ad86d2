use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use anyhow::Context;
use bus::{Envelope, Received, TopicInfo};
use events::Aggregate;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Counters, History, Key, ReadPast, cuts::Cuts, service, told};
use crate::{Sources, carrier, law::Law, report::Verdicts, seen::Leg};

/// For how long a record that is on the topic is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
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

/// Reads a topic up to the ends in `info`; what the services have read `past` lies before them.
pub(super) async fn read(
    sources: &Sources,
    past: &ReadPast,
    cuts: Cuts,
    info: &TopicInfo,
    aggregate: Aggregate,
    counters: &Counters,
    verdicts: &mut Verdicts,
) -> anyhow::Result<OnTopic> {
    let mut left: BTreeMap<i32, i64> =
        info.partitions.iter().filter(|it| it.low < it.high).map(|it| (it.id, it.high)).collect();
    let from: Vec<_> = info.partitions.iter().map(|it| (info.name.as_str(), it.id, it.low)).collect();
    let mut on_topic = OnTopic::nothing(cuts);
    let mut reader = sources.bus.reader(&from)?;
    while !left.is_empty() {
        let polled = timeout(PATIENCE, reader.poll(BATCH, GATHER)).await;
        let records = polled.context("no record comes")??;
        past.check(sources, aggregate, &records, verdicts).await?;
        for record in records {
            let Some(high) = left.get(&record.partition).copied() else { continue };
            if record.offset < high {
                on_topic.take(&record, aggregate, counters, verdicts);
            }
            if record.offset + 1 >= high {
                left.remove(&record.partition);
            }
        }
    }
    reader.close().await;
    Ok(on_topic)
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
        if let Err(disorder) = history.note(sequence, id, cut, self.cuts.compacted) {
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
