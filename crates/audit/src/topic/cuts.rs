//! What retention has taken from a topic. That a partition has lost its beginning excuses only keys that are older than
//! what is left of it: all that was ever said of a younger one was written after that.

use std::time::Duration;

use bus::TopicInfo;
use events::Aggregate;
use uuid::Uuid;

use super::Key;

/// Where the partitions of a topic begin.
#[derive(Debug)]
pub(super) struct Cuts {
    /// Compaction keeps the last word on a key, retention the last of all words.
    pub(super) compacted: bool,
    /// Ids carry the clock of the machine that made them: so far apart these may be.
    clocks: Duration,
    partitions: Vec<Beginning>,
}

#[derive(Debug)]
struct Beginning {
    id: i32,
    lost: bool,
    /// When the first event that it holds was made; nothing is known of an empty one.
    oldest: Option<Duration>,
}

impl Cuts {
    pub(super) fn of(info: &TopicInfo, aggregate: Aggregate, clocks: Duration) -> Self {
        let beginning =
            |it: &bus::topics::PartitionInfo| Beginning { id: it.id, lost: it.low > 0, oldest: None };
        let partitions = info.partitions.iter().map(beginning).collect();
        Self { compacted: aggregate == Aggregate::Product, clocks, partitions }
    }

    /// Takes the next event of a partition.
    pub(super) fn note(&mut self, partition: i32, event: Uuid) {
        if let Some(it) = self.partitions.iter_mut().find(|it| it.id == partition) {
            it.oldest = it.oldest.or_else(|| made_at(event));
        }
    }

    /// Whether a partition may have lost events of this key.
    pub(super) fn may_lack(&self, partition: i32, key: &Key) -> bool {
        let Some(it) = self.partitions.iter().find(|it| it.id == partition) else { return self.compacted };
        let born = key.order().and_then(made_at);
        let young = it.oldest.zip(born).is_some_and(|(oldest, born)| born > oldest + self.clocks);
        self.compacted || it.lost && !young
    }

    /// The same for a key of which the topic may hold nothing: of the partition that the relay writes it to.
    pub(super) fn may_have_forgotten(&self, key: &Key) -> bool {
        let hash = murmur2(key.to_string().as_bytes()) & 0x7fff_ffff;
        let partition = hash.checked_rem(self.partitions.len() as u32).unwrap_or(0);
        self.may_lack(partition as i32, key)
    }
}

/// `None`: the id does not tell.
fn made_at(id: Uuid) -> Option<Duration> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Some(Duration::new(seconds, nanoseconds))
}

/// The hash by which Java's producers, and ours as `murmur2_random`, choose a key's partition
/// (`org.apache.kafka.common.utils.Utils`).
fn murmur2(bytes: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    for word in words {
        let word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ (word ^ word >> 24).wrapping_mul(MIX);
    }
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(MIX);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(MIX);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use bus::topics::PartitionInfo;
    use uuid::{NoContext, Timestamp};

    use super::*;

    const DAY: u64 = 86_400;
    const CLOCKS: Duration = Duration::from_secs(600);
    const NOW: u64 = 1_800_000_000;

    fn made(seconds: u64) -> Uuid {
        Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0))
    }

    /// Of a topic of one partition, whose oldest event was made so long ago; `None`: it is empty.
    #[track_caller]
    fn check(low: i64, oldest: Option<u64>, order: Uuid, expected: bool) {
        let partitions = vec![PartitionInfo { id: 0, low, high: 9 }];
        let info = TopicInfo { name: "waybill.order".into(), partitions };
        let mut cuts = Cuts::of(&info, Aggregate::Order, CLOCKS);
        if let Some(ago) = oldest {
            cuts.note(0, made(NOW - ago));
            cuts.note(0, made(NOW));
        }
        assert_eq!(cuts.may_have_forgotten(&Key::Order(order)), expected);
        assert_eq!(cuts.may_lack(0, &Key::Order(order)), expected);
    }

    #[test]
    fn retention_excuses_what_is_older_than_what_it_has_left() {
        let (old, young) = (made(NOW - 8 * DAY), made(NOW - 60));
        check(5, Some(7 * DAY), old, true);
        check(5, Some(7 * DAY), young, false);
        check(0, Some(7 * DAY), old, false);
        check(0, None, old, false);
        // Clocks differ.
        check(5, Some(90), young, true);
        // Nothing tells what the partition has held, or when the order was placed.
        check(5, None, young, true);
        check(5, Some(7 * DAY), Uuid::new_v4(), true);
    }

    #[test]
    fn each_partition_excuses_its_own_keys() {
        let partitions = [0, 7, 7].into_iter().zip(0..);
        let partitions = partitions.map(|(low, id)| PartitionInfo { id, low, high: 9 }).collect();
        let mut cuts =
            Cuts::of(&TopicInfo { name: "waybill.order".into(), partitions }, Aggregate::Order, CLOCKS);
        cuts.note(1, made(NOW - 2 * DAY));
        cuts.note(2, made(NOW - DAY / 2));
        let order = Key::Order(made(NOW - DAY));
        assert_eq!([0, 1, 2].map(|it| cuts.may_lack(it, &order)), [false, false, true]);
    }

    /// Kafka's own test vectors (org.apache.kafka.common.utils.UtilsTest).
    #[test]
    fn a_key_is_looked_for_where_a_producer_puts_it() {
        for (key, expected) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }
}
