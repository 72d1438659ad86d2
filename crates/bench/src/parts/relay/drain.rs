//! How fast an outbox is emptied, by what arrives on the topic.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{fill, naive};
use crate::{
    figures::Figures,
    parts::{
        counter::PUBLISHES,
        machine::{Machine, Service},
        published::Published,
    },
    usage::Usage,
};

/// How an outbox is emptied.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::parts) enum Way {
    Ours,
    AwaitEach,
    RowByRow,
}

/// An outbox to be emptied.
#[derive(Debug, Clone, Copy)]
pub(in crate::parts) struct Drain {
    pub(in crate::parts) way: Way,
    pub(in crate::parts) rows: u32,
}

/// A naive relay has so many times fewer rows, or nobody would wait for it.
const FEWER: u32 = 50;
const FEWEST: u32 = 2_000;
/// How often it is looked how far it is. What a look costs is in the account of the broker and of this process.
const LOOKS: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(600);

/// How many records there were at a moment.
struct Look {
    at: Instant,
    records: u64,
    usage: Usage,
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Way::Ours => "ours",
            Way::AwaitEach => "await-each",
            Way::RowByRow => "row-by-row",
        }
    }
}

impl Drain {
    pub(super) fn of_its_size(self) -> Self {
        match self.way {
            Way::Ours => self,
            _ => Self { rows: (self.rows / FEWER).max(FEWEST), ..self },
        }
    }

    /// Fills an outbox and lets it be emptied; what that took, and whether all of it is on the topic.
    pub(in crate::parts) async fn run(
        self,
        machine: &Machine,
        name: &str,
    ) -> anyhow::Result<(Figures, Vec<String>)> {
        let service = machine.service(name).await?;
        fill(&service, self.rows).await?;
        let topic = service.topic(PUBLISHES);
        let figures = match self.way {
            Way::Ours => {
                let engine = service.run(|it| it == "relay");
                let figures = self.watched(machine, &topic).await?;
                // The last pages are acknowledged before they are deleted.
                self.emptied(&service).await?;
                engine.stop().await?;
                figures
            }
            way => {
                let relay = naive::run(service.settings.clone(), topic.clone(), way == Way::RowByRow);
                let relay = AbortOnDropHandle::new(tokio::spawn(relay));
                let ended = async { relay.await? };
                tokio::try_join!(self.watched(machine, &topic), ended)?.0
            }
        };
        let published = Published::read(&machine.bus, &topic).await?;
        Ok((figures, published.failures(name, self.rows.into())))
    }

    async fn emptied(self, service: &Service) -> anyhow::Result<()> {
        let empty = "select (not exists (select from engine.outbox order by outbox_id limit 1))::int::bigint";
        service.until(empty, 1).await
    }

    /// Looks at the topic until all rows are on it.
    async fn watched(self, machine: &Machine, topic: &str) -> anyhow::Result<Figures> {
        let (begun, mut looks) = (Instant::now(), Vec::<Look>::new());
        while looks.last().is_none_or(|it| it.records < self.rows.into()) {
            ensure!(begun.elapsed() < PATIENCE, "{topic} has not got {} records in {PATIENCE:?}", self.rows);
            sleep(LOOKS).await;
            // A topic that is new has no leaders for a moment: then nothing was seen.
            let Ok(records) = machine.records(topic).await else { continue };
            looks.push(Look { at: Instant::now(), records, usage: machine.components.usage()? });
        }
        let counts: Vec<u64> = looks.iter().map(|it| it.records).collect();
        let (first, last) = part(&counts, self.rows.into());
        let [first, last] = [first, last].map(|it| &looks[it]);
        let count = last.records - first.records;
        let mut figures = Figures::default();
        figures.put("rate", count as f64 / (last.at - first.at).as_secs_f64(), "/s");
        let spent = last.usage.since(&first.usage);
        figures.put_cpu(&spent, count as f64 / 1_000.0, "1,000");
        Ok(figures)
    }
}

/// From which look to which: between two at which it was under way, a count is exact however rare looks are. From the
/// last look before it, or to the first after it, if it was too fast for that.
fn part(counts: &[u64], all: u64) -> (usize, usize) {
    let end = counts.iter().position(|it| *it >= all).unwrap_or(counts.len() - 1);
    let begun = counts.iter().position(|it| *it > 0).unwrap_or(end);
    match () {
        () if end >= begun + 2 => (begun, end - 1),
        () if end > begun => (begun, end),
        () => (end.saturating_sub(1), end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_lies_between_looks_at_which_it_was_under_way() {
        assert_eq!(part(&[0, 0, 10, 50, 90, 100], 100), (2, 4));
        assert_eq!(part(&[0, 30, 100], 100), (1, 2));
        assert_eq!(part(&[0, 0, 100], 100), (1, 2));
        assert_eq!(part(&[0, 30, 60, 101], 100), (1, 2));
    }

    #[test]
    fn a_naive_relay_has_fewer_rows() {
        let rows = |way, rows| Drain { way, rows }.of_its_size().rows;
        assert_eq!(rows(Way::Ours, 1_000_000), 1_000_000);
        assert_eq!((rows(Way::RowByRow, 1_000_000), rows(Way::AwaitEach, 20_000)), (20_000, FEWEST));
    }
}
