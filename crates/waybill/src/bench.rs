//! `waybill bench`: what an order costs and how long it takes.

use std::env;

use anyhow::{Context, bail};
pub(crate) use bench::Bench;
use bench::output::Report;

use crate::{
    exit::{Interrupted, Misused, Overloaded},
    output::{Steps, is_stdout, say, table, writable, write},
    signals::Stops,
};

pub(crate) async fn run(bench: Bench) -> anyhow::Result<()> {
    let workload = bench.workload();
    workload.check().map_err(|it| Misused(it.to_string()))?;
    let files = workload.files();
    writable(files.json.as_deref(), files.html.as_deref())?;
    let program = env::current_exe().context("finding this program")?;
    let programs = program.parent().context("this program has no directory")?.to_owned();
    let (mut stops, steps) = (Stops::new()?, Steps::beside(files.json.as_deref()));
    let tell = |line: &str| steps.done("", line);
    let report = bench::run(&workload, programs, &tell, stops.next()).await?.ok_or(Interrupted)?;
    if !files.json.as_deref().is_some_and(is_stdout) {
        tell_of(&report);
    }
    // Where one cannot be written there is still the other.
    let json = write(files.json.as_deref(), || Ok(serde_json::to_string_pretty(&report)?));
    write(files.html.as_deref(), || Ok(report.page())).and(json)?;
    if !report.passed() {
        bail!("the figures are not to be used, as the report says: {}", report.failures[0]);
    }
    report.overloads.first().map_or(Ok(()), |it| Err(Overloaded(it.clone()).into()))
}

fn tell_of(report: &Report) {
    say!("");
    for row in report.provenance.rows() {
        say!("{:<10} {}", row[0], row[1]);
    }
    say!("");
    table(&report.rows());
    for it in report.more() {
        say!("\n{}", it.title);
        table(&it.rows);
    }
    say!("");
    report.remarks().iter().for_each(|it| say!("{it}"));
}
