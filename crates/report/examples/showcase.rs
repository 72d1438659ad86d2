//! A page with made-up data, to look at after a change: `cargo run -p report --example showcase -- page.html`.

use fastrand::Rng;
use report::{Bars, Page, Panel, Plot, Series, Span, Timeline};

const LANES: [&str; 7] = ["order", "inventory", "payment", "shipping", "kafka", "postgres", "psp"];
const FAULTS: [(&str, &str, f64); 8] = [
    ("kill", "kill -9", 0.0),
    ("kill", "kill -9, back after 5 s", 5.0),
    ("freeze", "SIGSTOP for 8 s", 8.0),
    ("stop", "SIGTERM and a new start", 3.0),
    ("network", "no packets to the database, in both directions", 12.0),
    ("slow", "slow disk", 15.0),
    ("duplicate", "20 events of the topic written again", 0.0),
    ("poison", "a record that nobody can read", 0.0),
];

/// Orders that come in and end while `count` faults happen in `seconds`.
fn run(title: &str, seed: u64, seconds: f64, count: usize) -> Timeline {
    let mut rng = Rng::with_seed(seed);
    let spans: Vec<Span> = (0..count).map(|_| fault(&mut rng, seconds)).collect();
    let samples = (0..(2.0 * seconds) as usize).map(|it| it as f64 / 2.0);
    let [mut accepted, mut ended, mut waiting, mut lag, mut errors] = [const { Vec::new() }; 5];
    let (mut outbox, mut behind) = (0.0_f64, 0.0_f64);
    for at in samples {
        let hit = |lane: &str| spans.iter().any(|it| it.lane == lane && it.from <= at && at < it.to + 1.0);
        let come = if hit("order") || hit("postgres") { 0.0 } else { 95.0 + 10.0 * rng.f64() };
        outbox += come * 0.5;
        let sent = if hit("kafka") { 0.0 } else { outbox.min(400.0) };
        (outbox, behind) = (outbox - sent, behind + sent);
        let done = if hit("payment") || hit("shipping") { 0.0 } else { behind.min(140.0 + 40.0 * rng.f64()) };
        behind -= done;
        accepted.push((at, come));
        ended.push((at, 2.0 * done * 0.97));
        waiting.push((at, outbox));
        lag.push((at, behind));
        errors.push((at, if come == 0.0 { 40.0 * rng.f64() } else { 0.0 }));
    }
    let panel = |title: &str, unit: &str, series| Panel { title: title.into(), unit: unit.into(), series };
    Timeline {
        title: title.into(),
        seconds,
        panels: vec![
            panel(
                "Orders",
                "per second",
                vec![Series::line("accepted", accepted), Series::line("ended", ended)],
            ),
            panel(
                "Waiting",
                "events",
                vec![Series::line("outbox", waiting), Series::line("lag of consumers", lag)],
            ),
            panel(
                "Requests without an answer",
                "per second",
                vec![Series::step("failed or refused", errors)],
            ),
        ],
        spans,
    }
}

fn fault(rng: &mut Rng, seconds: f64) -> Span {
    let (kind, label, usual) = FAULTS[rng.usize(0..FAULTS.len())];
    let from = rng.f64() * (seconds - usual);
    let lane = LANES[rng.usize(0..LANES.len())].into();
    Span { from, to: from + usual, lane, label: label.into(), kind: kind.into() }
}

fn latencies(name: &str, median: f64, tail: f64) -> Series {
    let quantiles = (0..=400).map(|it| 1.0 - 10_f64.powf(-f64::from(it) / 100.0));
    let value = |it: f64| median * (1.0 + 0.3 * it) + tail * it.powi(60);
    Series::line(name, quantiles.map(|it| (it, value(it))).collect())
}

fn cpu() -> Bars {
    let parts = ["inventory", "kafka", "load", "order", "payment", "postgres", "psp", "shipping"];
    let bar = |name: &str, times: f64| {
        let parts =
            parts.iter().zip(1..).map(|(part, index)| ((*part).to_owned(), times * f64::from(index) / 10.0));
        (name.to_owned(), parts.collect())
    };
    let bars =
        vec![bar("usual", 1.0), bar("batch=1", 4.5), bar("workers=2+partitions=12+OUTBOX_LIMIT=7", 1.3)];
    Bars { title: "CPU time by component".into(), unit: "CPU-ms/order".into(), bars }
}

fn main() -> std::io::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "showcase.html".into());
    let laws = [
        ("stock", "on hand + deducted = put there", "12,408", "0"),
        ("money", "at most one capture per order", "30,112", "0"),
        ("ends", "every accepted order reaches an end", "30,112", "2"),
    ];
    let latencies = vec![latencies("before", 4.0, 160.0), latencies("during faults", 6.0, 4_200.0)];
    let reasons = [
        "2 orders have not ended: 018f3b5c-1111-7222-8333-444455556666, 018f3b5c-2222-7222-8333-444455556666",
    ];
    let page = Page::new("Faults at 100 orders a second, seed 42")
        .text("40 faults in 5 minutes on 4 services, Kafka and Postgres, as planned by seed 42.")
        .verdict("Failed", false, reasons)
        .verdict("Passed", true, ["All 30,112 accepted orders have ended; all laws hold."])
        .table(&["law", "says", "checked", "violations"], laws.map(|it| [it.0, it.1, it.2, it.3]))
        .section("What happened when")
        .timeline(&run("40 faults in 5 minutes", 42, 300.0, 40))
        .timeline(&run("5 faults in 90 seconds", 7, 90.0, 5))
        .section("What it costs")
        .bars(&cpu())
        .section("Latency")
        .plot(&Plot::percentiles("POST /orders until it is accepted", "ms", latencies));
    std::fs::write(path, page.to_html())
}
