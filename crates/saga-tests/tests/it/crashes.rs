//! Real processes that die between two steps, where no signal from outside would hit.

use std::{net::TcpListener, process::Command};

use ::load::{Load, PLAIN, Pace};
use bus::crash::Crash;
use nix::sys::signal::Signal;
use saga_tests::{Processes, processes::program};

use crate::{PATIENCE, all_have_ended};

/// Each point ends a service under load, and it is started again: every accepted order ends, and the laws hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_any_two_steps_costs_nothing() {
    let mut suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");

    let load = Load::begin(&suite.target(), PLAIN, Pace::PerSecond(20), usize::MAX).expect("a load");
    for (service, at, pass) in [
        // First, as the call that was answered is made again when its lease is over.
        ("payment", Crash::AfterAnswer, 5),
        ("inventory", Crash::AfterCommit, 5),
        ("order", Crash::AfterAck, 5),
        ("payment", Crash::MidBatch, 5),
        ("order", Crash::AfterCommand, 5),
        // Partitions are given.
        ("shipping", Crash::Rebalance, 1),
    ] {
        suite.arm(service, at, pass).await;
        suite.died_and_revived(service, at).await;
    }
    // Partitions are taken away.
    suite.arm("inventory", Crash::Rebalance, 2).await;
    suite.ready("inventory").await;
    suite.signal("inventory", Signal::SIGTERM);
    suite.died_and_revived("inventory", Crash::Rebalance).await;
    let tally = load.stop().await;

    eprintln!("crashes: {tally}");
    all_have_ended(&suite, &tally, 4 * PATIENCE).await;
    suite.finish().await;
}

/// What a process was told to be like, and cannot be, it must not seem to be: it does not even take its port.
#[test]
fn what_there_is_not_to_be_broken_is_refused_at_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (variable, value) in
        [("WAYBILL_MUTANT", "no-brakes"), ("WAYBILL_CRASH_AT", "lunch"), ("WAYBILL_CRASH_AT", "mid-batch:0")]
    {
        let mut payment = Command::new(program("waybill-payment"));
        payment.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none").env("HTTP_ADDR", &address);
        let output = payment.env(variable, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with(&format!("payment: {variable}={value}: ")), "{said}");
    }
}
