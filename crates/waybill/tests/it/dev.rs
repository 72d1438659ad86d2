//! The suite in one process.

use std::{fs::File, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::waybill::{Running, done, free_ports, processes_with, run, urls, waybill, within};

#[test]
fn an_order_goes_through_and_a_stop_leaves_nothing() {
    let (ports, mark) = (free_ports(), format!("dev-test-{}", std::process::id()));
    let urls = urls(&ports);
    let log = std::env::temp_dir().join(format!("{mark}.log"));
    let mut dev = waybill(&["dev", "--bus", "memory"]);
    dev.envs(ports).env("TOPIC_PREFIX", &mark).env("CARRIER_DELAY_MS", "1");
    let out = File::create(&log).unwrap();
    let mut dev =
        Running(dev.stdout(out.try_clone().unwrap()).stderr(out).stdin(Stdio::null()).spawn().unwrap());
    let said = || std::fs::read_to_string(&log).unwrap();
    within(Duration::from_secs(60), "all are ready", || {
        assert!(dev.0.try_wait().unwrap().is_none(), "{}", said());
        said().contains("all are ready").then_some(())
    });
    let waybill = |args: &[&str]| {
        let mut command = waybill(args);
        command.envs(urls.clone());
        command
    };

    // The price list of the order service fills over the log.
    let placed = within(Duration::from_secs(10), "an order is placed", || {
        let placed =
            run(&mut waybill(&["orders", "place", "--sku", "MUG-01:2", "--sku", "TEA-100", "--watch"]));
        assert!(placed.code == Some(0) || placed.err.contains("there is no product"), "{}", placed.err);
        (placed.code == Some(0)).then_some(placed.out)
    });
    assert!(placed.contains(": 49.48 USD\n") && placed.ends_with("\ndelivered\n"), "{placed}");
    let id = placed.split([' ', ':']).nth(1).unwrap();
    assert!(done(&mut waybill(&["orders", "show", id])).contains("2 x MUG-01       at 19.99 USD"));
    let declined =
        ["orders", "place", "--sku", "MUG-01", "--payment-method", "pm_card_chargeDeclined", "--watch"];
    assert!(done(&mut waybill(&declined)).ends_with("\ncancelled (payment-declined)\n"));
    let late = run(&mut waybill(&["orders", "cancel", id]));
    assert_eq!(
        (late.code, late.err.starts_with("waybill: 409 the order has been")),
        (Some(1), true),
        "{}",
        late.err
    );
    let list = done(&mut waybill(&["orders", "list", "--status", "delivered"]));
    assert!(list.contains(id) && list.lines().count() == 2, "{list}");
    assert!(done(&mut waybill(&["products", "seed"])).starts_with("12 seeded, 0 new;"));
    assert_eq!(done(&mut waybill(&["healthcheck"])).lines().count(), 4);

    kill(Pid::from_raw(dev.0.id().cast_signed()), Signal::SIGTERM).unwrap();
    let status = within(Duration::from_secs(10), "it has stopped", || dev.0.try_wait().unwrap());
    assert!(status.success(), "{}", said());
    assert_eq!(processes_with(&mark), Vec::<String>::new());
    std::fs::remove_file(&log).unwrap();
}
