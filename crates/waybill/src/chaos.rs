//! `waybill chaos`: breaks a suite of its own, and proves the books.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use audit::number;
use chaos::{Caught, Ground, KINDS, Report, Selection, Setup, Wanted};

use crate::{
    audit::time,
    exit::{Interrupted, Misused},
    output::{Steps, say, table, writable, write},
    signals::Stops,
};

/// Break a suite in every way while orders are placed, then prove that money, stock and orders are conserved.
///
/// Everything runs on a Kafka and a Postgres of its own, beside whatever else runs here. The same seed has the same
/// plan. Exit code 0: every fault took hold, the suite recovered from each, and the audit is clean; 130: interrupted.
#[derive(clap::Args)]
pub(crate) struct Chaos {
    /// What the plan and the orders are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long orders are placed, at least: `90s`, `5m`. They are until the last fault is over.
    #[arg(long, default_value = "5m", value_parser = duration)]
    duration: Duration,
    /// `all`, `families` (one fault of each family), or kinds and families, separated by commas; see `--list`. A plan that
    /// has no `rewind` gets one at its end, so that there are duplicates to be dropped.
    #[arg(long, default_value = "all")]
    faults: String,
    /// Orders a second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    rate: u32,
    /// Where to write the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the report as a page for a browser.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Instead: programs with one defence taken out, each of which has to be caught; all, or those named.
    #[arg(long, value_name = "NAMES", num_args = 0..=1, default_missing_value = "all", conflicts_with_all = ["html", "faults", "duration", "rate"])]
    mutants: Option<String>,
    /// Only say which faults there are.
    #[arg(long)]
    list: bool,
}

pub(crate) async fn run(chaos: Chaos) -> anyhow::Result<()> {
    if chaos.list {
        let row = |name: &str, family: &str, about: &str| [name, family, about].map(str::to_owned).to_vec();
        let mut rows = vec![row("fault", "family", "what it does")];
        rows.extend(KINDS.iter().map(|it| row(it.name, it.family, it.about)));
        table(&rows);
        return Ok(());
    }
    let mut stops = Stops::new()?;
    tokio::select! {
        done = async {
            match &chaos.mutants {
                Some(names) => hunt(&chaos, names).await,
                None => strike(&chaos).await,
            }
        } => done,
        // The servers and programs have ended with the run, which is dropped by now.
        () = stops.next() => Err(Interrupted.into()),
    }
}

fn setup() -> anyhow::Result<Setup> {
    let program = env::current_exe().context("finding this program")?;
    let programs = program.parent().context("this program has no directory")?.to_owned();
    Ok(Setup { programs, env: chaos::usual_env() })
}

async fn strike(chaos: &Chaos) -> anyhow::Result<()> {
    let mut faults: Selection = chaos.faults.parse().map_err(|it: anyhow::Error| Misused(it.to_string()))?;
    let steps = Steps::begin();
    let left_out = chaos::possible(&mut faults).map_err(|it| Misused(it.to_string()))?;
    writable(chaos.json.as_deref(), chaos.html.as_deref())?;
    for (name, why) in &left_out {
        steps.done("left out", format_args!("{name}: {why}"));
    }
    say!("{:>8}", "elapsed");
    let ground = Arc::new(Ground::lay(faults.needs_disks()).await?);
    steps.done("servers", "a Kafka and a Postgres of their own, behind proxies");
    let wanted = Wanted {
        seed: chaos.seed,
        duration: chaos.duration,
        rate: chaos.rate,
        faults,
        left_out: left_out.into_iter().map(|(name, why)| format!("{name}: {why}")).collect(),
        mutant: None,
        twins: false,
        mix: None,
        setup: setup()?,
    };
    let report = chaos::run(ground.clone(), &wanted, &|line| steps.done("", line)).await;
    let mut report = report.inspect_err(|_| drop(keep_logs(chaos, &ground)))?;
    if !report.passed() {
        report.logs = keep_logs(chaos, &ground);
    }
    // All three are done, whichever of them fails.
    conclude(&report)
        .and(write(chaos.json.as_deref(), || Ok(serde_json::to_string_pretty(&report)?)))
        .and(write(chaos.html.as_deref(), || Ok(chaos::page(&report))))
}

/// The servers' directories go with this process: keeps the logs of what did not pass beside the report, if there is
/// one, and says where.
fn keep_logs(chaos: &Chaos, ground: &Ground) -> Option<PathBuf> {
    let report = chaos.json.as_ref().or(chaos.html.as_ref());
    let beside = report.and_then(|it| it.parent()).map_or_else(env::temp_dir, Path::to_owned);
    match ground.keep_logs(&beside, chaos.seed) {
        Ok(kept) => {
            say!("logs         {}", kept.display());
            Some(kept)
        }
        // What they are kept for has to be told all the same.
        Err(error) => {
            say!("logs         cannot be kept: {error:#}");
            None
        }
    }
}

fn conclude(report: &Report) -> anyhow::Result<()> {
    say!("\n{}", report.figures);
    if let Some(audit) = &report.audit {
        let checked: u64 = audit.laws.iter().map(|it| it.checked).sum();
        let violations: u64 = audit.laws.iter().map(|it| it.violations).sum();
        let [laws, violations] = [number(audit.laws.len() as u64, "law"), number(violations, "violation")];
        say!("audit        {laws}, {}, {violations}", number(checked, "check"));
        for it in audit.violations.iter().take(20) {
            say!("violated     {it:#}");
        }
    }
    let proven = report.faults.iter().filter(|it| it.proof.is_some()).count();
    say!("faults       {proven} of {} took hold", report.faults.len());
    for kind in &report.left_out {
        say!("left out     {kind}");
    }
    say_failures(report);
    match report.passed() {
        true => {
            say!("\nseed {} passed", report.seed);
            Ok(())
        }
        false => {
            bail!("seed {} failed: {}, see above", report.seed, number(report.failures.len(), "reason"))
        }
    }
}

fn say_failures(report: &Report) {
    for failure in &report.failures {
        say!("FAILED       {failure}");
    }
}

async fn hunt(chaos: &Chaos, names: &str) -> anyhow::Result<()> {
    let mutants = chaos::mutants(names).map_err(|it| Misused(it.to_string()))?;
    chaos::check_breakable()?;
    writable(chaos.json.as_deref(), chaos.html.as_deref())?;
    let steps = Steps::begin();
    say!("{:>8}", "elapsed");
    let ground = Arc::new(Ground::lay(false).await?);
    let (mut all, mut wrong): (Vec<Caught>, usize) = (Vec::new(), 0);
    for mutant in mutants {
        steps.done(mutant.name, mutant.about);
        let setup = setup()?;
        let caught =
            chaos::hunt(ground.clone(), mutant, chaos.seed, setup, &|line| steps.done("", line)).await;
        let mut caught = caught.inspect_err(|_| drop(keep_logs(chaos, &ground)))?;
        steps.done(mutant.name, caught.by.as_deref().unwrap_or("not caught"));
        if mutant.is_sound() {
            say_failures(&caught.report);
        }
        if !mutant.is_as_it_should(&caught) {
            caught.report.logs = keep_logs(chaos, &ground);
            wrong += 1;
        }
        all.push(caught);
        // Each time, so that what was found is there whatever becomes of the next one.
        write(chaos.json.as_deref(), || Ok(serde_json::to_string_pretty(&all)?))?;
    }
    say_caught(&all);
    if wrong > 0 {
        bail!("{wrong} of {} were not as they should be", all.len());
    }
    Ok(())
}

/// What became of each mutant.
fn say_caught(all: &[Caught]) {
    let mut rows =
        vec![["mutant", "what is wrong with it", "caught after", "by"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|it| {
        let (after, by) = match &it.by {
            Some(by) => (format!("{:.1} s", it.after_ms as f64 / 1_000.0), by.clone()),
            None => ("-".into(), "not caught".into()),
        };
        vec![it.name.clone(), it.about.clone(), after, by.chars().take(160).collect()]
    }));
    say!("");
    table(&rows);
}

/// A time that a run can take.
fn duration(text: &str) -> Result<Duration, String> {
    let all = Duration::from_secs(1)..=Duration::from_secs(86_400);
    let given = time(text)?;
    all.contains(&given).then_some(given).ok_or_else(|| "expected a time from 1 s to a day".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        let seconds = |text| duration(text).map(|it| it.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("5m"), Ok(300));
        assert_eq!(seconds("1h"), Ok(3_600));
        assert_eq!(seconds("7"), Ok(7));
        for wrong in ["", "m", "5d", "-1s", "0s", "99999999999999999999h", "25h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
