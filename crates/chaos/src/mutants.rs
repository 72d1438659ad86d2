//! Programs with one defence taken out, each of which has to be caught.

use std::{sync::Arc, time::Duration};

use load::{EVERYTHING, Mix};
use serde::Serialize;

use crate::{
    Ground, Setup,
    report::Report,
    run::{Tell, Wanted, run},
    usual_env,
};

/// A defect, and what brings it out.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// The value of `WAYBILL_MUTANT`, see `engine::Mutant`.
    pub name: &'static str,
    pub about: &'static str,
    faults: &'static str,
    /// Cancellations of a thousand orders.
    cancels: u32,
    /// Payment methods, if not all of them.
    tokens: Option<&'static [(&'static str, u32)]>,
    env: &'static [(&'static str, &'static str)],
}

/// What has become of a mutant.
#[derive(Debug, Clone, Serialize)]
pub struct Caught {
    pub name: String,
    pub about: String,
    /// What it was caught by; none if it was not.
    pub by: Option<String>,
    /// How soon, from the first order on.
    pub after_ms: u64,
    pub report: Report,
}

const LONGEST: Duration = Duration::from_secs(60);
const RATE: u32 = 60;

const REFUNDS: &[(&str, u32)] =
    &[("pm_card_visa", 200), ("pm_card_pendingRefund", 400), ("pm_card_refundFail", 400)];
const LOST_ANSWERS: &[(&str, u32)] = &[
    ("pm_card_visa", 500),
    ("pm_card_timeoutAfterWork", 50),
    ("pm_card_serverErrorAfterWork", 250),
    ("pm_card_cutConnection", 200),
];

/// All of them.
pub const MUTANTS: [Mutant; 10] = [
    mutant("offset-before-commit", "offsets are stored before the transaction", "kill-stuck"),
    mutant("no-inbox", "event ids are not remembered", "rewind"),
    mutant(
        "last-seen-relay",
        "the relay reads on from the last id it saw",
        "idle-in-transaction,backend-storm",
    ),
    mutant("skip-locked-pool", "relays publish side by side", "churn"),
    Mutant {
        cancels: 500,
        ..mutant("past-failed-delivery", "the relay goes on past a refused record of its key", "refusal")
    },
    Mutant {
        cancels: 600,
        ..mutant(
            "no-tombstone",
            "a compensation that comes before its action leaves nothing behind",
            "freeze",
        )
    },
    Mutant {
        tokens: Some(LOST_ANSWERS),
        ..mutant("no-idempotency-key", "the provider is asked again under another key", "cut")
    },
    Mutant {
        env: &[("RESERVATION_TTL_SECS", "1")],
        ..mutant(
            "expiry-without-lock",
            "stock runs out by what was read without a lock",
            "idle-in-transaction,slow",
        )
    },
    mutant("redrive-out-of-order", "the letters of a key are run again in reverse", "poison"),
    Mutant {
        tokens: Some(REFUNDS),
        cancels: 500,
        env: &[("CARRIER_DELAY_MS", "5000")],
        ..mutant("refund-on-request", "a refund is called done when it is asked for", "cut")
    },
];

const fn mutant(name: &'static str, about: &'static str, faults: &'static str) -> Mutant {
    Mutant { name, about, faults, cancels: EVERYTHING.cancels, tokens: None, env: &[] }
}

/// Runs one mutant until it is caught, or its time is over.
pub async fn hunt(
    ground: Arc<Ground>,
    mutant: &Mutant,
    seed: u64,
    setup: Setup,
    tell: Tell<'_>,
) -> anyhow::Result<Caught> {
    let mix =
        Mix { cancels: mutant.cancels, tokens: mutant.tokens.unwrap_or(EVERYTHING.tokens), ..EVERYTHING };
    let mut env = usual_env();
    env.extend(setup.env);
    env.extend(mutant.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    env.push(("WAYBILL_MUTANT".into(), mutant.name.into()));
    let wanted = Wanted {
        seed,
        duration: LONGEST,
        rate: RATE,
        faults: mutant.faults.parse()?,
        left_out: Vec::new(),
        mutant: Some(mutant.name.into()),
        mix: Some(mix),
        setup: Setup { env, ..setup },
    };
    let report = run(ground, &wanted, tell).await?;
    let (by, after_ms) = match (&report.first, report.failures.first()) {
        (Some(first), _) => (Some(format!("{}: {}", first.law, first.text)), first.at_ms),
        (None, failure) => (failure.cloned(), report.took_ms),
    };
    Ok(Caught { name: mutant.name.into(), about: mutant.about.into(), by, after_ms, report })
}
