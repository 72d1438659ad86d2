//! Every workload of the parts, small: that it measures what it says, and that its books balance.

use bench::{Bench, figures::Figures, output::Report};
use clap::Parser;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    bench: Bench,
}

/// Runs a workload, which must pass, with a figure of that name above zero in every run.
async fn run(args: &str, positive: &[&str]) -> Report {
    let cli = Cli::parse_from(["bench"].into_iter().chain(args.split(' ')));
    let done = bench::run(&cli.bench.workload(), "/nowhere".into(), &|_| (), std::future::pending()).await;
    let report = done.expect(args).expect("nobody stops it");
    // Shown if the test fails.
    report.rows().iter().for_each(|row| eprintln!("{}", row.join(" | ")));
    assert_eq!(report.failures, Vec::<String>::new());
    for run in &report.runs {
        for name in positive {
            let value = run.figures.get(name);
            assert!(value.is_some_and(|it| it > 0.0), "{args}, {}: {name} is {value:?}", run.name);
        }
    }
    report
}

fn names(report: &Report) -> Vec<&str> {
    report.runs.iter().map(|it| it.name.as_str()).collect()
}

#[track_caller]
fn figure(figures: &Figures, name: &str) -> f64 {
    figures.get(name).unwrap_or_else(|| panic!("no figure {name}: {figures:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_alone() {
    let report = run("relay --rows 20000 --rates 200 --seconds 3", &["rate", "cpu total"]).await;
    assert_eq!(names(&report), ["drain", "200/s"]);
    let steady = &report.runs[1].figures;
    assert_eq!(figure(steady, "refused"), 0.0);
    // An event is decided after it was due, and its command is answered after that.
    let ways = ["answered to reader p50", "decided to reader p50", "due to reader p50"];
    assert!(ways.map(|it| figure(steady, it)).is_sorted(), "{steady:?}");
    assert!(figure(steady, "due to answered p50") > 0.0, "{steady:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_beside_naive_ones() {
    let report = run("relay --rows 20000 --rounds 1 --compare", &["rate", "cpu total"]).await;
    assert_eq!(names(&report), ["ours", "await-each", "row-by-row"]);
    let slower = report.ratios.iter().filter(|it| it.figure == "rate" && it.to == "ours" && it.max < 0.5);
    assert_eq!(slower.count(), 2, "{:?}", report.ratios);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_alone() {
    let report = run("consume --messages 2000 --duplicates 50,100 --keys 1,100", &["rate"]).await;
    assert_eq!(names(&report).len(), 4, "{:?}", names(&report));
    let report = run("consume --messages 1000 --keys 100 --compare --rounds 2", &["rate"]).await;
    assert_eq!(names(&report), ["batch=500", "batch=100", "batch=1"]);
    let rates: Vec<_> = report.ratios.iter().filter(|it| it.figure == "rate").collect();
    assert!(rates.len() == 2 && rates.iter().all(|it| it.rounds.len() == 2), "{:?}", report.ratios);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_beside_their_ceilings() {
    let asked = "ceilings --rounds 1 --rows 20000 --messages 3000 --seconds 1 --clients 8";
    let report = run(asked, &["rate"]).await;
    let expected = ["relay", "bare producer", "consumer", "bare inserts", "ingest", "bare handler"];
    assert_eq!(names(&report), expected);
    let ratios: Vec<_> = report.ratios.iter().map(|it| (it.of.as_str(), it.to.as_str())).collect();
    for [ours, ceiling] in expected.as_chunks().0 {
        assert!(ratios.contains(&(ours, ceiling)), "{ratios:?}");
    }
}
