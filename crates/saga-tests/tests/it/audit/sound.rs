//! A sound suite breaks no law.

use std::collections::HashSet;

use ::load::{EVERYTHING, Load, Pace};
use bus::topics;
use saga_tests::suite::SERVICES;
use testkit::eventually;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, Processes, look, under_way};
use crate::{all_have_ended, setting};

/// Orders to every end, a process killed meanwhile: nothing is broken at any moment, and in the end all is judged.
/// More by `ORDERS=20000`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_suite_breaks_no_law_at_any_moment() {
    let mut suite = Processes::start().await;
    let orders = setting("ORDERS", 400);
    EVERYTHING.stock(&suite.target(), orders).await.expect("stock");
    let (sources, enough) = (suite.sources(), CancellationToken::new());
    let looking = tokio::spawn({
        let enough = enough.clone();
        async move {
            let mut looks = Vec::new();
            while !enough.is_cancelled() {
                looks.push(look(&sources).await);
            }
            looks
        }
    });

    let load = Load::begin(&suite.target(), EVERYTHING, Pace::Clients(32), orders).expect("a load");
    eventually(10 * PATIENCE, "orders come in", async || match load.accepted() {
        count if count >= orders / 2 => Ok(()),
        count => Err(format!("{count} accepted")),
    })
    .await;
    suite.kill("payment").await;
    suite.restart("payment");
    let tally = load.done().await;
    all_have_ended(&suite, &tally, 10 * PATIENCE).await;
    enough.cancel();
    let looks = looking.await.expect("an auditor that can look");
    let (last, read) = (look(&suite.sources()).await, topics_read(&suite).await);
    suite.finish().await;

    assert!(looks.iter().any(under_way), "{looks:#?}");
    assert_eq!(last.orders.values().sum::<u64>(), tally.accepted.len() as u64, "none is left out");
    for report in looks.iter().chain([&last]) {
        eprintln!(
            "{} ms, {:?}, {} in flight, {:?}",
            report.took_ms, report.orders, report.in_flight, report.findings
        );
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
    }
    for (service, topics) in read {
        let expected = audit::reads(service).iter().map(|it| it.name().to_owned()).collect();
        assert_eq!(topics, expected, "what {service} reads is what its marks wait for");
    }
}

/// The topics in which each service has committed offsets.
async fn topics_read(suite: &Processes) -> Vec<(&'static str, HashSet<String>)> {
    let prefix = topics::name(&suite.prefix, "");
    let names: Vec<String> = topics::plan(&suite.prefix, &SERVICES).into_iter().map(|it| it.name).collect();
    let mut read = Vec::new();
    for service in SERVICES {
        let progress = suite.bus.progress(&format!("{prefix}{service}"), &names).await.expect("progress");
        let committed = progress.iter().filter(|it| it.committed.is_some());
        read.push((service, committed.map(|it| it.topic.replace(&prefix, "")).collect()));
    }
    read
}
