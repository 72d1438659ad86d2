//! What a run has come to.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use audit::{Violation, number};
use serde::Serialize;

use crate::{
    run::Wanted,
    suite::Exit,
    watch::{Counted, Sample},
};

/// One run of the fault machine. Times are in milliseconds since the load began.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub seed: u64,
    /// When it began, RFC 3339.
    pub began_at: String,
    pub took_ms: u64,
    /// The prefix of its topics and databases, and where its processes' logs are below `logs`.
    pub suite: String,
    /// Orders a second that were wanted.
    pub rate: u32,
    /// The defence that was taken out, if one was.
    pub mutant: Option<String>,
    pub faults: Vec<Struck>,
    /// Kinds of faults that this machine cannot do.
    pub left_out: Vec<String>,
    pub figures: Figures,
    pub samples: Vec<Sample>,
    /// The first violation that was seen while the load went on, where a mutant is hunted.
    pub first: Option<First>,
    pub audit: Option<audit::Report>,
    /// Why it did not pass; empty if it did.
    pub failures: Vec<String>,
    /// Where the logs were kept, of a run that did not pass; see [`Ground::keep_logs`](crate::Ground::keep_logs).
    pub logs: Option<PathBuf>,
}

/// A violation, and when it was seen.
#[derive(Debug, Clone, Serialize)]
pub struct First {
    pub at_ms: u64,
    #[serde(flatten)]
    pub violation: Violation,
}

/// A fault as it was.
#[derive(Debug, Clone, Serialize)]
pub struct Struck {
    pub kind: String,
    pub target: String,
    pub at_ms: u64,
    /// When it was mended.
    pub until_ms: u64,
    /// What shows that it took hold.
    pub proof: Option<String>,
    /// From its end until an order that was placed then was delivered.
    pub recovered_ms: Option<u64>,
    /// Why it did not take hold, or what did not recover.
    pub failure: Option<String>,
    /// Nobody asked for it: no other fault of the plan was sure to make duplicates, and they have to be dropped.
    pub added: bool,
}

/// Answers of one status that are a defect of the service's.
#[derive(Debug, Clone, Serialize)]
pub struct Defect {
    pub count: u64,
    /// What the first of them said.
    pub first: String,
}

/// What was done meanwhile.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Orders of the load that were accepted.
    pub accepted: u64,
    /// Orders that the fault machine has placed beside the load, to see what recovers and for poison.
    pub own: u64,
    /// Orders of the load that were due when it was stopped, and were not even begun: the suite could not keep up.
    pub unsent: u64,
    /// Orders by how they have ended; those that have not, by their status.
    pub ended: BTreeMap<String, u64>,
    pub counted: Counted,
    /// Records on the topics that repeat one that was there before: what relays have published again.
    pub published_again: u64,
    /// Errors that clients have seen, by kind.
    pub client_errors: BTreeMap<String, u64>,
    /// Those of them that no service gives on purpose, by status: how many, and what the first one said.
    pub defects: BTreeMap<u16, Defect>,
    /// Answers to repeated requests, and to cancellations by status.
    pub cancels: BTreeMap<u16, u64>,
    /// From when an order was due until it was accepted, all attempts included: an outage is in it.
    pub waited_ms: BTreeMap<&'static str, f64>,
    /// Of the last attempt alone, from its sending to its answer.
    pub answered_ms: BTreeMap<&'static str, f64>,
    /// Processes that have ended without being asked to.
    pub exits: Vec<Exit>,
    /// From the end of the load until nothing was left to do.
    pub rest_ms: Option<u64>,
}

impl Report {
    pub(crate) fn new(
        wanted: &Wanted,
        suite: &str,
        (began_at, took_ms): (String, u64),
        faults: Vec<Struck>,
        first: Option<First>,
    ) -> Self {
        Self {
            seed: wanted.seed,
            began_at,
            took_ms,
            suite: suite.to_owned(),
            rate: wanted.rate,
            mutant: wanted.mutant.map(|it| it.name.to_owned()),
            faults,
            left_out: wanted.left_out.clone(),
            figures: Figures::default(),
            samples: Vec::new(),
            first,
            audit: None,
            failures: Vec::new(),
            logs: None,
        }
    }

    /// What a look has shown; why it could not be taken is a reason not to pass.
    pub(crate) fn seen<T>(&mut self, otherwise: &str, look: anyhow::Result<T>) -> Option<T> {
        look.map_err(|error| self.failures.push(format!("{otherwise}: {error:#}"))).ok()
    }

    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl Struck {
    /// A fault that was struck and mended at these times, with its proof, and how long an order took then.
    pub(crate) fn of(
        (kind, target): (&str, String),
        (at_ms, until_ms): (u64, u64),
        proof: anyhow::Result<String>,
        recovered: anyhow::Result<Duration>,
    ) -> Self {
        let failure = proof.as_ref().err().or(recovered.as_ref().err()).map(|it| format!("{it:#}"));
        let recovered_ms = recovered.ok().map(|it| it.as_millis() as u64);
        let (kind, proof) = (kind.into(), proof.ok());
        Self { kind, target, at_ms, until_ms, proof, recovered_ms, failure, added: false }
    }

    /// Why it is there, if that is not because somebody asked for it.
    pub(crate) fn why_added(&self) -> &'static str {
        if self.added { "added to the plan, which had nothing that is sure to make duplicates; " } else { "" }
    }
}

/// What stands over faults that are told line by line. Their times are those of the load, as in the report.
pub(crate) fn heading() -> String {
    format!("{:>8}  {:<20} {:<24} {}", "in load", "fault", "hit", "proof that it took hold")
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f64();
        write!(f, "{:>6.1} s  {:<20} {:<24}", seconds(self.at_ms), self.kind, self.target)?;
        write!(f, " {}", self.why_added())?;
        if let Some(proof) = &self.proof {
            write!(f, "{proof}")?;
        }
        if let Some(recovered) = self.recovered_ms {
            write!(f, "; recovered after {:.1} s", seconds(recovered))?;
        }
        match &self.failure {
            Some(failure) => write!(f, " FAILED: {failure}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |all: &BTreeMap<String, u64>| {
            let one = |(name, count): (&String, &u64)| format!("{count} {name}");
            all.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let times = |all: &BTreeMap<&str, f64>| {
            let one = |name| all.get(name).map(|ms| format!("{name} {ms:.0} ms"));
            ["p50", "p99", "max"].into_iter().filter_map(one).collect::<Vec<_>>().join(", ")
        };
        writeln!(f, "accepted     {}, and {} of the fault machine's own", self.accepted, self.own)?;
        writeln!(
            f,
            "unsent       {} due and not begun when the load was stopped",
            number(self.unsent, "order")
        )?;
        writeln!(f, "ended        {}", list(&self.ended))?;
        writeln!(f, "duplicates   {} dropped by the inboxes", self.counted.duplicates_dropped)?;
        let published = number(self.counted.published, "record");
        writeln!(f, "published    {published}, {} of them again", self.published_again)?;
        writeln!(f, "parked       {}", number(self.counted.dead_letters_parked, "dead letter"))?;
        writeln!(f, "retries      {} of batches", self.counted.batches_begun_again)?;
        writeln!(
            f,
            "waited       {}, from when an order was due until it was accepted",
            times(&self.waited_ms)
        )?;
        writeln!(f, "POST         {}, of the last attempt alone", times(&self.answered_ms))?;
        writeln!(f, "clients saw  {}", list(&self.client_errors))?;
        for (status, Defect { count, first }) in &self.defects {
            writeln!(f, "defects      {} with {status}; {first}", number(*count, "answer"))?;
        }
        for exit in &self.exits {
            writeln!(f, "exited       {} by itself: {}", exit.name, exit.status)?;
        }
        match self.rest_ms {
            Some(ms) => write!(f, "at rest      {:.1} s after the last order", ms as f64 / 1_000.0),
            None => write!(f, "at rest      never"),
        }
    }
}
