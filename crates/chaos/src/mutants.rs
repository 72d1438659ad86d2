//! Programs with one defence taken out, each of which has to be caught.

use std::{sync::Arc, time::Duration};

use anyhow::bail;
use audit::Law;
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
    /// What it breaks: nothing else counts.
    pub(crate) laws: &'static [Law],
    faults: &'static str,
    /// Cancellations of a thousand orders.
    cancels: u32,
    /// Payment methods, if not all of them.
    tokens: Option<&'static [(&'static str, u32)]>,
    env: &'static [(&'static str, &'static str)],
    /// Whether each service is there twice from the beginning.
    twins: bool,
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

/// All of them; and before them a build with nothing wrong, which must not be caught.
static MUTANTS: [Mutant; 11] = [
    mutant(SOUND, "nothing: a control, which must not be caught", &Law::ALL, "churn,rewind,freeze"),
    mutant(
        "offset-before-commit",
        "offsets are stored before the transaction",
        &[Law::Consumed, Law::Ends],
        "kill-stuck",
    ),
    mutant("no-inbox", "event ids are not remembered", &[Law::Consumed], "rewind"),
    mutant(
        "last-seen-relay",
        "the relay reads on from the last id it saw",
        &[Law::Sequence, Law::Published],
        "idle-in-transaction,backend-storm",
    ),
    Mutant {
        cancels: 600,
        twins: true,
        ..mutant(
            "skip-locked-pool",
            "relays publish side by side",
            &[Law::Sequence],
            "broker-kill,broker-pause",
        )
    },
    Mutant {
        cancels: 500,
        ..mutant(
            "past-failed-delivery",
            "the relay goes on past a refused record of its key",
            &[Law::Sequence],
            "refusal",
        )
    },
    Mutant {
        cancels: 600,
        ..mutant(
            "no-tombstone",
            "a compensation that comes before its action leaves nothing behind",
            &[Law::Ends, Law::Cancelled, Law::Compensated],
            "freeze",
        )
    },
    Mutant {
        tokens: Some(LOST_ANSWERS),
        ..mutant(
            "no-idempotency-key",
            "the provider is asked again under another key",
            &[Law::ChargedOnce],
            "cut",
        )
    },
    Mutant {
        env: &[("RESERVATION_TTL_SECS", "1")],
        ..mutant(
            "expiry-without-lock",
            "stock runs out by what was read without a lock",
            &[Law::Sequence, Law::Caused, Law::Stock, Law::Delivered],
            "idle-in-transaction,slow",
        )
    },
    mutant(
        "redrive-out-of-order",
        "the letters of a key are run again in reverse",
        &[Law::Redriven],
        "poison",
    ),
    Mutant {
        tokens: Some(REFUNDS),
        cancels: 500,
        env: &[("CARRIER_DELAY_MS", "5000")],
        ..mutant("refund-on-request", "a refund is called done when it is asked for", &[Law::Provider], "cut")
    },
];

/// The control: no defence is taken out.
const SOUND: &str = "none";

impl Mutant {
    /// Whether what became of it is as it should be. The control has to pass as any run has to: if it fails without a
    /// law broken, the mutants may have been caught by what is wrong with the machine.
    pub fn is_as_it_should(&self, caught: &Caught) -> bool {
        match self.is_sound() {
            true => caught.by.is_none() && caught.report.passed(),
            false => caught.by.is_some(),
        }
    }

    /// Whether nothing is wrong with it.
    pub fn is_sound(&self) -> bool {
        self.name == SOUND
    }
}

const fn mutant(
    name: &'static str,
    about: &'static str,
    laws: &'static [Law],
    faults: &'static str,
) -> Mutant {
    Mutant { name, about, laws, faults, cancels: EVERYTHING.cancels, tokens: None, env: &[], twins: false }
}

/// The mutants of these names, separated by commas, in the order in which they are hunted: all of them, the control too,
/// where `all` is among the names.
pub fn mutants(names: &str) -> anyhow::Result<Vec<&'static Mutant>> {
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    if let Some(wrong) = names.iter().find(|it| **it != "all" && !MUTANTS.iter().any(|of| of.name == **it)) {
        let known: Vec<&str> = MUTANTS.iter().map(|it| it.name).collect();
        bail!("no mutant `{wrong}`; known are all, {}", known.join(", "));
    }
    let has_all = names.contains(&"all");
    Ok(MUTANTS.iter().filter(|it| has_all || names.contains(&it.name)).collect())
}

/// Runs one mutant until it is caught, or its time is over.
pub async fn hunt(
    ground: Arc<Ground>,
    mutant: &'static Mutant,
    seed: u64,
    setup: Setup,
    tell: Tell<'_>,
) -> anyhow::Result<Caught> {
    let report = run(ground, &wanted(mutant, seed, setup)?, tell).await?;
    // By its law alone: a run may also fail for other reasons, which prove nothing.
    let at_once = report.first.iter().map(|it| (&it.violation, it.at_ms));
    let at_rest = report.audit.iter().flat_map(|it| &it.violations).map(|it| (it, report.took_ms));
    let caught = at_once.chain(at_rest).find(|it| mutant.laws.contains(&it.0.law));
    let after_ms = caught.map_or(report.took_ms, |it| it.1);
    let by = caught.map(|it| format!("{:#}", it.0));
    Ok(Caught { name: mutant.name.into(), about: mutant.about.into(), by, after_ms, report })
}

/// The run that brings a mutant's defect out.
fn wanted(mutant: &'static Mutant, seed: u64, setup: Setup) -> anyhow::Result<Wanted> {
    let mix =
        Mix { cancels: mutant.cancels, tokens: mutant.tokens.unwrap_or(EVERYTHING.tokens), ..EVERYTHING };
    let mut env = usual_env();
    env.extend(setup.env);
    env.extend(mutant.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    if !mutant.is_sound() {
        env.push(("WAYBILL_MUTANT".into(), mutant.name.into()));
    }
    Ok(Wanted {
        seed,
        duration: LONGEST,
        rate: RATE,
        faults: mutant.faults.parse()?,
        left_out: Vec::new(),
        mutant: Some(mutant),
        twins: mutant.twins,
        mix: Some(mix),
        setup: Setup { env, ..setup },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mutant: &'static Mutant, by: Option<&str>, failures: &[&str], expected: bool) {
        let setup = Setup { programs: "nowhere".into(), env: Vec::new() };
        let wanted = wanted(mutant, 1, setup).unwrap();
        let began = ("2026-01-01T00:00:00Z".to_owned(), 60_000);
        let mut report = Report::new(&wanted, "chaos-1", began, Vec::new(), None);
        report.failures = failures.iter().map(|it| (*it).to_owned()).collect();
        let (name, about) = (mutant.name.to_owned(), mutant.about.to_owned());
        let caught = Caught { name, about, by: by.map(str::to_owned), after_ms: 0, report };
        assert_eq!(mutant.is_as_it_should(&caught), expected, "{caught:?}");
    }

    #[test]
    fn all_among_the_names_is_all_of_them_and_the_control() {
        let names = |text| mutants(text).map(|all| all.iter().map(|it| it.name).collect::<Vec<_>>());
        let all: Vec<&str> = MUTANTS.iter().map(|it| it.name).collect();
        for text in ["all", "all,none", "none, all", "all,no-inbox"] {
            assert_eq!(names(text).unwrap(), all, "{text}");
        }
        assert_eq!(names("no-inbox,none").unwrap(), ["none", "no-inbox"]);
        for text in ["gremlin", "all,gremlin", ""] {
            let error = names(text).unwrap_err().to_string();
            assert!(error.starts_with("no mutant `") && error.contains("known are all, none, "), "{error}");
        }
    }

    #[test]
    fn a_mutant_is_to_be_caught_whatever_else_fails() {
        let [_, mutant, ..] = &MUTANTS;
        check(mutant, Some("a law"), &["the law", "no duplicate was dropped"], true);
        check(mutant, None, &["no duplicate was dropped"], false);
        check(mutant, None, &[], false);
    }

    #[test]
    fn the_control_is_to_pass() {
        let [control, ..] = &MUTANTS;
        check(control, None, &[], true);
        check(control, None, &["rewind of order: order-1 is not ready"], false);
        check(control, Some("a law"), &["the law"], false);
    }
}
