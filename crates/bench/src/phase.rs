//! The figures of one phase of a load.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    figures::{Figures, Latencies},
    observe::{Observed, Order, Sample},
};

/// What a backlog may grow by in the course of a phase, as a share of the orders due meanwhile: more is a trend.
const GROWTH: f64 = 0.005;
/// And beyond that: chance, and what is under way for a tenth of a second.
const CHANCE: f64 = 10.0;

/// How long what is under way may take after the last order, or event, of so much time was due.
pub(crate) fn longest_drain(lasts: Duration) -> Duration {
    Duration::from_secs(1) + lasts / 10
}

/// What a backlog may grow by in so many seconds.
pub(crate) fn allowed(rate: f64, seconds: f64) -> f64 {
    CHANCE + rate * (0.1 + GROWTH * seconds)
}

impl Observed {
    fn within(&self, phase: usize) -> std::ops::Range<Duration> {
        self.plan.begins(phase)..self.plan.begins(phase + 1)
    }

    /// The accepted orders that were due in a phase.
    pub(crate) fn due_in(&self, phase: usize) -> impl Iterator<Item = &Order> {
        let within = self.within(phase);
        self.orders.iter().filter(move |it| within.contains(&it.due))
    }

    /// Orders that were due, have not failed, and are not where they are followed to.
    pub(crate) fn under_way(&self, it: &Sample) -> f64 {
        let done = if self.plan.to_the_end { it.ended } else { it.placed };
        it.due.saturating_sub(it.failed + done) as f64
    }

    /// How many orders came in a phase to where they are followed to.
    fn done_in(&self, phase: usize) -> usize {
        let ended = |it: &Order| it.ended.as_ref().map(|it| it.0);
        if self.plan.to_the_end { self.count_in(phase, ended) } else { self.accepted_in(phase) }
    }

    /// How many were accepted in a phase, whenever they were due.
    fn accepted_in(&self, phase: usize) -> usize {
        self.count_in(phase, |it| Some(it.answered))
    }

    fn count_in(&self, phase: usize, at: impl Fn(&Order) -> Option<Duration>) -> usize {
        let within = self.within(phase);
        self.orders.iter().filter_map(at).filter(|it| within.contains(it)).count()
    }

    /// How many orders that were due in a phase have failed, by what they were told.
    fn failed_in(&self, phase: usize) -> BTreeMap<&str, usize> {
        let (within, mut kinds) = (self.within(phase), BTreeMap::new());
        let failed = self.failed.iter().filter(|it| within.contains(&it.due));
        failed.for_each(|it| *kinds.entry(it.what.as_str()).or_default() += 1);
        kinds
    }

    /// How many orders that were due in a phase have ended otherwise than they were to, by how they were to and how they did.
    fn otherwise(&self, phase: usize) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for it in self.due_in(phase) {
            match &it.ended {
                Some((_, outcome)) if outcome.name() != it.end => {
                    *kinds.entry(format!("{}, not {}", outcome.name(), it.end)).or_default() += 1;
                }
                _ => {}
            }
        }
        kinds
    }

    /// The mean backlog over a part of a phase, 0 to 1.
    pub(crate) fn backlog(&self, phase: usize, from: f64, to: f64) -> f64 {
        let within = self.within(phase);
        let lasts = within.end - within.start;
        let part = within.start + lasts.mul_f64(from)..within.start + lasts.mul_f64(to);
        let all = self.samples.iter().filter(|it| part.contains(&it.at)).map(|it| self.under_way(it));
        let (sum, count) = all.fold((0.0, 0.0), |(sum, count), it| (sum + it, count + 1.0));
        sum / f64::max(count, 1.0)
    }

    /// How many orders that were due in a phase are not where they are followed to, although they were waited for.
    pub(crate) fn unended(&self, phase: usize) -> usize {
        self.due_in(phase).filter(|it| self.plan.to_the_end && it.ended.is_none()).count()
    }

    /// Nothing of it is under way any more. Of a request that has failed nobody knows whether its order is.
    pub(crate) fn is_settled(&self) -> bool {
        self.drained.is_some() && self.failed.is_empty()
    }

    /// What the promised latency is of: that of confirmation, or of the answer where orders are not followed.
    fn promised(&self) -> &'static str {
        if self.plan.to_the_end { "confirmed" } else { "answered" }
    }

    /// What went wrong with orders that were due in a phase.
    fn wrong(&self, phase: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        let errors = self.failed_in(phase);
        if !errors.is_empty() {
            wrong.push(format!("errors: {errors:?}"));
        }
        let unended = self.unended(phase);
        if unended > 0 {
            wrong.push(format!("{unended} orders have not ended"));
        }
        let otherwise = self.otherwise(phase);
        if !otherwise.is_empty() {
            wrong.push(format!("orders ended otherwise than they were to: {otherwise:?}"));
        }
        wrong
    }

    /// Why a phase's rate was more than the suite keeps up, all reasons; `Ok` if it was not.
    pub(crate) fn sustained(&self, phase: usize) -> Result<(), String> {
        let (asked, mut reasons) = (&self.plan.phases[phase], self.wrong(phase));
        let accepted = self.due_in(phase).count();
        if accepted == 0 {
            reasons.push("no order was accepted".to_owned());
        }
        let seconds = asked.lasts.as_secs_f64();
        // Of orders that are not followed the first event is all that is published.
        let published = self.cuts[phase + 1].messages.saturating_sub(self.cuts[phase].messages);
        let late = accepted as f64 - published as f64;
        if !self.plan.to_the_end && late > allowed(asked.rate, seconds) {
            reasons.push(format!("the outbox grew by {late:.0} events"));
        }
        let growth = self.backlog(phase, 2.0 / 3.0, 1.0) - self.backlog(phase, 0.0, 1.0 / 3.0);
        if growth > allowed(asked.rate, seconds / 1.5) {
            reasons.push(format!("the backlog grew by {growth:.0} orders"));
        }
        let (name, bound) = (self.promised(), self.plan.bound.as_secs_f64() * 1_000.0);
        let latency = self.latencies(phase).into_iter().find(|it| it.0 == name);
        let p99 = latency.map_or(0.0, |it| it.1.quantile_ms(0.99));
        if p99 > bound {
            reasons.push(format!("{name} p99 is {p99:.0} ms, more than {bound:.0} ms"));
        }
        let (most, is_last) = (longest_drain(asked.lasts), phase + 1 == self.plan.phases.len());
        match self.drained {
            _ if !is_last => {}
            Some(took) if took <= most => {}
            Some(took) => reasons.push(format!("it took {took:.1?} to drain")),
            None => reasons.push("it did not drain".to_owned()),
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
    }

    /// Why those of the phases from `first` on that were more than the suite keeps up were so.
    pub(crate) fn overloads(&self, first: usize) -> Vec<String> {
        (first..self.plan.phases.len()).filter_map(|it| self.overload(it)).collect()
    }

    /// Why a phase was more than the suite keeps up, if it was.
    pub(crate) fn overload(&self, phase: usize) -> Option<String> {
        let why = self.sustained(phase).err()?;
        let it = &self.plan.phases[phase];
        Some(format!("{}: {:.0}/s is not sustained: {why}", it.name, it.rate))
    }

    /// What went wrong in a phase that is meant to be more than the suite keeps up, if something did.
    pub(crate) fn mishap(&self, phase: usize) -> Option<String> {
        let wrong = self.wrong(phase);
        (!wrong.is_empty()).then(|| format!("{}: {}", self.plan.phases[phase].name, wrong.join("; ")))
    }

    /// Everything that is told of a phase.
    pub(crate) fn figures(&self, phase: usize) -> Figures {
        let (asked, mut figures) = (&self.plan.phases[phase], Figures::default());
        let seconds = asked.lasts.as_secs_f64();
        let (placed, done) = (self.due_in(phase).count(), self.done_in(phase));
        figures.put("lasted", seconds, "s");
        figures.put("orders accepted", placed as f64, "");
        figures.put("rate asked for", asked.rate, "/s");
        figures.put("rate accepted", self.accepted_in(phase) as f64 / seconds, "/s");
        figures.put("rate done", done as f64 / seconds, "/s");
        figures.put("sustained", f64::from(u8::from(self.sustained(phase).is_ok())), "");
        let errors = self.failed_in(phase);
        figures.put("errors", errors.values().sum::<usize>() as f64, "");
        errors.into_iter().for_each(|(what, count)| figures.put(format!("error {what}"), count as f64, ""));
        figures.put("not ended", self.unended(phase) as f64, "");
        figures.put("under way", self.backlog(phase, 0.0, 1.0), "");
        for (name, latencies) in self.latencies(phase) {
            figures.put_latencies(&name, &latencies);
        }
        for (outcome, count) in self.outcomes(phase) {
            figures.put(format!("orders {outcome}"), count as f64, "");
        }
        let (from, to) = (&self.cuts[phase], &self.cuts[phase + 1]);
        figures.put_cpu(&to.usage.since(&from.usage), done as f64, "order");
        // Of a phase in which none is done (a consumer is away) there is nothing of each.
        if done > 0 {
            let each = |from: u64, to: u64| to.saturating_sub(from) as f64 / done as f64;
            figures.put("messages", each(from.messages, to.messages), "/order");
            figures.put("WAL", each(from.wal, to.wal), "B/order");
        }
        if let Some(drained) = self.drained.filter(|_| phase + 1 == self.plan.phases.len()) {
            figures.put("drained after", drained.as_secs_f64(), "s");
        }
        figures
    }

    /// How many orders that were due in a phase have ended in which way.
    fn outcomes(&self, phase: usize) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        let ended = self.due_in(phase).filter_map(|it| it.ended.as_ref());
        ended.for_each(|(_, outcome)| *counts.entry(outcome.name()).or_default() += 1);
        counts
    }

    /// All latencies of the orders that were due in a phase, from when they were due, by name.
    pub(crate) fn latencies(&self, phase: usize) -> Vec<(String, Latencies)> {
        let (mut late, mut answer, mut confirmed, mut end) = Default::default();
        let mut by_outcome: BTreeMap<&str, Latencies> = BTreeMap::new();
        let record = |of: &mut Latencies, from: Duration, to: Duration| of.record(to.saturating_sub(from));
        for it in self.due_in(phase) {
            record(&mut late, it.due, it.sent);
            record(&mut answer, it.due, it.answered);
            if let Some(at) = it.confirmed {
                record(&mut confirmed, it.due, at);
            }
            if let Some((at, outcome)) = &it.ended {
                record(&mut end, it.due, *at);
                record(by_outcome.entry(outcome.name()).or_default(), it.due, *at);
            }
        }
        let all = [("sent", late), ("answered", answer), ("confirmed", confirmed), ("ended", end)];
        let all = all.into_iter().chain(by_outcome).map(|(name, it)| (name.to_owned(), it));
        let followed = |name: &str| self.plan.to_the_end || matches!(name, "sent" | "answered");
        all.filter(|(name, _)| followed(name)).collect()
    }
}

#[cfg(test)]
mod tests;
